"""History: how soon a group amid days of it is there, and whether memory depends on how long it is.

From the start of each verb, Python's start and all imports included, to its first group: a line, a file,
or the first byte of a frame at a client. `serve` looks through the catalogue of its range before that, so its
figure is of a range of at most `READ_OF` groups; beside it stands that of one up to the end.
Memory: the most that each verb took over seven days against a tenth of them. Ranges reach from the middle to
the end, so that the verbs go through half of all entries.
"""

import select
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from benchmarks.bed import Bed
from benchmarks.figures import Figure, Target, of_rounds
from benchmarks.lane import Lane
from benchmarks.long_history import READ_OF, LongHistory
from benchmarks.plan import Plan
from benchmarks.processes import BenchmarkError, Watched
from schemas.timestamp import format_timestamp

FIRST_GROUP = Target(2.0, at_most=True)
GROWTH = Target(32.0, at_most=True)
_SHORTER = 10
_RUN_S = 300.0
_LOOK_S = 0.01


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Time to the first group of each verb that prints groups; memory of each verb that reads."""
    long, short = LongHistory(plan.history_groups), LongHistory(plan.history_groups // _SHORTER)
    peaks: dict[str, dict[int, float]] = {}
    for history in (short, long):
        with Lane(bed, f"history-{history.groups}") as lane:
            history.write(lane)
            if history is long:
                yield from _first_groups(lane, long, plan.rounds)
            for verb, options in _reading(lane, history).items():
                process = lane.start(f"memory-{verb}", "trapline", *options)
                process.wait(_RUN_S)
                peaks.setdefault(verb, {})[history.groups] = process.peak_bytes / 1e6
                lane.stop()
            peaks.setdefault("serve", {})[history.groups] = _serve_peak_mb(lane, history)
    for verb, by_groups in peaks.items():
        most, least = by_groups[long.groups], by_groups[short.groups]
        yield Figure(
            f"{verb}, resident, {long.groups:,} groups over a tenth",
            most - least,
            "MB more",
            GROWTH,
            beside={"MB": most, "MB of a tenth": least},
        )


def _first_groups(lane: Lane, history: LongHistory, rounds: int) -> Iterator[Figure]:
    at = format_timestamp(history.timestamp_us(history.first_with_images + READ_OF // 2))
    printed: dict[str, tuple[str, ...]] = {
        "tail": ("tail", "--json", f"--from={at}", "--limit=1"),
        "replay": ("replay", f"--from={at}", "--limit=1", "--speed=max"),
        "show": ("show", at, "--json"),
        "stats": ("stats", "--json", f"--from={at}", "--limit=100"),
    }
    for verb, options in printed.items():
        yield _first(lane, verb, options, rounds, lambda process: bool(process.output.strip()))
    exported = [_seconds(lane, *_export(lane, at, number)) for number in range(rounds)]
    yield of_rounds("export, first file", exported, "s", FIRST_GROUP)
    end = format_timestamp(history.timestamp_us(history.first_with_images + READ_OF))
    served = [_first_byte_s(lane, f"--from={at}", f"--to={end}") for _ in range(rounds)]
    whole = _first_byte_s(lane, f"--from={at}", "--limit=1")
    yield of_rounds("serve, first byte", served, "s", FIRST_GROUP, {"of half the history s": whole})


def _export(lane: Lane, at: str, number: int) -> tuple[tuple[str, ...], Callable[[Watched], bool]]:
    folder = lane.folder / f"exported-{number}"
    return (
        ("export", f"--from={at}", "--limit=1", "--quiet", str(folder)),
        lambda _process: any(folder.glob("*.fits")),
    )


def _first(
    lane: Lane, verb: str, options: tuple[str, ...], rounds: int, there: Callable[[Watched], bool]
) -> Figure:
    seconds = [_seconds(lane, options, there) for _ in range(rounds)]
    return of_rounds(f"{verb}, first group", seconds, "s", FIRST_GROUP, {"mean s": statistics.fmean(seconds)})


def _seconds(lane: Lane, options: tuple[str, ...], there: Callable[[Watched], bool]) -> float:
    began_s = time.monotonic()
    process = lane.start(f"first-{options[0].strip('-')}", "trapline", *options)
    while not there(process):
        process.check()
        if time.monotonic() > began_s + _RUN_S:
            raise BenchmarkError(f"{process.name} printed nothing in {_RUN_S:.0f} s")
        time.sleep(_LOOK_S)
    took_s = time.monotonic() - began_s
    process.wait(_RUN_S)
    lane.stop()
    return took_s


def _first_byte_s(lane: Lane, *options: str) -> float:
    """From the start of `trapline serve` to the first byte at a client that comes as soon as it can."""
    began_s = time.monotonic()
    process = lane.server("trapline", "serve", *options, "--speed=max", "--port=0")
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(each)) for each in lane.addresses]
        if not select.select(clients, [], [], _RUN_S)[0]:
            raise BenchmarkError(f"{process.name} sent nothing in {_RUN_S:.0f} s")
        took_s = time.monotonic() - began_s
    lane.stop()
    return took_s


def _serve_peak_mb(lane: Lane, history: LongHistory) -> float:
    at = format_timestamp(history.timestamp_us(history.first_with_images))
    process = lane.server(
        "trapline", "serve", f"--from={at}", f"--limit={READ_OF}", "--speed=max", "--port=0"
    )
    lane.start("client", "benchmarks.first_bytes").wait(_RUN_S, lane.processes)
    process.wait(_RUN_S)
    lane.stop()
    return process.peak_bytes / 1e6


def _reading(lane: Lane, history: LongHistory) -> dict[str, tuple[str, ...]]:
    middle = format_timestamp(history.timestamp_us(history.first_with_images))
    end = format_timestamp(history.timestamp_us(history.first_with_images + READ_OF))
    return {
        "stats": ("stats", "--json", "--beginning"),
        "tail": ("tail", "--json", f"--from={middle}", f"--to={end}"),
        "export": ("export", f"--from={middle}", f"--to={end}", "--quiet", str(lane.folder / "exported")),
        "replay": ("replay", f"--from={middle}", f"--to={end}", "--speed=max", "--quiet"),
        "replay --dry-run": ("replay", f"--from={middle}", "--dry-run"),
        "show": ("show", middle, "--json"),
        "status": ("status", "--json"),
    }
