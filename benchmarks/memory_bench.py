"""Memory: flat over thousands of small groups, and bounded where Kafka stands still."""

import os
import signal
import time
from collections.abc import Iterator

from benchmarks.bed import Bed
from benchmarks.connector_bench import QUEUE_BYTES
from benchmarks.figures import Figure, Target, slope
from benchmarks.lane import Lane
from benchmarks.log_times import await_groups
from benchmarks.plan import LARGE, SMALL, SOURCES, Plan
from benchmarks.processes import Watched
from benchmarks.raw_filler import fill_raw

# Each closed timestamp is remembered on purpose (`remember`, 100,000 of them), at some 250 bytes.
FLAT = Target(1_024, at_most=True)
_RUN_S = 240.0
_STALL_S = 4.0


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """The grouper's slope, and the connector's peak in front of a Kafka that stands still."""
    yield _slope(bed, plan)
    yield _stalled(bed, plan)


def _slope(bed: Bed, plan: Plan) -> Figure:
    groups = plan.memory_groups
    with Lane(bed, "memory") as lane:
        fill_raw(lane, SMALL, groups)
        process = lane.grouper()
        progress: list[tuple[float, int]] = []
        await_groups(lane, groups, _RUN_S, progress)
    # At the beginning the buffers fill, at the end they run empty; between them memory has to be flat.
    steady = range(groups // 5, groups * 4 // 5)
    points = [(done, _resident(process, at_s)) for at_s, done in progress if done in steady]
    return Figure(
        f"grouper, growth over {groups:,} groups",
        slope(points),
        "bytes/group",
        FLAT,
        beside={"MB at 1/5": points[0][1] / 1e6, "MB at 4/5": points[-1][1] / 1e6},
    )


def _resident(process: Watched, at_s: float) -> float:
    return min(process.samples, key=lambda sample: abs(sample.at_s - at_s)).rss_bytes


def _stalled(bed: Bed, plan: Plan) -> Figure:
    records = plan.large_groups * SOURCES
    with Lane(bed, "stalled") as lane:
        lane.emulator(size=LARGE, rate="max", groups=plan.large_groups)
        process = lane.connector(f"--queue-max-bytes={QUEUE_BYTES}")
        lane.await_raw(records // 10, _RUN_S)
        os.kill(bed.kafka.pid, signal.SIGSTOP)
        try:
            time.sleep(_STALL_S)
        finally:
            os.kill(bed.kafka.pid, signal.SIGCONT)
        lane.await_raw(records, _RUN_S)
    return Figure(
        "connector, resident at most, Kafka stalled",
        process.peak_bytes / 1e6,
        "MB",
        Target(200 + QUEUE_BYTES / 1e6, at_most=True),
        beside={"of which queue MB": QUEUE_BYTES / 1e6},
    )
