"""When each group of a replay is due, pure: time is an argument.

Observation times that were a second apart come a second apart again, or a tenth of it at speed 10. Due
times are counted in whole microseconds of observation time from the first group, so they never drift: a
replay that was held up catches up. Times of history do not always go forward evenly, so

- a gap longer than `max_gap_s` counts as that long: nobody waits for hours where the telescope stood still;
- a group that is earlier than the one before it (a repaired one, a second run) is due at once;
- from there on steps forward are kept, within what was passed already as well: a run that was sent twice
  is replayed at its cadence twice. A longer step than `max_gap_s` is none there: it is another run's;
- and whoever is later than all before is due by the time of the latest, unless that is over: the groups
  after a repaired one come when they would have come without it.
"""

import math
from dataclasses import dataclass
from typing import Final

from consumer.errors import RangeError

MAX_SPEED: Final = math.inf
"""As fast as it goes."""

MAX_GAP_S: Final = 60.0
"""What a longer gap counts as where nothing else is said."""

LONGEST_GAP_S: Final = 7 * 86_400.0
_SLOWEST, _FASTEST = 0.001, 1_000_000.0
_MICROSECONDS: Final = 1_000_000

_AWAKE_S: Final = 0.005
_AWAKE_SHARE: Final = 0.05


def parse_speed(text: str) -> float:
    """A speed as people say it: 'max', or how many times as fast as it was observed, e.g. '1', '0.5', '10x'.

    Raises:
        RangeError: it is none.
    """
    said = text.strip().lower()
    if said == "max":
        return MAX_SPEED
    try:
        speed = float(said.removesuffix("x"))
    except ValueError:
        speed = math.nan
    if not _SLOWEST <= speed <= _FASTEST:
        raise RangeError(
            f"{text!r} is no speed: say max, or how many times as fast as it was observed, "
            f"{_SLOWEST:g} to {_FASTEST:.0f}, e.g. 1 or 10"
        )
    return speed


def speed_text(speed: float) -> str:
    """A speed as it is typed."""
    return "max" if speed == MAX_SPEED else f"{speed:.15g}"


def awake_s(wait_s: float) -> float:
    """How long before the end of a wait not to sleep any more, seconds.

    A core that sleeps is woken late: on an idle virtual machine a bare loop that slept until a group was
    due came 3.8 ms late in the median, 12.7 ms at the 99th percentile (docs/benchmarks.md). To be awake costs
    a two-hundredth of a core at a group a second, a twentieth at most.

    Args:
        wait_s: the whole wait, seconds.
    """
    return min(_AWAKE_S, max(wait_s, 0.0) * _AWAKE_SHARE)


@dataclass(frozen=True, slots=True)
class Cadence:
    """How fast groups follow each other.

    Attributes:
        speed: how many times as fast as they were observed; `MAX_SPEED`: all are due at once.
        max_gap_s: longer gaps of observation time count as so many seconds (divided by the speed).
    """

    speed: float = 1.0
    max_gap_s: float = MAX_GAP_S

    @property
    def paced(self) -> bool:
        """Whether there is anything to wait for."""
        return self.speed != MAX_SPEED

    def begin(self) -> "Schedule":
        """The schedule of one replay."""
        return Schedule(self)


class Schedule:
    """The due times of one replay, asked for in the order of delivery.

    Attributes:
        elapsed_us: observation time replayed up to the last group asked for, gaps shortened, microseconds.
        cut_us: by how much gaps were shortened, microseconds.
    """

    def __init__(self, cadence: Cadence) -> None:
        self.elapsed_us = 0
        self.cut_us = 0
        self._cadence = cadence
        self._max_gap_us = round(cadence.max_gap_s * _MICROSECONDS)
        self._began_s: float | None = None
        self._last_us = 0  # observation time of the group asked for last
        self._latest_us = 0  # of the latest one so far,
        self._latest_elapsed_us = 0  # and `elapsed_us` at that one

    def due_s(self, timestamp_us: int, now_s: float) -> float:
        """When this group is due, on the clock of `now_s`; never before the one before it.

        Args:
            timestamp_us: its observation time, microseconds since 1970 UTC.
            now_s: a monotonic clock. The first group is due now; later only the schedule counts.
        """
        if self._began_s is None:
            self._began_s = now_s
        elif timestamp_us > self._latest_us:
            before_us, gap_us = self._latest_elapsed_us, timestamp_us - self._latest_us
            if before_us + min(gap_us, self._max_gap_us) < self.elapsed_us:
                before_us, gap_us = self.elapsed_us, timestamp_us - self._last_us
            kept_us = min(gap_us, self._max_gap_us)
            self.elapsed_us = before_us + kept_us
            self.cut_us += gap_us - kept_us
        elif 0 < timestamp_us - self._last_us <= self._max_gap_us:
            self.elapsed_us += timestamp_us - self._last_us
        self._last_us = timestamp_us
        if timestamp_us >= self._latest_us:
            self._latest_us, self._latest_elapsed_us = timestamp_us, self.elapsed_us
        return self._began_s + self.elapsed_us / _MICROSECONDS / self._cadence.speed
