"""Whether a figure that was sampled over time stays where it is. Pure: no process, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Final

_HOUR_S: Final = 3600.0
_MOST_POINTS: Final = 240  # of Theil and Sen's pairs there are then 28,680
_ENDS: Final = 10  # samples whose median is shown as the first, and as the last


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a figure may grow over the time that is judged, and still be called flat.

    Attributes:
        floor: in the figure's own unit; what comes and goes.
        share: of its median, where that is more.
    """

    floor: float
    share: float = 0.05


@dataclass(frozen=True, slots=True)
class Course:
    """What became of one figure.

    Attributes:
        name: of the figure.
        first: median of the first ten samples that are judged.
        last: median of the last ten.
        peak: the highest of all.
        slope_per_hour: Theil and Sen's: the median of the slopes between all pairs of samples. Half of all
            samples may be outliers before it is moved.
        growth: that slope over the time that is judged.
        allowed: how much would be flat.
    """

    name: str
    first: float
    last: float
    peak: float
    slope_per_hour: float
    growth: float
    allowed: float

    @property
    def flat(self) -> bool:
        """Whether it has not grown by more than is allowed. What shrinks is flat."""
        return self.growth <= self.allowed


def course(name: str, times_s: Sequence[float], values: Sequence[float], allowance: Allowance) -> Course:
    """Judge one figure.

    Args:
        name: of the figure.
        times_s: of the samples, ascending; without the warm-up.
        values: the samples.
        allowance: what is flat.

    Raises:
        ValueError: fewer than three samples.
    """
    if len(values) < 3 or len(times_s) != len(values):  # a slope of two says nothing
        raise ValueError(f"{name}: {len(values)} samples at {len(times_s)} times cannot be judged")
    slope_s = _theil_sen(times_s, values)
    ends = min(_ENDS, len(values) // 3)
    return Course(
        name=name,
        first=median(values[:ends]),
        last=median(values[-ends:]),
        peak=max(values),
        slope_per_hour=slope_s * _HOUR_S,
        growth=slope_s * (times_s[-1] - times_s[0]),
        allowed=max(allowance.floor, allowance.share * median(values)),
    )


def table(courses: Sequence[Course], units: Mapping[str, str]) -> str:
    """The verdict as text, a line a figure."""
    columns = f"{'first':>9} {'last':>9} {'peak':>9} {'an hour':>9} {'growth':>8} {'allowed':>8}"
    head = f"{'figure':<28} {columns}  verdict"
    lines = [head, "-" * len(head)]
    for each in courses:
        unit = units.get(each.name.rpartition(" ")[2], "")
        lines.append(
            f"{(each.name + ' ' + unit).strip():<28} {each.first:>9.1f} {each.last:>9.1f} {each.peak:>9.1f} "
            f"{each.slope_per_hour:>+9.1f} {each.growth:>+8.1f} {each.allowed:>8.1f}  "
            f"{'flat' if each.flat else 'GROWS'}"
        )
    return "\n".join(lines)


def _theil_sen(times_s: Sequence[float], values: Sequence[float]) -> float:
    step = -(-len(values) // _MOST_POINTS)
    points = list(zip(times_s, values, strict=True))[::step]
    return median((later - value) / (to_s - at_s) for (at_s, value), (to_s, later) in combinations(points, 2))
