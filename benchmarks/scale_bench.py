"""Several partitions and groupers on three brokers: throughput, balance, what a change costs a partition.

Everything shares this machine's cores, so more groupers are no faster here; what is shown is that the work
divides, in order and once, and what a change costs.
"""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from benchmarks.bed import Bed
from benchmarks.figures import Figure
from benchmarks.fleet import Fleet, Published
from benchmarks.plan import SMALL, SOURCES, Plan
from benchmarks.raw_load import RawLoad

_GRID: Final = (
    (1, 1),
    (1, 2),
    (1, 3),
    (1, 4),
    (4, 1),
    (4, 2),
    (4, 3),
    (4, 4),
    (12, 1),
    (12, 2),
    (12, 3),
    (12, 4),
)
"""Partitions and groupers. With one partition further groupers only stand by."""

_QUICK: Final = ((1, 1), (4, 2), (12, 4))

_GROUPS: Final = 1_200
_QUICK_GROUPS: Final = 300
_RATE_HZ: Final = 60.0  # groups a second while groupers come and go: five a partition
_STAGE_S: Final = 12.0
_QUICK_STAGE_S: Final = 5.0
_PARTITIONS: Final = 12


def measure(_bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Growth 1 -> 3 and shrinkage to 1 under load, then the grid; once, however many rounds the plan says."""
    with Bed(nodes=3) as bed:
        bed.warm_up()
        yield from _growth(bed, _QUICK_STAGE_S if plan.quick else _STAGE_S)
        for partitions, groupers in _QUICK if plan.quick else _GRID:
            yield _throughput(bed, partitions, groupers, _QUICK_GROUPS if plan.quick else _GROUPS)


def _throughput(bed: Bed, partitions: int, groupers: int, groups: int) -> Figure:
    with Fleet(bed, f"scale-{partitions}-{groupers}", partitions) as fleet:
        fleet.grow(groupers)
        with RawLoad(fleet.settings, SMALL, groups=groups):
            began_s = time.time()
        published = fleet.published(groups)
        shares = fleet.windows()
    took_s = max(each.appended_s for each in published) - began_s
    return Figure(
        f"scale, {partitions} partitions, {groupers} groupers",
        groups * SOURCES / took_s,
        "windows/s",
        beside={"least share": min(shares) / sum(shares), "even share": 1 / groupers},
    )


def _growth(bed: Bed, stage_s: float) -> Iterator[Figure]:
    with Fleet(bed, "scale-growth", _PARTITIONS) as fleet:
        (first,) = fleet.grow(1)
        ends: list[tuple[str, float]] = []
        with RawLoad(fleet.settings, SMALL, rate_hz=_RATE_HZ) as load:
            _stage(ends, "1 grouper", stage_s)
            groupers = fleet.grow(2)
            _stage(ends, "growth 1 -> 3", stage_s)
            for grouper in groupers:
                if grouper is not first:
                    fleet.stop(grouper)
            fleet.await_shares()
            _stage(ends, "shrinkage 3 -> 1", stage_s)
        published = fleet.published(load.sent)
        fleet.audit()
    begin_s = min(each.appended_s for each in published)
    for name, end_s in ends:
        pauses = [worst_pause(published, p, begin_s, end_s) for p in range(_PARTITIONS)]
        yield Figure(
            f"scale, {name}, worst pause of a partition",
            max(pauses),
            "s",
            rounds=pauses,
            beside={"groups/s": _RATE_HZ, "groups": len(published)},
        )
        begin_s = end_s


def _stage(ends: list[tuple[str, float]], name: str, stage_s: float) -> None:
    time.sleep(stage_s)
    ends.append((name, time.time()))


def worst_pause(published: Sequence[Published], partition: int, begin_s: float, end_s: float) -> float:
    """The longest time between two groups of a partition, of those that ended between these times."""
    times = [each.appended_s for each in published if each.partition == partition]
    return max((after - before for before, after in pairwise(times) if begin_s <= after < end_s), default=0.0)
