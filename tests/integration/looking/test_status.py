"""`trapline status` on a real Kafka."""

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumer.stream import GroupStream
from schemas.errors import RejectReason
from tests.support.group_topics import delete_images, settle
from tests.support.grouping import grouping
from tests.support.hand_grouper import HandGrouper
from tests.support.metrics import Change
from tests.support.published_groups import SECOND_US, START_US
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import timeout_s, wait_until
from trapline.embedded.ports import free_port
from trapline.status import metrics
from trapline.status.exporter import Exporter
from trapline.status.settings import StatusSettings


def read(settings, count, name):
    # Named after the prefix, it is asked about first, however many consumer groups a shared Kafka has.
    group_id = f"{settings.topic_prefix}.{name}"
    with GroupStream(settings, group_id=group_id, start="beginning", max_groups=count) as stream:
        for _ in stream:
            pass


def lag(status, name):
    (found,) = (each for each in status["consumer_groups"] if each["consumer_group"].endswith(f".{name}"))
    return found


@pytest.mark.usefixtures("settings")
def test_nothing_yet(verb, verb_json):
    assert "no group is in the catalogue yet" in verb("status")
    status = verb_json("status")
    assert (status["groups"], status["sources"]) == (0, [])
    assert lag(status, "grouper")["groups_behind"] == 0


def test_sources(settings, publisher, verb, verb_json):
    received_us = time.time_ns() // 1000
    for second in range(4):
        publisher.publish(
            START_US + second * SECOND_US,
            sources=("sb0", "sb1", "sb2") if second % 2 else ("sb0", "sb2"),
            receive_time_us=received_us + second * SECOND_US,
        )
    settle(settings)
    sources = {each["source"]: each for each in verb_json("status")["sources"]}
    assert [(each["images"], each["missing_share"]) for each in sources.values()] == [
        (4, 0),
        (2, 0.5),
        (4, 0),
    ]
    assert sources["sb0"]["rate_per_s"] == 1.0
    assert sources["sb0"]["age_s"] < timeout_s(60)
    assert [each["images"] for each in verb_json("status", "--groups", "1")["sources"]] == [1, 1, 1]
    lines = verb("status").splitlines()
    assert any(
        line.split()[:2] == ["sb1", "2026-11-23T10:00:03.000000Z"] and "50.00 %" in line for line in lines
    )


def test_readers_and_how_far_they_are_behind(settings, publisher, verb_json):
    groups = publisher.run(6)
    settle(settings)
    read(settings, 6, "quick")
    read(settings, 2, "slow")
    status = verb_json("status")
    quick, slow = lag(status, "quick"), lag(status, "slow")
    assert (quick["groups_behind"], quick["offsets_behind"], quick["seconds_behind"]) == (0, 0, 0)
    assert quick["retention_left_s"] is None
    assert slow["groups_behind"] == 4
    assert slow["committed"] == groups[1].entry.last_offset + 1
    assert 0 <= slow["seconds_behind"] < timeout_s(60)
    assert 0 < slow["retention_left_s"] <= 7 * 86_400
    assert (slow["members"], slow["groups_behind_estimated"], slow["lost_offsets"]) == (0, False, 0)
    # The same count where the position lies before the last groups that are looked at.
    (early,) = (
        each
        for each in verb_json("status", "--groups", "2")["consumer_groups"]
        if each["consumer_group"].endswith(".slow")
    )
    assert early["groups_behind"] == 4


def test_a_reader_that_retention_has_overtaken(settings, publisher, verb, verb_json):
    groups = publisher.run(4)
    settle(settings)
    read(settings, 1, "late")
    delete_images(settings, groups[3].entry.first_offset)
    late = lag(verb_json("status"), "late")
    assert late["lost_offsets"] == groups[3].entry.first_offset - groups[0].entry.last_offset - 1
    assert (late["groups_behind"], late["retention_left_s"]) == (1, 0)
    assert f"retention has deleted {late['lost_offsets']} offsets unread" in verb("status")


@pytest.mark.usefixtures("settings")
def test_what_the_grouper_has_not_come_to(kafka, topic_prefix, verb_json):
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix).create()
    raw.send(at(0))
    with grouping(raw):
        wait_until(lambda: verb_json("status")["groups"] == 1, "the group")
    raw.send(at(1))
    raw.send(at(2), "sb0")
    status = verb_json("status")
    behind = lag(status, "grouper")
    assert (behind["topic"], behind["offsets_behind"], behind["groups_behind"]) == (
        f"{topic_prefix}.raw",
        4,
        1,
    )
    assert behind["groups_behind_estimated"]
    assert [each["latest_not_grouped_yet"] for each in status["sources"]] == [True, True, True]


def test_rejects_by_source(kafka, settings, topic_prefix, verb_json):
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix).create()
    raw.send(at(0))
    hand = HandGrouper(raw)
    hand.publish(0)
    for reason in (RejectReason.LATE, RejectReason.LATE, RejectReason.CONFLICT):
        hand.reject(0, reason)
    settle(settings)
    status = verb_json("status")
    assert [(each["source"], each["late"], each["rejected"]) for each in status["sources"]] == [
        ("sb0", 2, 3), ("sb1", 0, 0), ("sb2", 0, 0)
    ]  # fmt: skip
    assert status["rejects"]["looked_at"] == 3


@pytest.mark.parametrize("partitions", [2])
def test_several_partitions(settings, publisher, verb_json):
    for second in range(4):
        publisher.publish(START_US + second * SECOND_US, partition=second % 2)
    settle(settings)
    read(settings, 4, "both")
    status = verb_json("status")
    assert status["groups"] == 4
    assert [
        (each["partition"], each["groups_behind"])
        for each in status["consumer_groups"]
        if each["consumer_group"].endswith(".both")
    ] == [(0, 0), (1, 0)]


@pytest.mark.usefixtures("settings")
def test_no_topic_and_no_kafka(verb):
    assert "`trapline topics create` makes it" in verb("status", "--topic-prefix", "nobodys", status=1)
    away = verb("status", "--bootstrap-servers", "127.0.0.1:1", "--broker-wait-s", "1", status=1)
    assert "Kafka does not answer" in away
    assert "--groups" in verb("status", "--groups", "none", status=2)


def fetch(port, path):
    """The body that /metrics, /livez or /readyz answers with; '' where nobody does, or says no."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout_s(10)) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, OSError):
        return ""


def served(port, name, **labels):
    for family in text_string_to_metric_families(fetch(port, "/metrics")):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


def test_followed_it_serves_the_same_figures_as_metrics(settings, publisher):
    publisher.run(6)
    settle(settings)
    read(settings, 2, "slow")
    slow = {
        "consumer_group": f"{settings.topic_prefix}.slow",
        "topic": settings.topics.groups,
        "partition": "0",
    }
    port = free_port()
    command = ("status", "--follow", "--interval", "1", "--http-port", str(port))
    with subprocess.Popen(
        [sys.executable, "-m", "trapline", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until(lambda: fetch(port, "/readyz") == "ok\n", "a first survey", timeout=60)
            assert served(port, "trapline_status_lag_groups", **slow) == 4
            assert 0 < served(port, "trapline_status_retention_left_seconds", **slow) <= 7 * 86_400
            assert served(port, "trapline_status_members", consumer_group=slow["consumer_group"]) == 0
            assert served(port, "trapline_status_source_age_seconds", source="sb0") > 0
            assert served(port, "trapline_build_info", room="status") == 1
            read(settings, 4, "slow")
            wait_until(
                lambda: served(port, "trapline_status_lag_groups", **slow) == 0, "the reader's progress"
            )
            assert served(port, "trapline_status_surveys_total", outcome="failed") == 0
        finally:
            process.send_signal(signal.SIGTERM)
            printed, logged = process.communicate(timeout=timeout_s(60))
    assert (process.returncode, printed) == (0, ""), logged


def test_followed_it_outlives_a_kafka_that_does_not_answer(settings):
    away = StatusSettings(
        bootstrap_servers="127.0.0.1:1", broker_wait_s=1, topic_prefix=settings.topic_prefix
    )
    exporter = Exporter(away, 10)
    assert exporter.not_ready() == "Kafka was not asked yet"
    with Change(metrics.SURVEYS.labels("failed")) as failed:
        assert exporter.ask() is None
    assert failed.by == 1
    assert "Kafka does not answer" in exporter.not_ready()


def test_a_port_without_follow_is_refused(verb):
    assert "say that, too" in verb("status", "--http-port", "9105", status=2)
