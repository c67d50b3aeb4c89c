"""Retention overtakes a reader, groups are cut, records are foreign: named or counted, never silent."""

import pytest

from consumer.errors import GapError
from consumer.metrics import CUT_GROUPS, GAP_RECORDS, GAPS, PASSED_OVER, UNREADABLE
from tests.support.group_topics import committed, delete_images, seconds
from tests.support.metrics import Change
from tests.support.published_groups import SECOND_US, START_US
from tests.support.waiting import wait_until


def small(settings, **values):
    """Reads one group ahead of the one in hand, so that retention can be faster."""
    return settings.model_copy(update={"read_ahead_groups": 1, **values})


def overtaken(settings, publisher, stream):
    """A reader with the first group in hand and the second read ahead; the next three are deleted."""
    publisher.run(2)
    assert seconds([next(stream)]) == [0]
    groups = publisher.run(5, first_us=START_US + 2 * SECOND_US)
    # Until the queue is full and its partition is paused, the client may have fetched what is deleted.
    wait_until(lambda: stream._fetcher._pace.paused, "the partition to be paused")
    delete_images(settings, groups[3].entry.first_offset)
    return groups


def test_a_reader_that_is_overtaken_gets_an_error_that_names_what_is_lost(settings, publisher, open_stream):
    stream = open_stream(small(settings), group_id=settings.topic_prefix)
    groups = overtaken(settings, publisher, stream)
    assert seconds([next(stream)]) == [1]  # read before
    with pytest.raises(GapError) as caught:
        next(stream)
    error = caught.value
    assert (error.partition, error.topic) == (0, settings.topics.groups)
    assert error.next_available == groups[3].entry.first_offset
    assert groups[0].entry.first_offset - 1 <= error.first_lost <= groups[0].entry.first_offset
    assert "TRAPLINE_ON_GAP=skip" in str(error)
    # What was handed out before is done with, and that is remembered.
    wait_until(lambda: committed(settings, settings.topic_prefix) == error.first_lost, "the last commit")
    with pytest.raises(GapError):
        next(stream)


def test_the_error_comes_again_at_the_next_start_until_skipping_is_chosen(settings, publisher, open_stream):
    groups = publisher.run(4)
    with open_stream(settings, group_id=settings.topic_prefix, max_groups=1) as stream:
        assert seconds(list(stream)) == [0]
    delete_images(settings, groups[2].entry.first_offset)
    for _ in range(2):
        with open_stream(settings, group_id=settings.topic_prefix) as stream, pytest.raises(GapError):
            next(stream)
    with open_stream(settings, group_id=settings.topic_prefix, on_gap="skip", max_groups=2) as stream:
        assert seconds(list(stream)) == [2, 3]


def test_skipping_counts_what_is_lost_and_goes_on(settings, publisher, open_stream):
    stream = open_stream(small(settings, on_gap="skip"), group_id=settings.topic_prefix)
    with Change(GAPS) as gaps, Change(GAP_RECORDS) as lost:
        groups = overtaken(settings, publisher, stream)
        assert seconds([next(stream) for _ in range(3)]) == [1, 5, 6]
    assert gaps.by == 1
    first_lost = groups[0].entry.first_offset
    assert lost.by - (groups[3].entry.first_offset - first_lost) in (0, 1)  # the marker before it
    stream.commit()
    assert committed(settings, settings.topic_prefix) == groups[4].entry.last_offset + 1


@pytest.mark.parametrize("partitions", [2])
def test_a_gap_in_one_partition_leaves_the_others_alone(settings, publisher, open_stream):
    for number in range(6):
        publisher.publish(START_US + number * SECOND_US, partition=number % 2)
    with open_stream(settings, group_id=settings.topic_prefix, merge="timestamp", max_groups=2) as stream:
        assert seconds(list(stream)) == [0, 1]
    third = 8  # two groups of three images and a marker
    delete_images(settings, third, partition=0)
    with (
        Change(GAPS) as gaps,
        open_stream(
            settings, group_id=settings.topic_prefix, on_gap="skip", merge="timestamp", max_groups=3
        ) as stream,
    ):
        assert seconds(list(stream)) == [3, 4, 5]
    assert gaps.by == 1


def test_retention_in_the_middle_of_a_group_cuts_it(settings, publisher, open_stream):
    groups = publisher.run(3)
    delete_images(settings, groups[0].entry.first_offset + 2)
    with Change(CUT_GROUPS) as cut:
        stream = open_stream(settings, start="beginning", max_groups=2)
        assert seconds(list(stream)) == [1, 2]
    assert cut.by == 1


def test_a_group_with_a_hole_is_skipped_and_counted(settings, publisher, open_stream):
    publisher.publish(START_US)
    publisher.publish(START_US + SECOND_US, leave_out=(1,))
    publisher.publish(START_US + 2 * SECOND_US)
    with Change(CUT_GROUPS) as cut:
        stream = open_stream(settings, start="beginning", max_groups=2)
        assert seconds(list(stream)) == [0, 2]
    assert cut.by == 1


def test_aborted_groups_are_never_seen(settings, publisher, open_stream):
    publisher.publish(START_US, abort=True)
    publisher.publish(START_US)
    publisher.publish(START_US + SECOND_US, abort=True)
    publisher.publish(START_US + SECOND_US)
    with Change(CUT_GROUPS) as cut:
        stream = open_stream(settings, start="beginning", max_groups=2)
        assert seconds(list(stream)) == [0, 1]
    assert cut.by == 0


@pytest.mark.parametrize("value", [b"not an image", None])
def test_a_foreign_record_is_counted_and_the_rest_is_untouched(settings, publisher, open_stream, value):
    publisher.publish(START_US)
    publisher.foreign(value=value)
    publisher.publish(START_US + SECOND_US)
    with Change(UNREADABLE.labels(topic="groups")) as unreadable:
        stream = open_stream(settings, start="beginning", max_groups=2)
        assert seconds(list(stream)) == [0, 1]
    assert unreadable.by == 1


@pytest.mark.parametrize(
    ("options", "expected", "reason"),
    [
        ({"require": "all", "revisions": "all"}, [0, 3], "incomplete"),
        ({"require": 2, "revisions": "all"}, [0, 2, 3], "too_few"),
        ({"require": "any", "revisions": "first"}, [0, 1, 2], "revision"),
    ],
)
def test_what_is_not_asked_for_is_counted(  # noqa: PLR0917 - pytest's way
    settings, publisher, open_stream, options, expected, reason
):
    publisher.publish(START_US)
    publisher.publish(START_US + SECOND_US, sources=("sb1",))
    publisher.publish(START_US + 2 * SECOND_US, sources=("sb1", "sb2"))
    publisher.publish(START_US + 3 * SECOND_US, revision=2)
    with Change(PASSED_OVER.labels(reason=reason)) as passed:
        stream = open_stream(settings, start="beginning", idle_timeout_s=2.0, **options)
        assert seconds(list(stream)) == expected
    assert passed.by == 4 - len(expected)
