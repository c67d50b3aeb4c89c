"""End to end: a flood of 4 MiB images through connector, grouper and reader at once."""

from collections.abc import Iterator

from benchmarks.bed import Bed
from benchmarks.connector_bench import QUEUE_BYTES
from benchmarks.figures import Figure, Target, of_rounds
from benchmarks.lane import Lane
from benchmarks.plan import LARGE, SOURCES, Plan
from benchmarks.readings import parse_readings

IMAGES = Target(30)
_RUN_S = 180.0


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Images a second, as a reader of groups gets them."""
    rates = [_flood(bed, plan, f"end-to-end-{number}") for number in range(plan.rounds)]
    size_mb = LARGE**2 * 4 / 1e6
    figure = of_rounds("end to end, 4 MiB", rates, "images/s", IMAGES)
    yield Figure(
        figure.name, figure.value, figure.unit, IMAGES, figure.rounds, {"MB/s": figure.value * size_mb}
    )


def _flood(bed: Bed, plan: Plan, prefix: str) -> float:
    groups = plan.large_groups
    skip = groups // 10
    with Lane(bed, prefix) as lane:
        lane.emulator(size=LARGE, rate="max", groups=groups)
        reader = lane.reader(f"--groups={groups}")
        lane.grouper()
        lane.connector(f"--queue-max-bytes={QUEUE_BYTES}")
        reader.wait(_RUN_S, lane.processes)
        readings = parse_readings(reader.output)
    return (groups - 1 - skip) * SOURCES / (readings[-1].at_s - readings[skip].at_s)
