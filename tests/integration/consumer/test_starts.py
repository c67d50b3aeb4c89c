"""Where a stream starts."""

import threading
from datetime import UTC, datetime

import pytest

from consumer.errors import GapError, StartError
from consumer.metrics import CUT_GROUPS, STARTS_TRUNCATED
from consumer.start import AtOffset
from tests.support.group_topics import delete_images, seconds
from tests.support.metrics import Change
from tests.support.published_groups import SECOND_US, START_US


def test_beginning_and_what_follows(settings, publisher, open_stream):
    publisher.run(3)
    stream = open_stream(settings, start="beginning", max_groups=5)
    assert seconds([next(stream) for _ in range(3)]) == [0, 1, 2]
    publisher.run(2, first_us=START_US + 3 * SECOND_US)
    assert seconds(list(stream)) == [3, 4]


def test_the_end_is_the_default_and_what_is_published_then_is_seen(settings, publisher, open_stream):
    publisher.run(3)
    stream = open_stream(settings, max_groups=1)
    publisher.run(1, first_us=START_US + 3 * SECOND_US)
    assert seconds(list(stream)) == [3]


def test_a_group_that_is_being_published_at_the_start_is_seen_whole(settings, publisher, open_stream):
    publisher.run(1)
    committing = publisher.open(START_US + SECOND_US)
    stream = open_stream(settings, start="end", max_groups=1)
    committing()
    assert seconds(list(stream)) == [1]


@pytest.mark.parametrize(("count", "expected"), [(2, [3, 4]), (5, [0, 1, 2, 3, 4]), (9, [0, 1, 2, 3, 4])])
def test_the_last_groups(settings, publisher, open_stream, count, expected):
    publisher.run(4)
    publisher.publish(START_US + 9 * SECOND_US, abort=True)
    publisher.run(1, first_us=START_US + 4 * SECOND_US)
    stream = open_stream(settings, start=f"last:{count}", max_groups=len(expected))
    assert seconds(list(stream)) == expected


def test_the_last_groups_are_the_last_ones_asked_for(settings, publisher, open_stream):
    publisher.run(3)
    publisher.publish(START_US + 3 * SECOND_US, sources=("sb0",))
    publisher.run(1, first_us=START_US + 4 * SECOND_US)
    publisher.publish(START_US + 5 * SECOND_US, sources=("sb0",))
    stream = open_stream(settings, start="last:2", require="all", max_groups=2)
    assert seconds(list(stream)) == [2, 4]


@pytest.mark.parametrize("partitions", [3])
def test_the_last_groups_of_all_partitions_together(settings, publisher, open_stream):
    for number, partition in enumerate([0, 1, 0, 2, 0, 0, 1]):
        publisher.publish(START_US + number * SECOND_US, partition=partition)
    stream = open_stream(settings, start="last:4", merge="timestamp", max_groups=4)
    assert seconds(list(stream)) == [3, 4, 5, 6]


def test_far_more_entries_than_one_look_back(settings, publisher, open_stream):
    publisher.run(120)
    stream = open_stream(settings, start="last:100", max_groups=100)
    assert seconds(list(stream)) == list(range(20, 120))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2026-11-23T10:00:03", [3, 4]),
        ("2026-11-23T10:00:02.000001", [3, 4]),
        (datetime(2026, 11, 23, 10, 0, 4, tzinfo=UTC), [4]),
        ("2020-01-01T00:00:00", [0, 1, 2, 3, 4]),
    ],
)
def test_an_observation_time(settings, publisher, open_stream, start, expected):
    publisher.run(5)
    assert seconds(list(open_stream(settings, start=start, max_groups=len(expected)))) == expected


def test_an_observation_time_where_times_go_back(settings, publisher, open_stream):
    """Kafka's index by time is a lower bound only: a late group and a repaired one lie behind later ones."""
    for second in (0, 1, 8, 2, 3, 9, 4, 10):
        publisher.publish(START_US + second * SECOND_US)
    stream = open_stream(settings, start="2026-11-23T10:00:09", max_groups=3)
    assert seconds(list(stream)) == [9, 4, 10]


def test_an_observation_time_to_come(settings, publisher, open_stream):
    publisher.run(2)
    stream = open_stream(settings, start="2026-11-23T10:00:04", max_groups=2)
    publisher.run(4, first_us=START_US + 2 * SECOND_US)
    assert seconds(list(stream)) == [4, 5]


def test_an_offset_in_the_middle_of_a_group_skips_it_and_counts_it(settings, publisher, open_stream):
    _, second, _ = publisher.run(3)
    with Change(CUT_GROUPS) as cut:
        stream = open_stream(settings, start=AtOffset({0: second.entry.first_offset + 1}), max_groups=1)
        assert seconds(list(stream)) == [2]
    assert cut.by == 1


def test_an_offset_of_a_marker_is_that_of_the_next_group(settings, publisher, open_stream):
    first, *_ = publisher.run(3)
    stream = open_stream(settings, start=AtOffset({0: first.entry.last_offset + 1}), max_groups=2)
    assert seconds(list(stream)) == [1, 2]


def test_an_offset_past_the_end_is_refused(settings, publisher, open_stream):
    publisher.run(1)
    with pytest.raises(StartError, match="offset 99 is not in partition 0"):
        open_stream(settings, start=AtOffset({0: 99}))


def test_an_offset_that_retention_deleted_is_a_gap(settings, publisher, open_stream):
    _, second, _ = publisher.run(3)
    delete_images(settings, second.entry.first_offset)
    stream = open_stream(settings, start=AtOffset({0: 0}))
    with pytest.raises(GapError) as caught:
        next(stream)
    assert (caught.value.first_lost, caught.value.next_available) == (0, second.entry.first_offset)


@pytest.mark.parametrize("start", ["last:5", "2026-11-23T10:00:00"])
def test_images_that_are_deleted_already_move_the_start_and_are_counted(
    settings, publisher, open_stream, start
):
    *_, third, _, _ = publisher.run(5)
    delete_images(settings, third.entry.first_offset)
    with Change(STARTS_TRUNCATED) as truncated:
        assert seconds(list(open_stream(settings, start=start, max_groups=3))) == [2, 3, 4]
    assert truncated.by == 1


def test_a_beginning_that_retention_deletes_while_it_is_looked_for_is_no_gap(
    settings, publisher, open_stream
):
    """`beginning` means the oldest there is: deleting goes on while a stream starts."""
    groups = publisher.run(20)
    stop = threading.Event()

    def delete() -> None:
        for group in groups[:-1]:
            delete_images(settings, group.entry.last_offset + 1)
            if stop.is_set():
                return

    deleting = threading.Thread(target=delete)
    deleting.start()
    try:
        for _ in range(5):
            stream = open_stream(settings, start="beginning", max_groups=1)
            assert len(list(stream)) == 1
    finally:
        stop.set()
        deleting.join()
