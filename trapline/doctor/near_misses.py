"""Finds groups of one moment that came apart because sources disagree about the time: pure.

The grouper counts them by the same rule (grouper/near_miss.py); here it is also said which sources disagree,
and by how much, which is what somebody at the image servers needs.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from schemas.catalogue import CatalogueEntry


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two sets of sources that never meet in a group.

    Attributes:
        earlier: sources whose timestamps come first,
        later: and those that come after them.
        apart_s: by how much, seconds; the median of the pairs.
        pairs: how many pairs of groups there are.
        cadence_s: the usual step between a source's timestamps.
    """

    earlier: tuple[str, ...]
    later: tuple[str, ...]
    apart_s: float
    pairs: int
    cadence_s: float

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.pairs} times {', '.join(self.later)} came {self.apart_s:.6g} s after "
            f"{', '.join(self.earlier)}, in groups of their own; the cadence is {self.cadence_s:.6g} s"
        )


def disagreements(entries: Iterable[CatalogueEntry]) -> tuple[Disagreement, ...]:
    """Incomplete groups less than half a cadence apart that share no source; the most frequent first.

    Args:
        entries: of the catalogue, in any order; of a timestamp the last revision counts.
    """
    latest: dict[int, CatalogueEntry] = {}
    for entry in entries:
        there = latest.get(entry.timestamp_us)
        if there is None or there.revision <= entry.revision:
            latest[entry.timestamp_us] = entry
    cadence_us = _cadence_us(latest)
    if cadence_us is None:
        return ()
    incomplete = [latest[time_us] for time_us in sorted(latest) if not latest[time_us].complete]
    apart: defaultdict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = defaultdict(list)
    for number, later in enumerate(incomplete):
        for earlier in reversed(incomplete[:number]):
            step_us = later.timestamp_us - earlier.timestamp_us
            if step_us >= cadence_us / 2:
                break
            if set(earlier.present).isdisjoint(later.present):
                apart[tuple(sorted(earlier.present)), tuple(sorted(later.present))].append(step_us)
    found = [
        Disagreement(earlier, later, median(steps) / 1e6, len(steps), cadence_us / 1e6)
        for (earlier, later), steps in apart.items()
    ]
    return tuple(sorted(found, key=lambda each: -each.pairs))


def _cadence_us(entries: dict[int, CatalogueEntry]) -> float | None:
    """The median step between the timestamps of one source, over all sources."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    for time_us in sorted(entries):
        for source in entries[time_us].present:
            times[source].append(time_us)
    steps = [after - before for of_source in times.values() for before, after in pairwise(of_source)]
    return median(steps) if steps else None
