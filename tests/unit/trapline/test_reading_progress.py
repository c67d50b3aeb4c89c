from dataclasses import replace

import pytest

from consumer.group_range import GroupRange
from consumer.start import LastGroups
from grouper.regroup import Regrouped
from tests.support.published_groups import SECOND_US, START_US
from trapline import reading_progress
from trapline.commands import regroup
from trapline.reading_progress import ReadingProgress

RANGE = GroupRange(from_us=START_US)


class Log:
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def info(self, event, **fields):
        self.lines.append({"event": event, **fields})


def told(monkeypatch, steps, where=RANGE, **options):
    """The log lines of a reading, 10 s of the clock between two groups."""
    clock, log = iter(range(1000, 2000, 10)), Log()
    monkeypatch.setattr(reading_progress.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(reading_progress, "log", log)
    with ReadingProgress("served", **options) as progress:
        progress.expect(where, START_US + 40 * SECOND_US)
        for second in steps:
            progress.advance(START_US + second * SECOND_US, 10)
    return log.lines


def test_without_a_terminal_lines_say_how_far_it_is_and_how_long_it_takes(monkeypatch):
    lines = told(monkeypatch, [0, 10, 30])
    assert [line["at"] for line in lines] == [
        "2026-11-23T10:00:00.000000Z",
        "2026-11-23T10:00:10.000000Z",
        "2026-11-23T10:00:30.000000Z",
    ]
    # 20 s for a quarter; 30 s for three quarters.
    assert [line["left"] for line in lines] == ["-", "1 min 00 s", "10.0 s"]


def test_a_quiet_one_says_nothing(monkeypatch):
    assert told(monkeypatch, [0, 10, 30], quiet=True) == []


@pytest.mark.parametrize("where", [GroupRange(limit=4), GroupRange(LastGroups(4)), replace(RANGE, limit=4)])
def test_a_bounded_number_of_groups_ends_before_the_range_does(monkeypatch, where):
    # After the first of four groups 10 s; the observation time alone would say minutes.
    lines = told(monkeypatch, [0, 1, 2, 3], where)
    assert [line["left"] for line in lines] == ["30.0 s", "20.0 s", "10.0 s", "0 s"]


def test_a_regrouping_says_how_long_it_takes(monkeypatch):
    clock, log = iter(range(1000, 2000, 10)), Log()
    monkeypatch.setattr(regroup.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(regroup, "log", log)
    with regroup._Progress() as progress:
        for done in (5, 25, 85):
            progress.show(Regrouped(total=105, done=done))
    # Of 100 records 20 after 20 s, 80 after 30 s.
    assert [line["left"] for line in log.lines] == ["-", "1 min 20 s", "7.5 s"]
