"""`trapline grouper` as a process: what its health end points say, and what it says at its end."""

import signal

import pytest

from tests.integration.grouper.test_grouping import wait_for_groups
from tests.support.connector_process import ConnectorProcess
from tests.support.groups_reader import read_all
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import wait_until


def test_without_kafka_it_is_alive_and_not_ready_until_kafka_is_back(own_kafka, topic_prefix):
    raw = RawTopic(own_kafka.bootstrap_servers, topic_prefix).create()
    sources = ",".join(f"{source}=tcp://127.0.0.1:1" for source in raw.sources)
    raw.send(at(0))
    with ConnectorProcess(
        own_kafka.bootstrap_servers, topic_prefix, verb="grouper", TRAPLINE_SOURCES=sources
    ) as grouper:
        wait_for_groups(raw, 1)
        assert grouper.get("/readyz") == (200, "ok\n")
        assert grouper.get("/livez") == (200, "ok\n")
        own_kafka.kill()
        wait_until(lambda: grouper.get("/readyz")[0] == 503, "it not to be ready", timeout=30)
        assert "TRAPLINE_BOOTSTRAP_SERVERS" in grouper.get("/readyz")[1]
        assert grouper.get("/livez") == (200, "ok\n")
        own_kafka.start()
        wait_until(lambda: grouper.get("/readyz")[0] == 200, "it to be ready", timeout=90)
        raw.send(at(1))
        wait_for_groups(raw, 2)
        grouper.signal(signal.SIGTERM)
        assert grouper.wait() == 0
    raw.close()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT], ids=lambda end: end.name)
def test_a_signal_ends_it_in_order_with_its_counts(kafka, topic_prefix, end):
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix).create()
    sources = ",".join(f"{source}=tcp://127.0.0.1:1" for source in raw.sources)
    with ConnectorProcess(
        kafka.bootstrap_servers, topic_prefix, verb="grouper", TRAPLINE_SOURCES=sources
    ) as grouper:
        raw.send(at(0))
        raw.send(at(1))
        raw.send(at(1), "stranger", remember=False)
        wait_for_groups(raw, 2)
        wait_until(lambda: read_all(kafka.bootstrap_servers, raw.names.rejects), "the reject")
        grouper.signal(end)
        assert grouper.wait() == 0
        (counts,) = grouper.said("grouper stopped")
    raw.close()
    assert {name: counts[name] for name in ("records", "groups", "incomplete", "repaired", "rejects")} == {
        "records": 7,
        "groups": 2,
        "incomplete": 0,
        "repaired": 0,
        "rejects": 1,
    }
