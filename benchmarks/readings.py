"""What a reader of groups wrote down: when each was readable, its size, and how long after reading."""

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """One group, read.

    Attributes:
        at_s: when it was readable, seconds since 1970.
        nbytes: of its records' values.
        latency_s: seconds since its last frame had been read off its socket.
    """

    at_s: float
    nbytes: int
    latency_s: float


def parse_readings(output: str) -> list[Reading]:
    """The output of a reader process."""
    return [Reading(*fields) for fields in json.loads(output)]


def span_s(readings: Sequence[Reading], skip: int) -> tuple[float, float]:
    """From when to when `bytes_per_s` measures, seconds since 1970."""
    return readings[skip].at_s, readings[-1].at_s


def gib(readings: Sequence[Reading], skip: int) -> float:
    """GiB of values that came in that time."""
    return sum(reading.nbytes for reading in readings[skip + 1 :]) / 1024**3


def bytes_per_s(readings: Sequence[Reading], skip: int) -> float:
    """The rate after the first `skip` groups, which filled the buffers."""
    rest = readings[skip:]
    return sum(reading.nbytes for reading in rest[1:]) / (rest[-1].at_s - rest[0].at_s)
