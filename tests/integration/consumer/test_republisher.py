"""A replay's transactions whose end is unsure: another producer goes on, and each group is out once."""

import re

import pytest

from consumer.destination import Destination
from consumer.errors import UnsureError
from consumer.republisher import Republisher
from schemas.topics import TopicNames
from tests.support.group_topics import make_topics, settle
from tests.support.groups_reader import read_all
from tests.support.kafka_proxy import Act, Api, KafkaProxy, Rule, Way
from tests.support.proxy_loop import ProxyLoop
from tests.support.routed_kafka import one_node
from tests.support.waiting import timeout_s
from tests.unit.consumer.test_replayed_records import past


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("routed") / "data", "REPLAY") as kafka:
        yield kafka


@pytest.fixture(scope="module")
def proxy(routed):
    """The replay's way to Kafka."""
    with ProxyLoop() as loop:
        yield KafkaProxy(loop, routed.ports["REPLAY"])


@pytest.fixture
def reader(routed, topic_prefix):
    """Settings of the destination, not by way of the proxy."""
    return make_topics(routed.bootstrap_servers, topic_prefix)


@pytest.fixture
def make(routed, reader, topic_prefix):
    """Makes a republisher that reaches Kafka by the proxy."""
    through = reader.model_copy(update={"bootstrap_servers": routed.bootstrap_by("REPLAY")})

    def republisher(wait_s):
        destination = Destination.of_prefix(through, topic_prefix)
        return Republisher(destination, TopicNames("first"), keeps_partition=False, wait_s=wait_s)

    return republisher


@pytest.fixture
def republisher(make):
    return make(timeout_s(30))


def assert_each_once(reader, groups):
    settle(reader)
    records = read_all(reader.bootstrap_servers, reader.topics.groups)
    assert [record.headers["ce_groupindex"] for record in records] == ["0", "1", "2"] * groups


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("before", [0, 3])
def test_a_producer_whose_commit_was_cut_off_is_replaced(reader, republisher, proxy, way, before):
    """librdkafka sends the EndTxn again by itself; of a break like earlier ones nobody is told for 30 s."""
    first = republisher._transactions.producer
    republisher.take([past()])
    rules = (
        Rule(Api.ADD_PARTITIONS_TO_TXN, Way.REQUEST, Act.CUT, limit=before),
        Rule(Api.END_TXN, way, Act.CUT),
    )
    proxy.apply(*rules)
    republisher.take([past()])
    proxy.lift()
    assert [rule.acted for rule in rules] == [before, 1]
    assert republisher._transactions.producer is first
    republisher.take([past()])
    assert republisher._transactions.producer is not first
    assert_each_once(reader, 3)


def test_a_producer_is_kept_where_nothing_is_in_doubt(reader, republisher):
    first = republisher._transactions.producer
    for _ in range(3):
        republisher.take([past()])
    assert republisher._transactions.producer is first
    assert_each_once(reader, 3)


def test_a_commit_that_is_never_answered_is_said_to_be_unsure(reader, make, proxy):
    """It arrived all the same; it may as well not have."""
    republisher = make(1.0)
    rule = Rule(Api.END_TXN, Way.ANSWER, Act.DROP, limit=1000)
    proxy.apply(rule)
    with pytest.raises(UnsureError) as error:
        republisher.take([past()])
    proxy.lift()
    assert rule.acted
    assert republisher.doubt in str(error.value)
    assert re.search(
        r"whether the last 1 groups, (\S+Z) to \1, were published is not known", republisher.doubt
    )
    assert_each_once(reader, 1)
