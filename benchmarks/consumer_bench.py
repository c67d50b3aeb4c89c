"""Consumer: groups through GroupStream, against a bare consumer of the same records."""

import statistics
from collections.abc import Iterator

from benchmarks.bed import Bed
from benchmarks.figures import Figure, Target, of_rounds, ratios
from benchmarks.lane import Lane
from benchmarks.log_times import await_groups
from benchmarks.plan import LARGE, SOURCES, Plan
from benchmarks.raw_filler import fill_raw
from benchmarks.readings import bytes_per_s, parse_readings

RATIO = Target(0.9)
_RUN_S = 120.0
_SKIP = 2


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Throughput at 4 MiB."""
    groups = plan.large_groups
    ours: list[float] = []
    floors: list[float] = []
    with Lane(bed, "consumer") as lane:
        fill_raw(lane, LARGE, groups)
        lane.grouper()
        await_groups(lane, groups, _RUN_S)
        lane.stop()
        for number in range(plan.rounds):
            reader = lane.reader(f"--groups={groups}", f"--group-id=bench-{number}")
            reader.wait(_RUN_S)
            ours.append(bytes_per_s(parse_readings(reader.output), _SKIP) / 1e6)
            floor = lane.floor("consumer", f"--groups={groups}", f"--size={SOURCES}")
            floor.wait(_RUN_S)
            floors.append(bytes_per_s(parse_readings(floor.output), _SKIP) / 1e6)
    yield of_rounds(
        "consumer, 4 MiB",
        ratios(ours, floors),
        "x floor",
        RATIO,
        {"MB/s": statistics.median(ours), "floor MB/s": statistics.median(floors)},
    )
