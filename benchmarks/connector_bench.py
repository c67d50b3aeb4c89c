"""Connector: image servers -> raw, against a loop that reads the same sockets and produces."""

import statistics
from collections.abc import Iterator

from benchmarks.bed import Bed
from benchmarks.figures import Figure, Target, of_rounds, ratios
from benchmarks.lane import Lane
from benchmarks.log_times import Stretch, raw_stretch
from benchmarks.plan import LARGE, MIB, SMALL, SOURCES, Plan
from benchmarks.processes import Watched

RATIO = Target(0.9)
SMALL_WINDOWS = Target(2_000)
QUEUE_BYTES = 128 * MIB
_FLOOD_S = 120.0


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Throughput at 4 MiB and at 64 x 64, processor time, memory."""
    ours: list[Stretch] = []
    floors: list[Stretch] = []
    cpu: list[float] = []
    floor_cpu: list[float] = []
    peaks: list[float] = []
    for number in range(plan.rounds):
        stretch, process = _flood(bed, f"connector-{number}", LARGE, plan.large_groups, floor=False)
        ours.append(stretch)
        cpu.append(process.cpu_between(stretch.start_s, stretch.end_s) / stretch.gib)
        peaks.append(process.peak_bytes / 1e6)
        stretch, process = _flood(bed, f"connector-floor-{number}", LARGE, plan.large_groups, floor=True)
        floors.append(stretch)
        floor_cpu.append(process.cpu_between(stretch.start_s, stretch.end_s) / stretch.gib)
    yield of_rounds(
        "connector, 4 MiB",
        ratios([each.mb_per_s for each in ours], [each.mb_per_s for each in floors]),
        "x floor",
        RATIO,
        {
            "MB/s": statistics.median(each.mb_per_s for each in ours),
            "floor MB/s": statistics.median(each.mb_per_s for each in floors),
        },
    )
    yield of_rounds(
        "connector, processor",
        cpu,
        "CPU s/GiB",
        beside={"floor CPU s/GiB": statistics.median(floor_cpu)},
    )
    yield Figure(
        "connector, resident at most",
        max(peaks),
        "MB",
        Target(200 + QUEUE_BYTES / 1e6, at_most=True),
        peaks,
        {"of which queue MB": QUEUE_BYTES / 1e6},
    )
    small = [
        _flood(bed, f"connector-small-{number}", SMALL, plan.small_groups, floor=False)
        for number in range(plan.rounds)
    ]
    yield of_rounds(
        "connector, 64 x 64",
        [stretch.records_per_s for stretch, _ in small],
        "windows/s",
        SMALL_WINDOWS,
        {"windows/CPU s": statistics.median(records_per_cpu_s(*each) for each in small)},
    )


def records_per_cpu_s(stretch: Stretch, process: Watched) -> float:
    """What it would do with a core of its own: the rate without what others take of the machine."""
    return stretch.records / process.cpu_between(stretch.start_s, stretch.end_s)


def _flood(bed: Bed, prefix: str, size: int, groups: int, *, floor: bool) -> tuple[Stretch, Watched]:
    records = groups * SOURCES
    with Lane(bed, prefix) as lane:
        lane.emulator(size=size, rate="max", groups=groups)
        if floor:
            process = lane.floor("connector", f"--queue-bytes={QUEUE_BYTES}")
        else:
            process = lane.connector(f"--queue-max-bytes={QUEUE_BYTES}")
        lane.await_raw(records, _FLOOD_S)
        return raw_stretch(lane, records), process
