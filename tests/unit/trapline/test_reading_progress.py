from consumer.group_range import GroupRange
from tests.support.published_groups import SECOND_US, START_US
from trapline import reading_progress
from trapline.reading_progress import ReadingProgress


class Log:
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def info(self, event, **fields):
        self.lines.append({"event": event, **fields})


def told(monkeypatch, steps, **options):
    """The log lines of a reading, 10 s of the clock between two groups."""
    clock, log = iter(range(1000, 2000, 10)), Log()
    monkeypatch.setattr(reading_progress.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(reading_progress, "log", log)
    with ReadingProgress("served", **options) as progress:
        progress.expect(GroupRange(from_us=START_US), START_US + 40 * SECOND_US)
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
