"""Latency: last frame of a group read off its socket -> group readable, against a bare pipeline.

Both pipelines have the same hops in processes of their own: socket -> raw -> transaction -> reader.
"""

import statistics
from collections.abc import Iterator

from benchmarks.bed import Bed
from benchmarks.connector_bench import QUEUE_BYTES
from benchmarks.figures import Figure, Target, of_rounds, percentile, pooled, pooled_ratio, ratios
from benchmarks.lane import Lane
from benchmarks.plan import LARGE, SOURCES, Plan
from benchmarks.readings import parse_readings

P50 = Target(1.5, at_most=True)
P99 = Target(3.0, at_most=True)
_RUN_S = 120.0


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Median of each round, and 99th percentile of all rounds together, as ratios."""
    ours: list[list[float]] = []
    floors: list[list[float]] = []
    for number in range(plan.rounds):
        ours.append(_latencies_ms(bed, plan, f"latency-{number}", floor=False))
        floors.append(_latencies_ms(bed, plan, f"latency-floor-{number}", floor=True))
    our = [percentile(each, 50) for each in ours]
    floor = [percentile(each, 50) for each in floors]
    yield of_rounds(
        "latency, p50",
        ratios(our, floor),
        "x floor",
        P50,
        {"ms": statistics.median(our), "floor ms": statistics.median(floor)},
    )
    yield pooled_ratio(
        "latency, p99",
        ours,
        floors,
        99,
        target=P99,
        beside={
            "ms": percentile(pooled(ours), 99),
            "floor ms": percentile(pooled(floors), 99),
            "samples": len(pooled(ours)),
        },
    )


def _latencies_ms(bed: Bed, plan: Plan, prefix: str, *, floor: bool) -> list[float]:
    groups = plan.latency_groups
    with Lane(bed, prefix) as lane:
        lane.emulator(size=LARGE, rate=f"{plan.latency_rate_hz:g}", groups=groups)
        # The image servers wait for the connector, so it comes last.
        if floor:
            reader = lane.floor("consumer", f"--groups={groups}", f"--size={SOURCES}")
            lane.grouper_floor(groups * SOURCES, SOURCES)
            lane.floor("connector", f"--queue-bytes={QUEUE_BYTES}", "--stamp")
        else:
            reader = lane.reader(f"--groups={groups}")
            lane.grouper()
            lane.connector(f"--queue-max-bytes={QUEUE_BYTES}")
        reader.wait(_RUN_S, lane.processes)
        readings = parse_readings(reader.output)
    return [reading.latency_s * 1000 for reading in readings[plan.latency_skip :]]
