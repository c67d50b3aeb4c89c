"""A grouper that is given several partitions makes their sessions side by side."""

import threading

import pytest

from grouper.errors import SessionLostError
from grouper.ownership import Ownership
from grouper.steps import no_step
from runtime.kafka import log_consumer
from schemas.timestamp import format_timestamp
from tests.integration.grouper.test_exactly_once import wait_for_groups
from tests.support.grouping import grouping, settings_of
from tests.support.groups_reader import read_groups
from tests.support.kafka_proxy import Act, Api, KafkaProxy, Rule, Way
from tests.support.proxy_loop import ProxyLoop
from tests.support.raw_topic import RawTopic, at
from tests.support.routed_kafka import one_node
from tests.support.waiting import timeout_s, wait_until

PARTITIONS = 5


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("routed") / "data", "GROUPER") as kafka:
        yield kafka


@pytest.fixture(scope="module")
def proxy(routed):
    """The grouper's way to Kafka."""
    with ProxyLoop() as loop:
        yield KafkaProxy(loop, routed.ports["GROUPER"])


@pytest.fixture
def raw(routed, topic_prefix):
    topic = RawTopic(routed.bootstrap_servers, topic_prefix, partitions=PARTITIONS).create()
    yield topic
    topic.close()


def test_none_waits_for_the_others_producer(raw, routed, proxy):
    rule = Rule(Api.INIT_PRODUCER_ID, Way.REQUEST, Act.HOLD, limit=PARTITIONS)
    proxy.apply(rule)
    with grouping(raw, bootstrap_servers=routed.bootstrap_by("GROUPER")) as service:
        # None is answered before all are asked.
        wait_until(lambda: rule.acted == PARTITIONS, lambda: f"{rule.acted} of {PARTITIONS}", 30)
        assert not service._owned
        proxy.lift()
        for second in range(2 * PARTITIONS):
            raw.send(at(second))
        wait_for_groups(raw, 2 * PARTITIONS)
        assert sorted(service._owned) == list(range(PARTITIONS))
    groups = read_groups(raw.bootstrap_servers, raw.names.groups)
    assert sorted(group.timestamp for group in groups) == [
        format_timestamp(at(second)) for second in range(2 * PARTITIONS)
    ]
    assert not any(group.missing for group in groups)


def test_where_one_cannot_be_had_none_is_kept(raw):
    made, one = [], threading.Event()

    class Refusing(Ownership):
        def session(self, partition):
            if partition == PARTITIONS - 1:
                assert one.wait(timeout_s(60))
                raise SessionLostError(partition, "made up")
            session = super().session(partition)
            made.append(session)
            one.set()
            return session

    settings = settings_of(raw)
    consumer = log_consumer(settings, group_id=settings.consumer_group)
    try:
        with pytest.raises(SessionLostError, match="made up"):
            Refusing(settings, lambda: False, no_step).take_over_all(
                consumer, range(PARTITIONS), lambda: None
            )
    finally:
        consumer.close()
    assert made
    assert not any(hasattr(session, "_transactions") for session in made)
