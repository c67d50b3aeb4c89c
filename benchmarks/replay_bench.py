"""Replay and export: history out of Kafka against bare loops, and how punctual the original cadence is."""

import json
import shutil
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.bed import Bed
from benchmarks.figures import Figure, Target, of_rounds, of_samples, percentile, pooled, ratios
from benchmarks.lane import Lane
from benchmarks.log_times import await_groups
from benchmarks.plan import LARGE, MIB, SOURCES, Plan
from benchmarks.processes import BenchmarkError
from benchmarks.raw_filler import fill_raw
from benchmarks.readings import bytes_per_s, parse_readings
from consumer.replay import BATCH_BYTES

RATIO = Target(0.8)
MEDIAN = Target(5.0, at_most=True)
P99 = Target(20.0, at_most=True)
GROUP_BYTES = SOURCES * LARGE**2 * 4
AHEAD_BYTES = 128 * MIB  # `read_ahead_bytes`
FETCH_BYTES = (64 + 16) * MIB  # librdkafka's queue, and a fetch on top
_RUN_S = 180.0
_SKIP = 2


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Throughput at 4 MiB to standard output and to files, and lateness at the original cadence."""
    with Lane(bed, "replay") as lane:
        fill_raw(lane, LARGE, plan.large_groups)
        lane.grouper()
        await_groups(lane, plan.large_groups, _RUN_S)
        lane.stop()
        yield _replay(lane, plan)
        yield from _punctuality(lane, plan)
        yield _memory(lane, plan)
        yield _export(lane, plan, bed.folder / "exported")


def _replay(lane: Lane, plan: Plan) -> Figure:
    ours: list[float] = []
    floors: list[float] = []
    for _ in range(plan.rounds):
        ours.append(_rate([at_s for at_s, _ in _lines(lane, "--speed=max")]))
        floor = lane.floor("consumer", f"--groups={plan.large_groups}", f"--size={SOURCES}")
        floor.wait(_RUN_S)
        floors.append(bytes_per_s(parse_readings(floor.output), _SKIP) / 1e6)
    return of_rounds(
        "replay to lines, 4 MiB",
        ratios(ours, floors),
        "x floor",
        RATIO,
        {"MB/s": statistics.median(ours), "floor MB/s": statistics.median(floors)},
    )


def _punctuality(lane: Lane, plan: Plan) -> Iterator[Figure]:
    """From when a group was due, as the replay itself counts, to its line at the reader.

    Median of each round, and 99th percentile of all rounds together.
    """
    rounds = [_lateness_ms(lane, plan, number)[plan.latency_skip :] for number in range(plan.rounds)]
    beside = {"worst ms": max(pooled(rounds)), "samples": float(len(pooled(rounds)))}
    yield of_rounds(
        "replay at its cadence, late, median", [percentile(one, 50) for one in rounds], "ms", MEDIAN, beside
    )
    yield of_samples("replay at its cadence, late, p99", rounds, 99, "ms", target=P99, beside=beside)


def _lateness_ms(lane: Lane, plan: Plan, number: int) -> list[float]:
    """Of each group, in the order in which they were due."""
    due_file = lane.folder / f"due-{number}.json"
    lines = _watched(
        lane, "benchmarks.replay_process", str(due_file), "--quiet", f"--last={plan.latency_groups}"
    )
    due = [(due_s, observed_us / 1e6) for observed_us, due_s in json.loads(due_file.read_text())]
    if [observed_s for _, observed_s in due] != [observed_s for _, observed_s in lines]:
        raise BenchmarkError("the replay's lines are not those of the groups that were due")
    return [1000 * (at_s - due_s) for (at_s, _), (due_s, _) in zip(lines, due, strict=True)]


def _memory(lane: Lane, plan: Plan) -> Figure:
    """What a replay holds: twice as long a history must take no more."""
    peaks = []
    for groups in (plan.large_groups // 2, plan.large_groups):
        process = lane.start("replay", "trapline", "replay", "--quiet", "--speed=max", f"--last={groups}")
        process.wait(_RUN_S)
        peaks.append(process.peak_bytes / 1e6)
    buffers_mb = (AHEAD_BYTES + FETCH_BYTES + BATCH_BYTES + 2 * GROUP_BYTES) / 1e6
    return Figure(
        "replay, resident at most",
        peaks[-1],
        "MB",
        Target(200 + buffers_mb, at_most=True),
        beside={"half the history MB": peaks[0], "of which buffers MB": buffers_mb},
    )


def _export(lane: Lane, plan: Plan, folder: Path) -> Figure:
    ours: list[float] = []
    floors: list[float] = []
    for _ in range(plan.rounds):
        for rates, start in (
            (ours, lambda: lane.start("export", "trapline", "export", "--quiet", str(folder))),
            (
                floors,
                lambda: lane.floor(
                    "files", f"--groups={plan.large_groups}", f"--size={SOURCES}", f"--folder={folder}"
                ),
            ),
        ):
            start().wait(_RUN_S)
            rates.append(_rate(sorted(path.stat().st_mtime for path in folder.glob("*.fits"))))
            shutil.rmtree(folder)
    return of_rounds(
        "export, 4 MiB",
        ratios(ours, floors),
        "x floor",
        RATIO,
        {"MB/s": statistics.median(ours), "floor MB/s": statistics.median(floors)},
    )


def _lines(lane: Lane, *options: str) -> list[tuple[float, float]]:
    """When each line of a replay came, on the monotonic clock, and of which observation time it was."""
    return _watched(lane, "trapline", "replay", "--quiet", *options)


def _watched(lane: Lane, *module: str) -> list[tuple[float, float]]:
    process = lane.start("replay", "benchmarks.line_times", *module)
    process.wait(_RUN_S)
    return [(at_s, observed_s) for at_s, observed_s in json.loads(process.output)]


def _rate(times_s: Sequence[float]) -> float:
    """MB/s of groups that were done at these times, after the first ones, which filled the buffers."""
    rest = times_s[_SKIP:]
    return (len(rest) - 1) * GROUP_BYTES / 1e6 / (rest[-1] - rest[0])
