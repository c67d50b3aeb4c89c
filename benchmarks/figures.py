"""Figures and their targets; pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """What a figure is against its target."""

    PASS = "pass"  # noqa: S105  not a password
    SHORT = "SHORT"
    SHOWN = ""  # it has no target


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach.

    Attributes:
        value: in the figure's unit.
        at_most: whether it is an upper bound; a lower one otherwise.
    """

    value: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Whether a value is good enough."""
        return value <= self.value if self.at_most else value >= self.value

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.value:,.4g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        name: what was measured.
        value: the median of the rounds, that of all their samples, or the one value there is.
        unit: of the value.
        target: what it has to reach; None: it is only shown.
        rounds: the value of each round, in order.
        beside: what stands beside it in the table: absolute rates and the like, by name with unit.
    """

    name: str
    value: float
    unit: str
    target: Target | None = None
    rounds: Sequence[float] = ()
    beside: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """Whether it reaches its target."""
        if self.target is None:
            return Verdict.SHOWN
        return Verdict.PASS if self.target.met(self.value) else Verdict.SHORT


def of_rounds(
    name: str,
    values: Sequence[float],
    unit: str,
    target: Target | None = None,
    beside: Mapping[str, float] | None = None,
) -> Figure:
    """A figure that is the median of its rounds."""
    return Figure(name, statistics.median(values), unit, target, tuple(values), beside or {})


def ratios(ours: Sequence[float], floors: Sequence[float]) -> list[float]:
    """Each round's own ratio: what slows the machine down for a while slows both sides of a round."""
    return [our / floor for our, floor in zip(ours, floors, strict=True)]


def pooled_ratio(
    name: str,
    ours: Sequence[Sequence[float]],
    floors: Sequence[Sequence[float]],
    percent: int,
    *,
    target: Target | None = None,
    beside: Mapping[str, float] | None = None,
) -> Figure:
    """A percentile of the samples of all rounds together, over the floors'; the rounds' own are its rounds.

    For a tail: the p99 of a round of a few dozen samples is little else than its worst one, and a median of
    those leaves out the rounds in which the tail is.
    """
    rounds = ratios(
        [percentile(each, percent) for each in ours], [percentile(each, percent) for each in floors]
    )
    value = percentile(pooled(ours), percent) / percentile(pooled(floors), percent)
    return Figure(name, value, "x floor", target, tuple(rounds), beside or {})


def of_samples(
    name: str,
    rounds: Sequence[Sequence[float]],
    percent: int,
    unit: str,
    *,
    target: Target | None = None,
    beside: Mapping[str, float] | None = None,
) -> Figure:
    """A percentile of the samples of all rounds together, for a tail as `pooled_ratio` is."""
    value, of_each = percentile(pooled(rounds), percent), tuple(percentile(each, percent) for each in rounds)
    return Figure(name, value, unit, target, of_each, beside or {})


def pooled(rounds: Sequence[Sequence[float]]) -> list[float]:
    """The samples of all rounds."""
    return [sample for each in rounds for sample in each]


def percentile(values: Sequence[float], percent: int) -> float:
    """A percentile, interpolated between values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The slope of the line that fits the points (x, y) best, by least squares."""
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope
