"""The steps of observation times, and what is missing between them: pure, in bounded memory.

Times come in the order of the log, which may go back: runs overlap, partitions are merged. So what is kept
is not the last time but the stretches that were covered, and a gap is what lies between two of them at the
end.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_high
from typing import Final

MORE_THAN: Final = 1.5
"""Cadences between two timestamps that make a gap."""

MAX_STRETCHES: Final = 10_000
"""Stretches that are kept; with more, the earliest gaps are settled: nothing can fill them any more."""

LISTED: Final = 100
"""Gaps that are named one by one."""

_STEPS: Final = 101  # steps that the cadence is the median of
_FIRST: Final = 64  # times that are kept back until the cadence is known


@dataclass(frozen=True, slots=True)
class Gap:
    """Timestamps that are not there.

    Attributes:
        after_us: the last one before it, microseconds since 1970 UTC.
        before_us: the first one after it.
        missing: how many fit between, by the cadence.
    """

    after_us: int
    before_us: int
    missing: int


class Sequence:
    """Observation times as they come.

    Attributes:
        repeated: how many of them had been there before.
    """

    def __init__(self, cadence_us: int | None = None) -> None:
        """Begin with none.

        Args:
            cadence_us: the step between timestamps, where it is known; default: the median of the last steps.
        """
        self.repeated = 0
        self._given_us = cadence_us
        self._steps: deque[int] = deque(maxlen=_STEPS)
        self._waiting: list[int] | None = []
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._settled: list[Gap] = []
        self._settled_gaps = 0
        self._settled_missing = 0

    @property
    def cadence_us(self) -> int | None:
        """The step between timestamps; None: fewer than two have come."""
        if self._given_us is not None:
            return self._given_us
        steps = list(self._steps)
        if self._waiting:
            steps += [later - earlier for earlier, later in pairwise(sorted(set(self._waiting)))]
        return median_high(steps) if steps else None

    def add(self, timestamp_us: int) -> None:
        """One more; the same a second time is counted and changes nothing."""
        if self._waiting is None:
            self._put(timestamp_us)
            return
        self._waiting.append(timestamp_us)
        if len(self._waiting) >= _FIRST:
            self._begin()

    def gaps(self) -> tuple[int, int, tuple[Gap, ...]]:
        """How many gaps there are, how many timestamps they lack, and the first of them."""
        if self._waiting is not None:
            self._begin()
        found = [
            self._gap(after_us, before_us)
            for after_us, before_us in zip(self._lasts, self._firsts[1:], strict=False)
        ]
        return (
            self._settled_gaps + len(found),
            self._settled_missing + sum(gap.missing for gap in found),
            (*self._settled, *found)[:LISTED],
        )

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        times = sorted(waiting)
        self._steps.extend(later - earlier for earlier, later in pairwise(times) if later > earlier)
        for timestamp_us in times:
            self._put(timestamp_us, learn=False)

    def _put(self, timestamp_us: int, *, learn: bool = True) -> None:
        at = bisect_right(self._firsts, timestamp_us) - 1  # the last stretch that begins at or before it
        if at >= 0 and timestamp_us <= self._lasts[at]:
            # Inside a stretch not every time is remembered; its ends are.
            self.repeated += timestamp_us in (self._firsts[at], self._lasts[at])
            return
        if learn and at >= 0:
            self._steps.append(timestamp_us - self._lasts[at])
        near_us = (self.cadence_us or 0) * MORE_THAN
        joins_before = at >= 0 and timestamp_us - self._lasts[at] <= near_us
        after = at + 1
        joins_after = after < len(self._firsts) and self._firsts[after] - timestamp_us <= near_us
        if joins_before and joins_after:
            self._lasts[at] = self._lasts.pop(after)
            del self._firsts[after]
        elif joins_before:
            self._lasts[at] = timestamp_us
        elif joins_after:
            self._firsts[after] = timestamp_us
        else:
            self._firsts.insert(after, timestamp_us)
            self._lasts.insert(bisect_left(self._lasts, timestamp_us), timestamp_us)
            if len(self._firsts) > MAX_STRETCHES:
                self._settle()

    def _settle(self) -> None:
        """Count the earliest gap for good, and join what lies around it."""
        gap = self._gap(self._lasts[0], self._firsts[1])
        self._settled_gaps += 1
        self._settled_missing += gap.missing
        if len(self._settled) < LISTED:
            self._settled.append(gap)
        del self._firsts[1], self._lasts[0]

    def _gap(self, after_us: int, before_us: int) -> Gap:
        cadence_us = self.cadence_us or 1
        return Gap(after_us, before_us, max(1, round((before_us - after_us) / cadence_us) - 1))
