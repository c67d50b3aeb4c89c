"""Timestamps that were published again: which of their publications a reader gets."""

import pytest

from consumer.group_range import group_range
from tests.support.published_groups import START_US


def at(second):
    return START_US + second * 1_000_000


@pytest.fixture
def repaired(publisher):
    """Five seconds; the second was published again after the third, the fourth twice at the end."""
    publisher.publish(at(0))
    publisher.publish(at(1), sources=("sb1",))
    publisher.publish(at(2))
    publisher.publish(at(1), sources=("sb0", "sb1"), revision=2)
    publisher.publish(at(3), sources=("sb1",))
    publisher.publish(at(4))
    publisher.publish(at(3), sources=("sb0", "sb1"), revision=2)
    publisher.publish(at(3), revision=3)


def read(stream):
    return [((group.timestamp_us - START_US) // 1_000_000, group.revision) for group in stream]


@pytest.mark.usefixtures("repaired")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]),
        ({"revisions": "last"}, [(0, 1), (2, 1), (1, 2), (4, 1), (3, 3)]),
        ({"revisions": "all"}, [(0, 1), (1, 1), (2, 1), (1, 2), (3, 1), (4, 1), (3, 2), (3, 3)]),
        ({"revisions": "last", "start": "last:3"}, [(1, 2), (4, 1), (3, 3)]),
        ({"revisions": "last", "start": "2026-11-23T10:00:03"}, [(4, 1), (3, 3)]),
        ({"revisions": "last", "require": "all"}, [(0, 1), (2, 1), (4, 1), (3, 3)]),
    ],
)
def test_which_publication_of_a_timestamp_comes(settings, open_stream, options, expected):
    stream = open_stream(settings, **{"start": "beginning", "idle_timeout_s": 2.0, **options})
    assert read(stream) == expected


@pytest.mark.usefixtures("repaired")
def test_a_revision_that_lies_behind_groups_after_the_range_is_part_of_it(settings, open_stream):
    where = group_range(beginning=True, to="2026-11-23T10:00:04")
    stream = open_stream(settings, where=where, revisions="last", idle_timeout_s=2.0)
    assert read(stream) == [(0, 1), (2, 1), (1, 2), (3, 3)]


@pytest.mark.usefixtures("repaired")
def test_a_consumer_group_goes_on_with_the_newest(settings, open_stream):
    options = {"group_id": "g", "start": "beginning", "revisions": "last"}
    with open_stream(settings, max_groups=2, **options) as stream:
        assert read(stream) == [(0, 1), (2, 1)]
    assert read(open_stream(settings, max_groups=3, **options)) == [(1, 2), (4, 1), (3, 3)]


def test_what_is_published_later_is_the_newest_when_it_comes(settings, publisher, open_stream):
    stream = open_stream(settings, start="beginning", revisions="last", max_groups=2)
    publisher.publish(at(0), sources=("sb1",))
    publisher.publish(at(0), revision=2)
    assert read(stream) == [(0, 1), (0, 2)]
