"""Several partitions in the order of their timestamps."""

import random

import pytest

from consumer.metrics import OUT_OF_ORDER
from tests.support.group_topics import seconds
from tests.support.metrics import Change
from tests.support.published_groups import SECOND_US, START_US

pytestmark = pytest.mark.parametrize("partitions", [3])


def test_a_backlog_comes_in_timestamp_order(settings, publisher, open_stream):
    order = random.Random(3)
    for second in range(30):
        publisher.publish(START_US + second * SECOND_US, partition=order.randrange(3))
    stream = open_stream(settings, start="beginning", merge="timestamp", max_groups=30)
    groups = list(stream)
    assert seconds(groups) == list(range(30))
    assert not any(group.out_of_order for group in groups)
    assert {group.partition for group in groups} == {0, 1, 2}


def test_a_full_queue_does_not_starve_the_partition_that_is_waited_for(settings, publisher, open_stream):
    """The groups of one partition alone would fill the queue; the earliest one is in another."""
    for second in range(1, 21):
        publisher.publish(START_US + second * SECOND_US, partition=0)
    publisher.publish(START_US, partition=1)
    publisher.publish(START_US + 21 * SECOND_US, partition=1)
    publisher.publish(START_US + 22 * SECOND_US, partition=2)
    tight = settings.model_copy(update={"read_ahead_groups": 2, "merge_wait_s": 5.0})
    stream = open_stream(tight, start="beginning", merge="timestamp", max_groups=22)
    assert seconds(list(stream)) == list(range(22))


def test_a_group_that_is_waited_for_in_vain_comes_late_and_is_marked(settings, publisher, open_stream):
    stream = open_stream(settings, start="beginning", merge="timestamp", merge_wait_s=0.5)
    publisher.publish(START_US + 5 * SECOND_US, partition=0)
    first = next(stream)  # after the wait: the others show nothing
    assert (seconds([first]), first.out_of_order) == ([5], False)
    with Change(OUT_OF_ORDER) as late:
        publisher.publish(START_US + 4 * SECOND_US, partition=1)
        second = next(stream)
    assert (seconds([second]), second.out_of_order) == ([4], True)
    assert late.by == 1


def test_by_arrival_nothing_waits_and_nothing_is_marked(settings, publisher, open_stream):
    stream = open_stream(settings, start="beginning")
    for second, partition in ((5, 0), (4, 1), (6, 2)):
        publisher.publish(START_US + second * SECOND_US, partition=partition)
        group = next(stream)
        assert (seconds([group]), group.out_of_order) == ([second], False)


def test_a_restart_in_a_merge_goes_on_in_every_partition(settings, publisher, open_stream):
    for second in range(9):
        publisher.publish(START_US + second * SECOND_US, partition=second % 3)
    handed = []
    for count in (2, 3, 4):
        with open_stream(
            settings, group_id=settings.topic_prefix, merge="timestamp", max_groups=count
        ) as stream:
            handed += seconds(list(stream))
    assert handed == list(range(9))
