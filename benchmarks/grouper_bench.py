"""Grouper: raw -> groups, against a bare consume -> transaction loop."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.bed import Bed
from benchmarks.connector_bench import records_per_cpu_s
from benchmarks.figures import Figure, Target, of_rounds, ratios
from benchmarks.lane import Lane
from benchmarks.log_times import Stretch, await_groups, groups_stretch, transaction_firsts
from benchmarks.plan import LARGE, MIB, SMALL, SOURCES, Plan
from benchmarks.processes import Watched
from benchmarks.raw_filler import fill_raw

RATIO = Target(0.85)
SMALL_WINDOWS = Target(2_000)
FETCH_BYTES = 64 * MIB
TRANSACTION_BYTES = 64 * MIB
_RUN_S = 180.0


@dataclass(frozen=True, slots=True)
class _Run:
    stretch: Stretch
    process: Watched
    per_transaction: int

    @property
    def cpu_per_gib(self) -> float:
        return self.process.cpu_between(self.stretch.start_s, self.stretch.end_s) / self.stretch.gib


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Throughput at 4 MiB and at 64 x 64, processor time, memory."""
    ours: list[_Run] = []
    floors: list[_Run] = []
    with Lane(bed, "grouper") as lane:
        fill_raw(lane, LARGE, plan.large_groups)
        for _ in range(plan.rounds):
            ours.append(_group(lane, plan.large_groups))
            floors.append(_floor(lane, plan.large_groups, ours[-1].per_transaction))
    yield of_rounds(
        "grouper, 4 MiB",
        ratios([each.stretch.mb_per_s for each in ours], [each.stretch.mb_per_s for each in floors]),
        "x floor",
        RATIO,
        {
            "MB/s": statistics.median(each.stretch.mb_per_s for each in ours),
            "floor MB/s": statistics.median(each.stretch.mb_per_s for each in floors),
            "images/transaction": statistics.median(each.per_transaction for each in ours),
        },
    )
    yield of_rounds(
        "grouper, processor",
        [each.cpu_per_gib for each in ours],
        "CPU s/GiB",
        beside={"floor CPU s/GiB": statistics.median(each.cpu_per_gib for each in floors)},
    )
    peaks = [each.process.peak_bytes / 1e6 for each in ours]
    open_group = SOURCES * LARGE**2 * 4
    buffers_mb = (FETCH_BYTES + TRANSACTION_BYTES + open_group) / 1e6
    yield Figure(
        "grouper, resident at most",
        max(peaks),
        "MB",
        Target(200 + buffers_mb, at_most=True),
        peaks,
        {"of which buffers MB": buffers_mb},
    )
    with Lane(bed, "grouper-small") as lane:
        fill_raw(lane, SMALL, plan.small_groups)
        small = [_group(lane, plan.small_groups) for _ in range(plan.rounds)]
    yield of_rounds(
        "grouper, 64 x 64",
        [each.stretch.records_per_s for each in small],
        "windows/s",
        SMALL_WINDOWS,
        {
            "windows/CPU s": statistics.median(
                records_per_cpu_s(each.stretch, each.process) for each in small
            ),
            "images/transaction": statistics.median(each.per_transaction for each in small),
        },
    )


def _group(lane: Lane, groups: int) -> _Run:
    with lane.turn():
        process = lane.grouper(
            f"--fetch-buffer-bytes={FETCH_BYTES}", f"--transaction-max-bytes={TRANSACTION_BYTES}"
        )
        entries = await_groups(lane, groups, _RUN_S)
        firsts = transaction_firsts(entries)
        per_transaction = round(groups * SOURCES / len(firsts))
        return _Run(groups_stretch(lane, firsts), process, per_transaction)


def _floor(lane: Lane, groups: int, per_transaction: int) -> _Run:
    records = groups * SOURCES
    with lane.turn():
        process = lane.grouper_floor(records, per_transaction)
        process.wait(_RUN_S)
        firsts = [n * (per_transaction + 1) for n in range(-(-records // per_transaction))]
        return _Run(groups_stretch(lane, firsts), process, per_transaction)
