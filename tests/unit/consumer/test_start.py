from datetime import UTC, datetime, timedelta, timezone

import pytest

from consumer.errors import StartError
from consumer.start import AtOffset, AtTime, Beginning, End, LastGroups, parse_start
from tests.support.published_groups import SECOND_US, START_US


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("beginning", Beginning()),
        (" end ", End()),
        ("last:5", LastGroups(5)),
        ("2026-11-23T10:00:00", AtTime(START_US)),
        ("2026-11-23T10:00:00.000001Z", AtTime(START_US + 1)),
        ("2026-11-23T11:00:00+01:00", AtTime(START_US)),
        (datetime(2026, 11, 23, 10, 0, 1, tzinfo=UTC), AtTime(START_US + SECOND_US)),
        (datetime(2026, 11, 23, 11, tzinfo=timezone(timedelta(hours=1))), AtTime(START_US)),
        (AtOffset({0: 7}), AtOffset({0: 7})),
    ],
)
def test_a_start_as_people_write_it(text, start):
    assert parse_start(text) == start


@pytest.mark.parametrize("text", ["", "now", "last:", "last:-1", "last:x", "last:²", "yesterday at noon"])
def test_what_is_no_start(text):
    with pytest.raises(StartError, match="is no start position"):
        parse_start(text)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(StartError, match="no time zone"):
        parse_start(datetime(2026, 11, 23, 10))  # noqa: DTZ001 - that is the mistake
