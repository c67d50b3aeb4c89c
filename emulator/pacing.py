"""When a step is sent and which timestamp it carries. Pure: both clocks are arguments."""

from dataclasses import dataclass

MICROSECONDS = 1_000_000
_LEAD_S = 0.2
"""Time between the decision to start and the first step, for its images to be rendered."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast steps follow each other, and how their timestamps do.

    Attributes:
        rate_hz: steps a second; None: as fast as the clients read.
        start_us: timestamp of the first step, microseconds since 1970 UTC; None: the time of the start.
        cadence_us: microseconds from one timestamp to the next. None: the wall clock's, so 1 / rate_hz, or
            whatever it comes to where the clients set the rate.
    """

    rate_hz: float | None
    start_us: int | None = None
    cadence_us: int | None = None

    def begin(self, wall_us: int, monotonic_s: float) -> "Schedule":
        """The schedule of a run that begins now.

        A paced run without a start time begins on the next whole period (at most the next whole second),
        as a correlator's integrations do.
        """
        first_us, first_s = wall_us, monotonic_s
        if self.rate_hz is not None:
            grid_us = max(1, min(round(MICROSECONDS / self.rate_hz), MICROSECONDS))
            first_us = -(-(wall_us + round(_LEAD_S * MICROSECONDS)) // grid_us) * grid_us
            first_s = monotonic_s + (first_us - wall_us) / MICROSECONDS
        return Schedule(self, self.start_us if self.start_us is not None else first_us, first_s)


class Schedule:
    """The timestamps and the due times of one run.

    Args:
        pace: what was asked for.
        first_us: timestamp of step 0, microseconds since 1970 UTC.
        first_s: when step 0 is due, on the monotonic clock.
    """

    def __init__(self, pace: Pace, first_us: int, first_s: float) -> None:
        self._pace = pace
        self._first_us = first_us
        self._first_s = first_s
        self._last_us: int | None = None

    def due_s(self, step: int) -> float:
        """When a step is due on the monotonic clock; counted from the first step, so that it never drifts."""
        if self._pace.rate_hz is None:
            return self._first_s
        return self._first_s + step / self._pace.rate_hz

    def nominal_us(self, step: int) -> int:
        """The time at which the sky is taken for a step: its timestamp, where that is known beforehand."""
        if self._pace.cadence_us is not None:
            return self._first_us + step * self._pace.cadence_us
        return self._first_us + round(step * MICROSECONDS / (self._pace.rate_hz or 1.0))

    def timestamp_us(self, step: int, wall_us: int) -> int:
        """The timestamp of a step that is sent now; later than that of the step asked for before."""
        scheduled = self._pace.rate_hz is not None or self._pace.cadence_us is not None
        if scheduled or self._pace.start_us is not None:
            timestamp_us = self.nominal_us(step)
        elif self._last_us is None:
            timestamp_us = wall_us
        else:
            timestamp_us = max(self._last_us + 1, wall_us)
        self._last_us = timestamp_us
        return timestamp_us
