"""Where a stream starts, as its user says it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from consumer.errors import StartError
from schemas.errors import SchemaError
from schemas.timestamp import parse_date_obs


@dataclass(frozen=True, slots=True)
class Beginning:
    """The oldest record that is still there."""


@dataclass(frozen=True, slots=True)
class End:
    """Now: the first group that becomes readable after the stream's start."""


@dataclass(frozen=True, slots=True)
class LastGroups:
    """The last `count` groups of all partitions together, then what follows."""

    count: int


@dataclass(frozen=True, slots=True)
class AtTime:
    """In each partition the first group that is not before this observation time, then what follows.

    Attributes:
        timestamp_us: microseconds since 1970 UTC; it may lie in the future.
    """

    timestamp_us: int


@dataclass(frozen=True, slots=True)
class AtOffset:
    """The record at this offset of the groups topic, or the first readable one after it.

    Attributes:
        offsets: by partition; partitions that are not named are not read.
    """

    offsets: Mapping[int, int]


Start: TypeAlias = Beginning | End | LastGroups | AtTime | AtOffset


def parse_start(value: "Start | datetime | str") -> Start:
    """A start as people write it: 'beginning', 'end', 'last:5', or an observation time.

    A time is an aware datetime, or text as in DATE-OBS (ISO 8601, UTC unless it names an offset).

    Raises:
        StartError: it is none of these.
    """
    if isinstance(value, Beginning | End | LastGroups | AtTime | AtOffset):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise StartError(
                f"the start time {value.isoformat()} has no time zone: say which, e.g. tzinfo=UTC"
            )
        value = value.isoformat()
    text = value.strip()
    if text == "beginning":
        return Beginning()
    if text == "end":
        return End()
    if text.startswith("last:"):
        return _last(text)
    try:
        return AtTime(parse_date_obs(text))
    except SchemaError as error:
        raise StartError(
            f"{text!r} is no start position: say 'beginning', 'end', 'last:5', or a time "
            f"like 2026-11-23T10:00:00"
        ) from error


def _last(text: str) -> LastGroups:
    count = text.removeprefix("last:")
    if not (count.isascii() and count.isdigit()):
        raise StartError(f"{text!r} is no start position: say how many groups, e.g. 'last:5'")
    return LastGroups(int(count))
