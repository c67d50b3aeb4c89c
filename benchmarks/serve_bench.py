"""Serving: how punctual the first byte of a group is at a client, and whether memory depends on how many.

Punctual at the original cadence, a group a second of full-size images; memory as fast as the client reads,
over a short history and over one four times as long, each longer than all that is read ahead.
"""

import json
from collections.abc import Iterator

from benchmarks.bed import Bed
from benchmarks.figures import Figure, Target, of_rounds, of_samples, percentile
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
    """Median of each round, and 99th percentile of all rounds together, of groups a second apart."""
    late: list[list[float]] = []
    began: list[float] = []
    floor: list[float] = []
    groups = plan.latency_groups
    with Lane(bed, "serve") as lane:
        fill_raw(lane, LARGE, groups)
        lane.grouper()
        await_groups(lane, groups, _RUN_S)
        lane.stop()
        for _ in range(plan.rounds):
            one, began_of_one = _lateness_ms(lane, "benchmarks.serve_process", "--speed=1")
            late.append(one[plan.latency_skip :])
            began += began_of_one[plan.latency_skip :]
            bare, _ = _lateness_ms(lane, "benchmarks.serve_floor", f"--groups={groups}")
            floor += bare[plan.latency_skip :]
    for percent in (50, 99):
        name = f"serve, due to first byte, p{percent}"
        beside = {
            "until sending began ms": percentile(began, percent),
            "bare loop ms": percentile(floor, percent),
            "samples": float(len(floor)),
        }
        if percent == 50:
            yield of_rounds(name, [percentile(one, percent) for one in late], "ms", P50, beside)
        else:
            yield of_samples(name, late, percent, "ms", target=P99, beside=beside)


def _lateness_ms(lane: Lane, module: str, *options: str) -> tuple[list[float], list[float]]:
    """For each group: from due to the first byte at the client, and to where sending began."""
    server = lane.server(module, *options)
    client = lane.start("client", "benchmarks.first_bytes")
    client.wait(_RUN_S, lane.processes)
    server.wait(_RUN_S)
    sent, came = json.loads(server.output), json.loads(client.output)
    lane.stop()
    late = [1000 * (came_s - due_s) for (_, due_s, _), came_s in zip(sent, came, strict=True)]
    return late, [1000 * (began_s - due_s) for _, due_s, began_s in sent]


def measure_memory(bed: Bed, plan: Plan) -> Iterator[Figure]:
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
    yield Figure(
        f"serve, resident, {groups} groups over a quarter of them",
        long - short,
        "MB more",
        GROWTH,
        beside={"MB": long, "MB of a quarter": short},
    )
