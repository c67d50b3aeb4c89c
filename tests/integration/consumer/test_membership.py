"""Partitions come and go while groups are worked on."""

import time

import pytest

from consumer.errors import FencedError
from consumer.metrics import COMMITS_FAILED, DROPPED_AT_REVOKE
from tests.support.group_reader import GroupReader
from tests.support.group_topics import committed, seconds
from tests.support.metrics import Change
from tests.support.published_groups import SECOND_US, START_US
from tests.support.waiting import timeout_s, wait_until


def test_processing_may_outlast_the_poll_interval(settings, publisher, open_stream):
    publisher.run(3)
    impatient = settings.model_copy(update={"reader_max_poll_interval_s": 6.0})
    stream = open_stream(impatient, group_id=settings.topic_prefix)
    with Change(COMMITS_FAILED) as failed:
        assert seconds([next(stream)]) == [0]
        deadline_s = time.monotonic() + 8.0  # this is the processing
        wait_until(lambda: time.monotonic() > deadline_s, "the work", timeout=20)
        publisher.run(1, first_us=START_US + 3 * SECOND_US)
        assert seconds([next(stream) for _ in range(3)]) == [1, 2, 3]
        stream.commit()
    assert failed.by == 0
    assert committed(settings, settings.topic_prefix) is not None


@pytest.mark.parametrize("partitions", [2])
def test_a_second_member_takes_its_partition_over_without_loss(settings, publisher, open_stream):
    for second in range(8):
        publisher.publish(START_US + second * SECOND_US, partition=second % 2)
    first = open_stream(settings, group_id=settings.topic_prefix)
    handed_first = [next(first) for _ in range(3)]
    wait_until(lambda: first._groups._order.count == 5, "the rest to be read ahead")
    with Change(DROPPED_AT_REVOKE) as dropped:
        second = open_stream(settings, group_id=settings.topic_prefix)
        assert second.wait_assigned(timeout_s(30))
        wait_until(lambda: len(first._fetcher._readers) == 1, "the first member to have one partition")
    assert dropped.by == 5
    # What the first one had in hand at the rebalance is done after it.
    groups_of = {0: list(range(0, 8, 2)), 1: list(range(1, 8, 2))}
    (kept,) = first._fetcher._readers
    done_by_first = [group for group in handed_first if group.partition == kept]
    left = len(groups_of[kept]) - len(done_by_first)
    rest_first = [next(first) for _ in range(left)]
    assert seconds([*done_by_first, *rest_first]) == groups_of[kept]
    given = 1 - kept
    done_before = [group for group in handed_first[:-1] if group.partition == given]
    count = len(groups_of[given]) - len(done_before)
    assert seconds([next(second) for _ in range(count)]) == groups_of[given][len(done_before) :]
    first.commit()
    second.commit()
    for partition in (0, 1):
        end = 4 * 4 - 1  # after the last image of four groups, before its marker
        wait_until(
            lambda p=partition, e=end: committed(settings, settings.topic_prefix, p) == e, "the commits"
        )


@pytest.mark.parametrize("partitions", [2])
def test_a_member_that_keeps_its_partition_does_not_get_the_group_in_hand_again(
    settings, publisher, open_stream
):
    """Each change of membership takes all partitions away and gives some back."""
    for second in range(6):
        publisher.publish(START_US + second * SECOND_US, partition=second % 2)
    stream = open_stream(settings, group_id=settings.topic_prefix, merge="timestamp")
    handed = [next(stream)]
    for _ in range(2):
        with open_stream(settings, group_id=settings.topic_prefix) as other:
            assert other.wait_assigned(timeout_s(30))
            wait_until(lambda: len(stream._fetcher._readers) == 1, "the partition to be given away")
        wait_until(lambda: len(stream._fetcher._readers) == 2, "the partition to come back")
    handed += [next(stream) for _ in range(5)]
    assert seconds(handed) == list(range(6))


@pytest.mark.parametrize("partitions", [2])
def test_what_was_paused_before_a_rebalance_is_read_after_it(settings, publisher, open_stream):
    """librdkafka keeps a partition paused over a rebalance."""
    for second in range(20):
        publisher.publish(START_US + second * SECOND_US, partition=second % 2)
    few = settings.model_copy(update={"read_ahead_groups": 3})
    stream = open_stream(few, group_id=settings.topic_prefix)
    handed = [next(stream)]
    wait_until(lambda: stream._fetcher._pace.paused, "a partition to be paused")
    with open_stream(settings, group_id=settings.topic_prefix) as other:
        assert other.wait_assigned(timeout_s(30))
        wait_until(lambda: len(stream._fetcher._readers) == 1, "the partition to be given away")
    wait_until(lambda: len(stream._fetcher._readers) == 2, "the partition to come back")
    handed += [next(stream) for _ in range(19)]
    assert sorted(seconds(handed)) == list(range(20))


@pytest.mark.parametrize("partitions", [2])
def test_a_killed_members_partition_goes_to_the_other_one(settings, publisher, open_stream):
    for second in range(6):
        publisher.publish(START_US + second * SECOND_US, partition=second % 2)
    environment = {"TRAPLINE_TEST_GROUP_ID": settings.topic_prefix}
    with GroupReader("stream", settings, **environment) as other:
        other.in_hand()
        stream = open_stream(settings, group_id=settings.topic_prefix)
        assert stream.wait_assigned(timeout_s(30))
        wait_until(lambda: len(stream._fetcher._readers) == 1, "each to have one partition")
        own = [next(stream)]
        other.kill()
        handed = own + [next(stream) for _ in range(5)]
    # What the other one had in hand was not done: it comes again, here.
    assert sorted(set(seconds(handed))) == list(range(6))


def test_a_static_member_gets_its_partition_back_at_once(settings, publisher, open_stream):
    publisher.run(2)
    patient = settings.model_copy(update={"reader_session_timeout_s": 45.0})
    for second in range(2):
        began_s = time.monotonic()
        with open_stream(patient, group_id=settings.topic_prefix, static_id="one", max_groups=1) as stream:
            assert seconds(list(stream)) == [second]
        assert time.monotonic() < began_s + timeout_s(20)


def test_the_loser_of_a_static_name_is_told(settings, publisher, open_stream):
    publisher.run(2)
    first = open_stream(settings, group_id=settings.topic_prefix, static_id="one")
    next(first)
    second = open_stream(settings, group_id=settings.topic_prefix, static_id="one")
    assert second.wait_assigned(timeout_s(30))

    def ask() -> bool:
        try:
            first._groups.take(time.monotonic() + 0.1)
        except FencedError as error:
            return "group.instance.id" in str(error)
        return False

    wait_until(ask, "the first to be told that it is fenced", timeout=30)
