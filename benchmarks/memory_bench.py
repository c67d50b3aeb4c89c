"""Memory: flat over thousands of small groups, and bounded where Kafka stands still."""

import os
import signal
import time
from collections.abc import Iterator

from benchmarks.bed import Bed
from benchmarks.connector_bench import QUEUE_BYTES
from benchmarks.figures import Figure, Target, of_rounds
from benchmarks.growth import FLAT, Progress, growth
from benchmarks.lane import Lane
from benchmarks.log_times import await_groups
from benchmarks.plan import LARGE, MIB, SMALL, SOURCES, Plan
from benchmarks.raw_filler import fill_raw
from benchmarks.readings import parse_readings

_RUN_S = 240.0
_STALL_S = 4.0
_LOOKS = 200  # at a reader's progress
_PASSES = 3  # of a reader, a round


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """The slope of connector, grouper and reader; the connector's peak before a Kafka that stands still."""
    yield _connector(bed, plan)
    yield from _grouper_and_reader(bed, plan)
    yield _stalled(bed, plan)


def _connector(bed: Bed, plan: Plan) -> Figure:
    """Through a small queue: how full a large one happens to be would be all that is seen."""
    groups = plan.memory_groups
    progress: Progress = []
    with Lane(bed, "memory-connector") as lane:
        lane.emulator(size=SMALL, rate="max", groups=groups)
        process = lane.connector(f"--queue-max-bytes={8 * MIB}", f"--max-frame-bytes={MIB}")
        lane.await_raw(groups * SOURCES, _RUN_S, progress)
        samples = list(process.samples)
    return growth("connector", groups, [(at_s, done / SOURCES) for at_s, done in progress], samples)


def _grouper_and_reader(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """The reader takes all again and again: an answer of 17 MB in its buffers, or not, tilts one line."""
    groups = plan.memory_groups
    progress: Progress = []
    with Lane(bed, "memory") as lane:
        fill_raw(lane, SMALL, groups)
        grouper = lane.grouper()
        await_groups(lane, groups, _RUN_S, progress)
        lane.stop()
        reader = lane.reader(f"--groups={groups}", "--group-id=memory", f"--times={_PASSES * plan.rounds}")
        reader.wait(_RUN_S)
        readings = parse_readings(reader.output)
    yield growth("grouper", groups, progress, grouper.samples)
    every = max(1, groups // _LOOKS)
    rounds = [
        growth(
            "consumer",
            groups,
            [(readings[first + done].at_s, float(done)) for done in range(0, groups, every)],
            reader.samples,
        )
        for first in range(0, len(readings), groups)
    ]
    yield of_rounds(rounds[0].name, [each.value for each in rounds], rounds[0].unit, FLAT)


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
