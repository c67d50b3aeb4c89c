"""Does memory grow with what is done? The slope of a process's resident memory over its groups; pure."""

from collections.abc import Sequence

from benchmarks.figures import Figure, Target, slope
from benchmarks.processes import BenchmarkError, Sample

# The grouper remembers each closed timestamp on purpose (`remember`, 100,000 of them), at some 250 bytes, and
# the reader of the benchmarks its readings, at some 200.
FLAT = Target(1_024, at_most=True)

Progress = list[tuple[float, float]]
"""How many groups were done (second) at which times (first), seconds since 1970."""


def growth(name: str, groups: int, progress: Progress, samples: Sequence[Sample]) -> Figure:
    """The slope of resident memory between a fifth and four fifths of the groups, bytes a group.

    At the beginning buffers fill, at the end they run empty; between them memory has to be flat.

    Args:
        name: of the process, for the figure's.
        groups: how many there are.
        progress: of the process.
        samples: of its memory.

    Raises:
        BenchmarkError: there are fewer than two points in between.
    """
    first, last = groups / 5, groups * 4 / 5
    points = [(done, _resident(samples, at_s)) for at_s, done in progress if first <= done <= last]
    if len({done for done, _ in points}) < 2:
        raise BenchmarkError(f"{name}: {len(points)} looks at its progress between a fifth and four fifths")
    return Figure(
        f"{name}, growth over {groups:,} small groups",
        slope(points),
        "bytes/group",
        FLAT,
        beside={"MB at 1/5": points[0][1] / 1e6, "MB at 4/5": points[-1][1] / 1e6, "looks": len(points)},
    )


def _resident(samples: Sequence[Sample], at_s: float) -> float:
    return min(samples, key=lambda sample: abs(sample.at_s - at_s)).rss_bytes
