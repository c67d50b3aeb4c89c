"""Topics and settings that are wrong, at the start and while it runs: a clear error, or a reject."""

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

import runtime.written_topics
from connector.errors import DeliveryError
from emulator.frame_server import FrameServer
from runtime.errors import MissingTopicError, TopicCheckError
from runtime.kafka import admin_client
from runtime.settings import TraplineSettings
from schemas.errors import RejectReason
from schemas.record_headers import RejectHeaders
from tests.support.connector import MIB, RunningConnector, delete_topic, make_topics, read_topic, source
from tests.support.frames import T0_US, make_frame
from tests.support.told import Told
from tests.support.waiting import timeout_s, wait_until

SECOND_US = 1_000_000
LIMIT = 200_000


def frame(number: int, side: int = 64) -> bytes:
    return make_frame(T0_US + number * SECOND_US, seed=number, shape=(side, side))


def admin(kafka):
    return admin_client(TraplineSettings(bootstrap_servers=kafka.bootstrap_servers))


def alter(kafka, topic: str, **config: str) -> None:
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    client = admin(kafka)  # has to live until it has answered
    for future in client.incremental_alter_configs([resource]).values():
        future.result(timeout_s(30))


def error_at_start(kafka, prefix: str, **settings: object) -> BaseException | None:
    """What it ends with, before it connects to a source."""
    with (
        FrameServer([frame(0)]) as server,
        RunningConnector(
            kafka.bootstrap_servers, prefix, source("sb0", server.port), **settings
        ) as connector,
    ):
        connector.wait_for_end()
        assert server.connections == 0
    return connector.error


def test_no_topics(kafka, topic_prefix):
    error = error_at_start(kafka, topic_prefix)
    assert isinstance(error, MissingTopicError)
    assert f"topic {topic_prefix}.raw does not exist; `trapline topics create` makes it" in str(error)


def test_no_rejects(kafka, topic_prefix):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    delete_topic(kafka.bootstrap_servers, names.rejects)
    error = error_at_start(kafka, topic_prefix)
    assert isinstance(error, MissingTopicError)
    assert f"topic {names.rejects} does not exist" in str(error)


@pytest.mark.parametrize("topic", ["raw", "rejects"])
def test_a_limit_too_small(kafka, topic_prefix, topic):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    alter(kafka, getattr(names, topic), max_message_bytes=str(8 * MIB))
    error = error_at_start(kafka, topic_prefix)  # frames of 8 MiB, and what a record needs beside
    assert isinstance(error, TopicCheckError)
    assert f"{topic_prefix}.{topic}: max.message.bytes: 8388608, should be at least 9437184" in str(error)


def test_settings_that_would_spoil_raw(kafka, topic_prefix):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    alter(kafka, names.raw, cleanup_policy="compact", message_timestamp_type="CreateTime")
    error = error_at_start(kafka, topic_prefix)
    assert isinstance(error, TopicCheckError)
    assert "cleanup.policy" in str(error)
    assert "message.timestamp.type" in str(error)


def test_retention_without_bounds_is_a_warning(kafka, topic_prefix, monkeypatch):
    told = Told()
    monkeypatch.setattr(runtime.written_topics, "log", told)
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    alter(kafka, names.raw, retention_bytes="-1")
    with (
        FrameServer([frame(0)]) as server,
        RunningConnector(kafka.bootstrap_servers, topic_prefix, source("sb0", server.port)) as connector,
    ):
        connector.wait_for(raw=1)
    assert (names.raw, "retention.bytes") in told.warnings


def test_a_frame_larger_than_the_limit_of_its_topic_is_rejected_whole(kafka, topic_prefix):
    """The limit was lowered while it ran. The frames around it are in raw."""
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    sent = [frame(0), frame(1, side=256), frame(2)]
    with (
        FrameServer([sent[0]]) as server,
        RunningConnector(kafka.bootstrap_servers, topic_prefix, source("sb0", server.port)) as connector,
    ):
        connector.wait_for(raw=1)
        alter(kafka, names.raw, max_message_bytes=str(LIMIT))
        server.push(sent[1])
        connector.wait_for(rejects_delivered=1)
        server.push(sent[2])
        connector.wait_for(raw=2)
        assert connector.totals["too_large"] == 1
        assert connector.totals["rejects"] == 1
        summary = connector.stop()
    assert summary.undelivered == 0
    assert [record.value for record in read_topic(kafka.bootstrap_servers, names.raw)] == [sent[0], sent[2]]
    (record,) = read_topic(kafka.bootstrap_servers, names.rejects)
    assert record.value == sent[1]
    headers = reject_headers(record)
    assert (headers.reason, headers.source) == (RejectReason.TOO_LARGE, "sb0")
    assert (headers.timestamp_us, headers.truncated) == (T0_US + SECOND_US, False)
    assert record.key == b"2026-11-23T10:00:01.000000Z"


def test_a_frame_larger_than_the_limit_of_rejects_too_is_cut(kafka, topic_prefix):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    sent = [frame(0), frame(1, side=256), frame(2)]
    with (
        FrameServer([sent[0]]) as server,
        RunningConnector(
            kafka.bootstrap_servers, topic_prefix, source("sb0", server.port), max_reject_bytes=1000
        ) as connector,
    ):
        connector.wait_for(raw=1)
        alter(kafka, names.raw, max_message_bytes=str(LIMIT))
        alter(kafka, names.rejects, max_message_bytes=str(LIMIT))
        server.push(sent[1])
        connector.wait_for(rejects_delivered=1)
        server.push(sent[2])
        connector.wait_for(raw=2)
        (outlet,) = connector.service._publisher._outlets
        wait_until(lambda: outlet.waiting_records == 0, "all to be settled")
        assert outlet.waiting_bytes == 0
        assert connector.totals["too_large"] == 2
        assert connector.totals["rejects"] == 1
    (record,) = read_topic(kafka.bootstrap_servers, names.rejects)
    assert record.value == sent[1][:1000]
    headers = reject_headers(record)
    assert (headers.total_bytes, headers.truncated) == (len(sent[1]), True)
    assert headers.reason is RejectReason.TOO_LARGE


def test_rejects_that_takes_nothing_stops_it(kafka, topic_prefix):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    with (
        FrameServer([frame(0)]) as server,
        RunningConnector(
            kafka.bootstrap_servers, topic_prefix, source("sb0", server.port), max_reject_bytes=1000
        ) as connector,
    ):
        connector.wait_for(raw=1)
        alter(kafka, names.rejects, max_message_bytes="500")
        server.push(b"x" * 2000, frame(1))
        connector.wait_for_end()
    assert isinstance(connector.error, DeliveryError)
    assert f"{names.rejects}: a record is larger than the limit" in str(connector.error)


def test_a_topic_that_goes_away_stops_it(orphan):
    orphan.wait_for_end()
    raw = orphan.settings.topics.raw
    assert isinstance(orphan.error, DeliveryError)
    assert f"{raw}: the partition does not exist" in str(orphan.error)
    assert "`trapline topics check`" in str(orphan.error)
    counts = orphan.service._counts["sb0"]
    assert counts.frames.total == 3
    assert counts.undelivered.total == 2


def reject_headers(record) -> RejectHeaders:
    return RejectHeaders.decode([(name, value.encode()) for name, value in record.headers.items()])
