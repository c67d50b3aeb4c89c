"""Timestamps that a source lacks, by the cadence of all: told apart, and no finding by themselves."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low
from typing import Final

MAX_LISTED: Final = 100
"""Gaps that are listed one by one, of each source."""

_MORE_THAN: Final = 1.5  # cadences between two images of a source


@dataclass(frozen=True, slots=True)
class Gap:
    """Images that a source did not deliver, or not in time.

    Attributes:
        after_us: the timestamp of the last image before it.
        before_us: of the first one after it.
        missing: how many images fit between, by the cadence.
    """

    after_us: int
    before_us: int
    missing: int


@dataclass(frozen=True, slots=True)
class SourceGaps:
    """The gaps of one source.

    Attributes:
        images: how many of its images were grouped.
        gaps: how many gaps there are.
        missing: images that fit into all of them.
        listed: the first of them.
    """

    images: int
    gaps: int
    missing: int
    listed: tuple[Gap, ...]


def cadence_us(timestamps: Iterable[int]) -> int | None:
    """The usual step between timestamps of all sources together, microseconds; None for fewer than two."""
    steps = [later - earlier for earlier, later in pairwise(sorted(set(timestamps)))]
    return median_low(steps) if steps else None


def gaps_by_source(presence: Iterable[tuple[int, tuple[str, ...]]]) -> dict[str, SourceGaps]:
    """Where each source is missing between its first and its last image.

    Args:
        presence: timestamps, each with the sources that were grouped; in any order, of all partitions.
    """
    times: dict[str, list[int]] = {}
    every: list[int] = []
    for timestamp_us, sources in presence:
        every.append(timestamp_us)
        for source in sources:
            times.setdefault(source, []).append(timestamp_us)
    step_us = cadence_us(every)
    return {source: _gaps(sorted(times[source]), step_us) for source in sorted(times)}


def _gaps(times: list[int], step_us: int | None) -> SourceGaps:
    found = [
        Gap(earlier, later, round((later - earlier) / step_us) - 1)
        for earlier, later in pairwise(times)
        if step_us and later - earlier > _MORE_THAN * step_us
    ]
    return SourceGaps(len(times), len(found), sum(gap.missing for gap in found), tuple(found[:MAX_LISTED]))
