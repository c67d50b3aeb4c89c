"""How far a verb that reads history has come: a line that moves on a terminal, log lines elsewhere."""

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.group_range import GroupRange
from runtime.logs import get_logger
from schemas.timestamp import format_timestamp
from trapline.tables import NOTHING, duration_text

TELL_S: Final = 10.0  # between two log lines

log = get_logger(__name__)


class ReadingProgress:
    """Groups and bytes so far, the rate, the observation time reached, and the time left.

    The time left goes by observation time, so it is known where a range has an end, and only as good as
    the cadence is even; or by the number of groups, where that is bounded and nearer.
    """

    def __init__(self, verb: str, *, quiet: bool = False) -> None:
        """Begin to count.

        Args:
            verb: what is done to groups: "exported".
            quiet: show nothing.
        """
        self._verb = verb
        self._quiet = quiet
        self._began_s = self._told_s = time.monotonic()
        self._groups = 0
        self._bytes = 0
        self._first_us: int | None = None
        self._last_us: int | None = None
        self._most: int | None = None
        console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        if console.is_terminal and not quiet:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(verb, total=None)
            self._bar.start()

    def expect(self, where: GroupRange, newest_us: int) -> None:
        """Groups of this range will come, the newest there is of this observation time."""
        self._first_us = where.from_us
        self._last_us = newest_us if where.to_us is None else min(newest_us, where.to_us)
        self._most = where.most

    def advance(self, timestamp_us: int, size_bytes: int) -> None:
        """A group is done."""
        self._groups += 1
        self._bytes += size_bytes
        if self._first_us is None:
            self._first_us = timestamp_us
        now_s = time.monotonic()
        if self._bar is not None:
            share = self._share(timestamp_us)
            self._bar.update(
                self._task,
                description=f"{self._verb} {self._groups} groups, {self._rate(now_s)}, "
                f"{format_timestamp(timestamp_us)}",
                total=None if share is None else 1.0,
                completed=share or 0.0,
            )
        elif not self._quiet and now_s >= self._told_s + TELL_S:
            self._told_s = now_s
            log.info(
                self._verb,
                groups=self._groups,
                rate=self._rate(now_s),
                at=format_timestamp(timestamp_us),
                left=self._left(timestamp_us, now_s),
            )

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _left(self, timestamp_us: int, now_s: float) -> str:
        share = self._share(timestamp_us)
        if not share:
            return NOTHING
        return duration_text((now_s - self._began_s) * (1 - share) / share)

    def _share(self, timestamp_us: int) -> float | None:
        """How much of the range is done, 0 to 1; None where it has no known end."""
        shares = []
        if self._first_us is not None and self._last_us is not None:
            shares.append((timestamp_us - self._first_us) / max(1, self._last_us - self._first_us))
        if self._most is not None:
            shares.append(self._groups / self._most)
        return min(1.0, max(0.0, *shares)) if shares else None

    def _rate(self, now_s: float) -> str:
        seconds = max(now_s - self._began_s, 1e-3)
        return f"{self._groups / seconds:.1f} groups/s, {self._bytes / seconds / 1e6:.0f} MB/s"
