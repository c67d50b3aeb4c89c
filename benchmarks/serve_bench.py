"""Serving: how long after it was due the first byte of a group is at a client, at the original cadence."""

import json
import statistics
from collections.abc import Iterator

from benchmarks.bed import Bed
from benchmarks.figures import Figure, Target, of_rounds, percentile
from benchmarks.lane import Lane
from benchmarks.log_times import await_groups
from benchmarks.plan import LARGE, Plan
from benchmarks.raw_filler import fill_raw

P50 = Target(5.0, at_most=True)
P99 = Target(20.0, at_most=True)
_RUN_S = 120.0


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Median and 99th percentile over each round's groups, a second apart."""
    late: list[list[float]] = []
    groups = plan.latency_groups
    with Lane(bed, "serve") as lane:
        fill_raw(lane, LARGE, groups)
        lane.grouper()
        await_groups(lane, groups, _RUN_S)
        lane.stop()
        for _ in range(plan.rounds):
            server = lane.server("benchmarks.serve_process")
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
