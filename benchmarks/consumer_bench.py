"""Consumer: groups through GroupStream, against a bare consumer of the same records."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.bed import Bed
from benchmarks.figures import Figure, Target, of_rounds, ratios
from benchmarks.lane import Lane
from benchmarks.log_times import await_groups
from benchmarks.plan import LARGE, SOURCES, Plan
from benchmarks.processes import Watched
from benchmarks.raw_filler import fill_raw
from benchmarks.readings import bytes_per_s, gib, parse_readings, span_s

RATIO = Target(0.9)
_RUN_S = 120.0
_SKIP = 2


@dataclass(slots=True)
class _Rounds:
    """What the rounds of one kind of reader came to.

    Attributes:
        mb_per_s: 10^6 bytes of values a second.
        cpu: processor seconds a GiB.
        peaks: resident at most, MB.
    """

    mb_per_s: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)

    def take(self, reader: Watched) -> None:
        """Wait until a reader has ended, and take its figures."""
        reader.wait(_RUN_S)
        readings = parse_readings(reader.output)
        self.mb_per_s.append(bytes_per_s(readings, _SKIP) / 1e6)
        self.cpu.append(reader.cpu_between(*span_s(readings, _SKIP)) / gib(readings, _SKIP))
        self.peaks.append(reader.peak_bytes / 1e6)


def measure(bed: Bed, plan: Plan) -> Iterator[Figure]:
    """Throughput at 4 MiB, processor time, memory."""
    groups = plan.large_groups
    ours, floors = _Rounds(), _Rounds()
    with Lane(bed, "consumer") as lane:
        fill_raw(lane, LARGE, groups)
        lane.grouper()
        await_groups(lane, groups, _RUN_S)
        lane.stop()
        for number in range(plan.rounds):
            ours.take(lane.reader(f"--groups={groups}", f"--group-id=bench-{number}"))
            floors.take(lane.floor("consumer", f"--groups={groups}", f"--size={SOURCES}"))
    yield of_rounds(
        "consumer, 4 MiB",
        ratios(ours.mb_per_s, floors.mb_per_s),
        "x floor",
        RATIO,
        {"MB/s": statistics.median(ours.mb_per_s), "floor MB/s": statistics.median(floors.mb_per_s)},
    )
    yield of_rounds(
        "consumer, processor",
        ours.cpu,
        "CPU s/GiB",
        beside={"floor CPU s/GiB": statistics.median(floors.cpu)},
    )
    yield Figure(
        "consumer, resident at most",
        max(ours.peaks),
        "MB",
        rounds=ours.peaks,
        beside={"floor MB": max(floors.peaks)},
    )
