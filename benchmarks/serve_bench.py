"""Serving: how punctual the first byte of a group is at a client, and whether memory depends on how many.

Punctual at the original cadence, a group a second of full-size images; memory as fast as the client reads,
over a short history and over one four times as long, each longer than all that is read ahead.
"""

import json
import statistics
from collections.abc import Iterator

from benchmarks.bed import Bed
from benchmarks.figures import Figure, Target, of_rounds, percentile
from benchmarks.lane import Lane
from benchmarks.log_times import await_groups
from benchmarks.plan import LARGE, SMALL, Plan
from benchmarks.raw_filler import fill_raw

P50 = Target(5.0, at_most=True)
P99 = Target(20.0, at_most=True)
GROWTH = Target(16.0, at_most=True)
_LONGER = 4
_RUN_S = 120.0


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Median and 99th percentile over each round's groups; then memory."""
    yield from _punctuality(bed, plan)
    yield _memory(bed, plan)


def _punctuality(bed: Bed, plan: Plan) -> Iterator[Figure]:
    late: list[list[float]] = []
    groups = plan.latency_groups
    with Lane(bed, "serve") as lane:
        fill_raw(lane, LARGE, groups)
        lane.grouper()
        await_groups(lane, groups, _RUN_S)
        lane.stop()
        for _ in range(plan.rounds):
            server = lane.server("benchmarks.serve_process", "--speed=1")
            client = lane.start("client", "benchmarks.first_bytes")
            client.wait(_RUN_S, lane.processes)
            server.wait(_RUN_S)
            due = [due_s for _, due_s in json.loads(server.output)]
            came = json.loads(client.output)
            late.append([1000 * (c - d) for c, d in zip(came, due, strict=True)][plan.latency_skip :])
            lane.stop()
    every = [each for one in late for each in one]
    for percent, target in ((50, P50), (99, P99)):
        yield of_rounds(
            f"serve, due to first byte, p{percent}",
            [percentile(one, percent) for one in late],
            "ms",
            target,
            {"of all rounds ms": percentile(every, percent), "mean ms": statistics.fmean(every)},
        )


def _memory(bed: Bed, plan: Plan) -> Figure:
    """By how much the most memory grows where history is four times as long."""
    groups = plan.memory_groups
    with Lane(bed, "serve-memory") as lane:
        fill_raw(lane, SMALL, groups)
        lane.grouper()
        await_groups(lane, groups, _RUN_S)
        lane.stop()
        peaks = []
        for limit in (groups // _LONGER, groups):
            server = lane.server("benchmarks.serve_process", "--speed=max", f"--limit={limit}")
            lane.start("client", "benchmarks.first_bytes").wait(_RUN_S, lane.processes)
            server.wait(_RUN_S)
            peaks.append(server.peak_bytes / 1e6)
            lane.stop()
    short, long = peaks
    return Figure(
        f"serve, resident, {groups} groups over a quarter of them",
        long - short,
        "MB more",
        GROWTH,
        beside={"MB": long, "MB of a quarter": short},
    )
