"""Where a stream with `to` ends: after all that lies before it, in every partition."""

import threading
from contextlib import closing

import pytest
from confluent_kafka.admin import NewTopic

from consumer.catalogue_tail import CatalogueTail
from consumer.group_range import group_range
from consumer.history import read_groups
from consumer.serving.live import live_records
from runtime.kafka import admin_client
from schemas.timestamp import format_timestamp
from tests.support.group_topics import committed, seconds, settle
from tests.support.published_groups import SECOND_US, START_US, GroupPublisher
from tests.support.waiting import timeout_s

TO = 10
FAR_US = START_US + 50 * 365 * 86_400 * SECOND_US  # not past yet


def time_of(second, first_us=START_US):
    return format_timestamp(first_us + second * SECOND_US)


def publish(publisher, *places, first_us=START_US):
    """Groups of these seconds in these partitions, one after the other."""
    return [
        publisher.publish(first_us + second * SECOND_US, partition=partition).entry
        for second, partition in places
    ]


@pytest.fixture
def partitions():
    return 2


@pytest.mark.parametrize("merge", ["arrival", "timestamp"])
def test_all_of_a_past_range_comes_however_its_runs_overlap(settings, publisher, open_stream, merge):
    """In each partition groups of the range lie behind others that are not before its end."""
    publish(publisher, (1, 0), (12, 0), (2, 0), (11, 1), (3, 1), (13, 1), (4, 0), (14, 0))
    settle(settings)
    where = group_range(from_=time_of(1), to=time_of(TO))
    found = seconds(list(open_stream(settings, where=where, merge=merge)))
    assert sorted(found) == [1, 2, 3, 4]
    assert sorted(found) == sorted(seconds(list(read_groups(settings, where))))


def test_a_partition_without_any_group_holds_nothing_up(settings, publisher, open_stream):
    publish(publisher, (1, 0), (2, 0))
    settle(settings)
    where = group_range(beginning=True, to=time_of(TO))
    assert seconds(list(open_stream(settings, where=where, merge="timestamp"))) == [1, 2]
    assert list(open_stream(settings, where=group_range(to=time_of(1)))) == []


def test_what_comes_is_read_until_each_partition_has_come_to_the_end(settings, publisher, open_stream):
    stream = open_stream(settings, where=group_range(end=True, to=time_of(TO)))
    publish(publisher, (5, 0), (20, 0), (6, 1), (22, 0), (21, 1))
    assert sorted(seconds(list(stream))) == [5, 6]


def test_a_range_that_is_not_past_goes_on_with_what_comes(settings, publisher, open_stream):
    publish(publisher, (1, 0), first_us=FAR_US)
    settle(settings)
    where = group_range(from_=time_of(0, FAR_US), to=time_of(TO, FAR_US))
    stream = open_stream(settings, where=where)
    assert next(stream).timestamp_us == FAR_US + SECOND_US
    publish(publisher, (20, 0), (2, 1), (20, 1), first_us=FAR_US)
    assert [group.timestamp_us for group in stream] == [FAR_US + 2 * SECOND_US]


def test_a_consumer_group_loses_nothing_behind_the_end(settings, publisher, open_stream):
    entries = publish(publisher, (1, 0), (12, 0), (2, 0), (13, 0))
    settle(settings)
    where = group_range(beginning=True, to=time_of(TO))
    with open_stream(settings, group_id=settings.topic_prefix, where=where) as stream:
        assert seconds(list(stream)) == [1, 2]
    assert committed(settings, settings.topic_prefix) == entries[0].last_offset + 1
    stream = open_stream(settings, group_id=settings.topic_prefix, max_groups=3)
    assert seconds(list(stream)) == [12, 2, 13]


def test_without_a_catalogue_the_first_group_that_is_not_before_it_ends_a_partition(settings, open_stream):
    """As in a topic that was replayed to by its name."""
    alone = settings.model_copy(update={"topic_prefix": f"{settings.topic_prefix}-alone"})
    admin = admin_client(settings)
    topic = alone.topics.groups
    admin.create_topics([NewTopic(topic, num_partitions=2)])[topic].result(timeout_s(30))
    publisher = GroupPublisher(alone)
    for second, partition in ((1, 0), (2, 1), (11, 0), (12, 1)):
        publisher.publish(START_US + second * SECOND_US, partition=partition, catalogue=False)
    where = group_range(beginning=True, to=time_of(TO))
    assert sorted(seconds(list(open_stream(alone, where=where)))) == [1, 2]


def test_what_is_served_as_it_comes_ends_there_too(settings, publisher):
    with closing(CatalogueTail(settings, (0, 1))) as tail:
        publish(publisher, (5, 0), (20, 0), (6, 1), (7, 0), (21, 1))
        settle(settings)
        records = list(live_records(tail, group_range(end=True, to=time_of(TO)), threading.Event().wait))
    assert sorted((record.timestamp_us - START_US) // SECOND_US for record in records) == [5, 6, 7]
