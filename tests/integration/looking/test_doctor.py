"""`trapline doctor` on a real Kafka: what it finds in what was put wrong."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from consumer.stream import GroupStream
from runtime.kafka import admin_client, raw_producer
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders
from schemas.timestamp import timestamp_key
from tests.support.group_topics import delete_images, settle
from tests.support.published_groups import SECOND_US, START_US
from tests.support.waiting import timeout_s, wait_until
from trapline import cli

DIGEST = "xxh3-128:" + "0" * 32


@pytest.fixture
def doctor(capsys):
    """Runs it with --json; gives the checks by name."""

    def run(*args, status=0):
        capsys.readouterr()
        assert cli.run(["doctor", "--json", *args]) == status
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        report = json.loads(captured.out)
        assert report["ok"] == (status == 0)
        return {check["check"]: check for check in report["checks"]}

    return run


def verdicts(checks):
    return {name: check["verdict"] for name, check in checks.items()}


def alter(settings, topic, **config):
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    admin = admin_client(settings)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    (done,) = admin.incremental_alter_configs([resource]).values()
    done.result(timeout_s(30))


def test_all_is_well(settings, publisher, doctor, verb):
    publisher.run(3)
    settle(settings)
    checks = doctor()
    assert {name for name, verdict in verdicts(checks).items() if verdict != "ok"} == {"clocks", "sources"}
    assert verdicts(checks)["clocks"] == "not done"  # raw is empty
    lines = verb("doctor").splitlines()
    assert lines[0].startswith("ok        broker")
    assert lines[-1] == "12 checks: 10 ok, 2 not done"


@pytest.mark.usefixtures("settings")
def test_the_probe_goes_through_and_leaves_nothing(kafka, topic_prefix, doctor):
    probe = doctor("--probe")["probe"]
    assert probe["verdict"] == "ok", probe
    assert "a frame of 4.19 MB went from raw to groups and came back the same" in probe["found"]
    assert left_of_a_probe(kafka, topic_prefix) == []


def left_of_a_probe(kafka, prefix):
    admin = admin_client(TopicsSettings(bootstrap_servers=kafka.bootstrap_servers))
    groups = admin.list_consumer_groups(request_timeout=timeout_s(10)).result(timeout_s(15)).valid
    names = [*admin.list_topics(timeout=timeout_s(10)).topics, *(group.group_id for group in groups)]
    return [name for name in names if name.startswith(f"{prefix}-probe-")]


@pytest.mark.usefixtures("settings")
def test_a_probe_that_is_interrupted_leaves_nothing(kafka, topic_prefix):
    with subprocess.Popen(
        [sys.executable, "-m", "trapline", "doctor", "--probe"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        try:
            wait_until(
                lambda: left_of_a_probe(kafka, topic_prefix) or process.poll() is not None, "the probe"
            )
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=timeout_s(60))
        finally:
            process.kill()
    assert process.returncode in (0, 130)  # it may have been quicker
    assert "Traceback" not in err
    assert left_of_a_probe(kafka, topic_prefix) == []


def test_no_kafka(doctor, tmp_path):
    checks = doctor("--bootstrap-servers", "127.0.0.1:1", "--spool-dir", str(tmp_path), "--probe", status=1)
    assert "Kafka does not answer" in checks["broker"]["problems"][0]["text"]
    not_done = [name for name, check in checks.items() if check["found"] == "needs: broker"]
    assert not_done == [
        "versions", "rights", "topics", "partitions", "times, retention", "replication", "clocks",
        "near misses", "offsets", "probe",
    ]  # fmt: skip
    assert (checks["sources"]["verdict"], checks["spool"]["verdict"]) == ("not done", "ok")


def test_a_broker_that_dies_in_the_middle(own_kafka, topic_prefix, monkeypatch, capsys):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", own_kafka.bootstrap_servers)
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFIX", topic_prefix)
    create_topics(TopicsSettings())
    with subprocess.Popen(
        [sys.executable, "-m", "trapline", "doctor"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ok        broker")
            own_kafka.kill()
            out, err = process.communicate(timeout=timeout_s(300))
        finally:
            process.kill()
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "Kafka does not answer" in out
    assert cli.run(["status", "--broker-wait-s", "1"]) == 1
    assert "Kafka does not answer" in capsys.readouterr().err


def test_topics_that_are_missing(kafka, topic_prefix, doctor, monkeypatch):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    checks = doctor("--topic-prefix", topic_prefix, status=1)
    assert [problem["todo"] for problem in checks["topics"]["problems"]] == [
        "`trapline topics create` makes it"
    ] * 4
    assert "0 of 4 topics" in checks["topics"]["found"]
    assert checks["rights"]["found"].count(f"{topic_prefix}.") == 4


def test_settings_that_are_wrong(settings, doctor):
    names = settings.topics
    alter(settings, names.raw, **{"max.message.bytes": "1000000"})
    alter(settings, names.groups, **{"message.timestamp.type": "CreateTime", "retention.bytes": "-1"})
    checks = doctor(status=1)
    assert "max.message.bytes" in checks["topics"]["problems"][0]["text"]
    texts = [problem["text"] for problem in checks["times, retention"]["problems"]]
    assert len(texts) == 2
    assert all(text.startswith(names.groups) for text in texts)
    assert verdicts(checks)["partitions"] == "ok"


def test_partitions_that_differ(settings, doctor):
    checks = doctor("--partitions", "3", status=1)
    assert "3 were asked for" in checks["partitions"]["problems"][0]["text"]
    assert settings.topics.raw in checks["partitions"]["found"]


def test_positions_in_danger(settings, publisher, doctor):
    groups = publisher.run(4)
    settle(settings)
    with GroupStream(
        settings, group_id=f"{settings.topic_prefix}.overtaken", start="beginning", max_groups=1
    ) as stream:
        list(stream)
    delete_images(settings, groups[3].entry.first_offset)
    (lost,) = doctor(status=1)["offsets"]["problems"]
    assert "overtaken" in lost["text"]
    assert "retention has deleted" in lost["text"]
    assert "on_gap" in lost["todo"].lower()


def test_retention_that_is_near(settings, publisher, doctor):
    publisher.run(3)
    settle(settings)
    with GroupStream(
        settings, group_id=f"{settings.topic_prefix}.slow", start="beginning", max_groups=1
    ) as stream:
        list(stream)
    alter(settings, settings.topics.groups, **{"retention.ms": "3600000"})
    (near,) = doctor()["offsets"]["problems"]
    assert near["verdict"] == "warning"
    assert f"consumer group {settings.topic_prefix}.slow" in near["text"]
    assert "retention deletes what it has not read in 59 min" in near["text"]


def test_near_misses(settings, publisher, doctor):
    for second in range(4):
        publisher.publish(START_US + second * SECOND_US, sources=("sb0", "sb1"))
        publisher.publish(START_US + second * SECOND_US + 200_000, sources=("sb2",))
    settle(settings)
    (near,) = doctor()["near misses"]["problems"]
    assert near["text"].startswith("4 times sb2 came 0.2 s after sb0, sb1")


@pytest.mark.parametrize(
    ("ahead_s", "observed_ahead_s", "words"),
    [
        (30, 0, "the connector's clock is at least"),
        (-600, 0, "in Kafka 10 min"),
        (0, 20, "DATE-OBS of sb0 is 20.0 s ahead"),
        (0, 0, None),
    ],
)
def test_clocks(settings, doctor, ahead_s, observed_ahead_s, words):
    received_us = time.time_ns() // 1000 + ahead_s * SECOND_US
    observed_us = received_us + observed_ahead_s * SECOND_US
    producer = raw_producer(settings, queue_bytes=64 * 1024**2)
    headers = RawHeaders(settings.topic_prefix, "sb0", observed_us, DIGEST, received_us, PixelOrder.FITS)
    producer.produce(
        settings.topics.raw, value=b"x", key=timestamp_key(observed_us), headers=headers.encode(), partition=0
    )
    assert producer.flush(timeout_s(30)) == 0
    check = doctor()["clocks"]
    assert check["verdict"] == ("ok" if words is None else "warning")
    assert [words in problem["text"] for problem in check["problems"]] == ([] if words is None else [True])
