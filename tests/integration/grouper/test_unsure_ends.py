"""The end of a transaction that is slow or unsure: the producer is renewed, and each group is out once.

KAFKA-17754: an EndTxn that is delayed in the network can end the next transaction of the same producer epoch.
"""

import pytest
from confluent_kafka import KafkaError, KafkaException

import grouper.ownership
import grouper.session
from grouper import metrics
from grouper.steps import Step
from runtime.transactions import SLOW_END_TXN_S
from tests.integration.grouper.test_exactly_once import (
    FAST_TAKE_OVER,
    aborted_images,
    assert_each_group_once,
    assert_refused,
    wait_for_groups,
)
from tests.support.grouping import GrouperProcess, grouping
from tests.support.kafka_proxy import Act, Api, KafkaProxy, Rule, Way
from tests.support.metrics import Change
from tests.support.proxy_loop import ProxyLoop
from tests.support.raw_topic import RawTopic, at
from tests.support.routed_kafka import one_node
from tests.support.waiting import wait_until


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
    topic = RawTopic(routed.bootstrap_servers, topic_prefix).create()
    yield topic
    topic.close()


def grouped_with(raw, routed, proxy, *rules):
    """Three groups, the rules in force from the first one on; how many producers were renewed."""
    with (
        Change(metrics.PRODUCERS_RENEWED) as renewed,
        grouping(raw, bootstrap_servers=routed.bootstrap_by("GROUPER")) as service,
    ):
        wait_until(lambda: service._owned, "the partition", 60)
        proxy.apply(*rules)
        for second in range(3):
            raw.send(at(second))
            wait_for_groups(raw, second + 1)
    proxy.lift()
    assert_each_group_once(raw, 3)
    return renewed.by


@pytest.mark.parametrize("way", list(Way))
def test_a_producer_whose_commit_was_cut_off_is_renewed(raw, routed, proxy, way):
    """librdkafka sends the EndTxn again by itself, long before the commit is slow."""
    rule = Rule(Api.END_TXN, way, Act.CUT)
    assert grouped_with(raw, routed, proxy, rule) == 1
    assert rule.acted == 1


def test_a_commit_that_is_cut_off_after_other_requests_were_is_not_overlooked(raw, routed, proxy):
    """Of a break like those before it the error callback is not told for 30 s."""
    before = Rule(Api.ADD_OFFSETS_TO_TXN, Way.REQUEST, Act.CUT, limit=3)
    rule = Rule(Api.END_TXN, Way.REQUEST, Act.CUT)
    assert grouped_with(raw, routed, proxy, before, rule) == 1
    assert (before.acted, rule.acted) == (3, 1)


def test_one_commit_after_the_other_that_is_cut_off_renews_the_producer(raw, routed, proxy):
    ways = (Way.REQUEST, Way.ANSWER, Way.REQUEST)
    with (
        Change(metrics.PRODUCERS_RENEWED) as renewed,
        grouping(raw, bootstrap_servers=routed.bootstrap_by("GROUPER")) as service,
    ):
        wait_until(lambda: service._owned, "the partition", 60)
        for second, way in enumerate(ways):
            rule = Rule(Api.END_TXN, way, Act.CUT)
            proxy.apply(rule)
            raw.send(at(second))
            wait_for_groups(raw, second + 1)
            wait_until(lambda count=second + 1: renewed.by == count, "a new producer", 30)
            assert rule.acted == 1
    assert_each_group_once(raw, 3)


def test_an_abort_that_is_cut_off_renews_the_producer(raw, routed, proxy):
    """What the abort is for is made up; its EndTxn is cut."""
    rule = Rule(Api.END_TXN, Way.REQUEST, Act.CUT)
    failed = []

    def fail_first(step, _images):
        if step is Step.AFTER_ENTRIES and not failed:
            failed.append(step)
            proxy.apply(rule)
            raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT, "made up"))

    with (
        Change(metrics.PRODUCERS_RENEWED) as renewed,
        grouping(raw, fail_first, bootstrap_servers=routed.bootstrap_by("GROUPER")) as service,
    ):
        wait_until(lambda: service._owned, "the partition", 60)
        raw.send(at(0))
        wait_for_groups(raw, 1)
    assert (len(failed), rule.acted) == (1, 1)
    assert renewed.by == 1
    assert_each_group_once(raw, 1)


def test_a_producer_whose_commit_was_slow_is_renewed(raw, routed, proxy):
    rule = Rule(Api.END_TXN, Way.REQUEST, Act.DELAY, seconds=SLOW_END_TXN_S + 2)
    assert grouped_with(raw, routed, proxy, rule) == 1
    assert (rule.acted, rule.passed_on) == (1, 1)


def test_a_commit_that_never_ends_is_given_up_with_its_producer(raw, routed, proxy, monkeypatch):
    monkeypatch.setattr(grouper.session, "CALL_DEADLINE_S", 2.0)
    rule = Rule(Api.END_TXN, Way.REQUEST, Act.HOLD)
    with Change(metrics.REJOINS) as rejoins:
        grouped_with(raw, routed, proxy, rule)
    assert (rule.acted, rejoins.by) == (1, 1)
    assert_each_group_once(raw, 3)  # also after the one that was held has arrived


def test_a_zombies_commit_that_arrives_after_take_over_is_refused(raw, routed, proxy):
    """The commit is on its way when the process is suspended, and slower than the take-over."""
    rule = Rule(Api.END_TXN, Way.REQUEST, Act.HOLD)
    proxy.apply(rule)
    raw.send(at(0))
    by_proxy = {"bootstrap_servers": routed.bootstrap_by("GROUPER")}
    with GrouperProcess(raw, commit_interval_s=60, **by_proxy, **FAST_TAKE_OVER) as zombie:
        wait_until(lambda: rule.acted, "the commit to be on its way", 60)
        zombie.suspend()
        raw.send(at(1))
        with grouping(raw, **FAST_TAKE_OVER):
            wait_for_groups(raw, 2)
            assert aborted_images(raw) == len(raw.sources)
            proxy.lift()
            wait_until(lambda: rule.passed_on, "the commit to arrive", 30)
            zombie.resume()
            wait_until(lambda: zombie.rejoins, "the zombie to hear of it", 60)
            assert_refused(zombie)
            zombie.wait_for_log("partitions assigned", count=2)
            raw.send(at(2))
            wait_for_groups(raw, 3)
        assert zombie.terminate() == 0
    assert_each_group_once(raw, 3)
    assert aborted_images(raw) == len(raw.sources)


def test_a_producer_is_kept_where_nothing_is_in_doubt(raw, routed, proxy):
    """Also by a librdkafka that words its log otherwise, which this test finds out."""
    assert grouped_with(raw, routed, proxy) == 0


def test_a_commit_that_is_unsure_and_then_fails_leaves_its_doubt_to_the_abort(raw, monkeypatch):
    """The two answers to the commit are made up, and no EndTxn is sent; the abort is quick, and real."""
    make = grouper.ownership.transactional_producer
    answers = [
        KafkaError(KafkaError._TIMED_OUT, "made up", retriable=True),
        KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "made up", txn_requires_abort=True),
    ]

    def make_unsure(*args, **kwargs):
        producer = make(*args, **kwargs)

        class Unsure(type(producer)):
            def commit_transaction(self, *args):
                if answers:
                    raise KafkaException(answers.pop(0))
                super().commit_transaction(*args)

        producer.__class__ = Unsure
        return producer

    monkeypatch.setattr(grouper.ownership, "transactional_producer", make_unsure)
    with (
        Change(metrics.PRODUCERS_RENEWED) as renewed,
        Change(metrics.TRANSACTIONS.labels("aborted")) as aborted,
    ):
        raw.send(at(0))
        with grouping(raw):
            wait_for_groups(raw, 1)
    assert (aborted.by, renewed.by) == (1, 1)
    assert_each_group_once(raw, 1)
