"""Which groups of history are meant, said once for every verb and for Python. Pure: the clock is an argument.

A range is a place to begin in Kafka, bounds of observation time, and what a group has to have:

    place    --beginning (the oldest there is), --end (what comes from now on), --last N (the last N groups
             that match, of all partitions together), --offset PARTITION:OFFSET (may be repeated; a
             partition that is not named is left out)
    bounds   --from (inclusive) and --to (exclusive), observation times; they hold for every group,
             wherever it lies: times may go back in the log, and runs may overlap
    what     --sources (these alone), --complete-only (none of them is missing), --limit (at most so many)
"""

import re
import shlex
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

from consumer.errors import RangeError
from consumer.start import AtOffset, AtTime, Beginning, End, LastGroups, Start
from schemas.errors import SchemaError
from schemas.source import SOURCE_NAME
from schemas.timestamp import format_timestamp, parse_date_obs

Place: TypeAlias = Beginning | End | LastGroups | AtOffset
TimeLike: TypeAlias = str | datetime | Any
"""ISO 8601 as text (UTC unless it names an offset), '-10m', 'now', an aware datetime, an astropy Time."""

_UNITS_US: Final = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_AGO: Final = re.compile(r"-(?:\d+(?:\.\d+)?[smhd])+", re.ASCII)
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])", re.ASCII)
_OFFSET: Final = re.compile(r"(\d{1,9}):(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class GroupRange:
    """Which groups, as the module says.

    Attributes:
        place: where in Kafka to begin.
        from_us: groups before this observation time are not meant; microseconds since 1970 UTC.
        to_us: groups at or after this one are not meant.
        sources: only images of these; a group that has none of them is not meant. Empty: all.
        complete_only: only groups that lack nothing: no expected source, or none of `sources`.
        limit: at most so many groups, the first ones.
    """

    place: Place = field(default_factory=Beginning)
    from_us: int | None = None
    to_us: int | None = None
    sources: tuple[str, ...] = ()
    complete_only: bool = False
    limit: int | None = None

    @property
    def start(self) -> Start:
        """Where a stream has to start to see all that is meant."""
        if isinstance(self.place, Beginning) and self.from_us is not None:
            return AtTime(self.from_us)
        return self.place

    @property
    def from_now_on(self) -> bool:
        """What is meant is not published yet."""
        return isinstance(self.place, End)

    @property
    def most(self) -> int | None:
        """At most so many groups are meant; None: any number."""
        counts = [] if self.limit is None else [self.limit]
        if isinstance(self.place, LastGroups):
            counts.append(self.place.count)
        return min(counts, default=None)

    def at(self, timestamp_us: int) -> bool:
        """Whether a group of this observation time lies within the bounds."""
        return (self.from_us is None or timestamp_us >= self.from_us) and (
            self.to_us is None or timestamp_us < self.to_us
        )

    def has(self, present: Iterable[str], *, complete: bool) -> bool:
        """Whether a group with these images is meant, as far as its sources say."""
        if not self.sources:
            return complete or not self.complete_only
        there = frozenset(present).intersection(self.sources)
        return len(there) == len(self.sources) if self.complete_only else bool(there)

    def resumed(self, offsets: Mapping[int, int], done: int = 0, lost: int = 0) -> "GroupRange":
        """What is left of the range, as far as one can say it.

        The last N groups stay those: what came meanwhile does not fill their number up. Any other range
        without `to_us` reaches up to what is there when one goes on.

        Args:
            offsets: by partition, where to go on in the groups topic.
            done: how many groups of it were handed out.
            lost: how many others of it cannot be: they count among the last ones, and for no `limit`.
        """
        limits = [] if self.limit is None else [self.limit - done]
        if isinstance(self.place, LastGroups):
            limits.append(self.place.count - done - lost)
        limit = max(0, min(limits)) if limits else None
        return replace(self, place=AtOffset(dict(offsets)), limit=limit)

    def options(self) -> str:
        """The range as options of any verb, to be typed again."""
        words: list[str] = []
        match self.place:
            case Beginning():
                words += ["--beginning"] if self.from_us is None else []
            case End():
                words += ["--end"]
            case LastGroups(count):
                words += ["--last", str(count)]
            case AtOffset(offsets):
                for partition, offset in sorted(offsets.items()):
                    words += ["--offset", f"{partition}:{offset}"]
        for name, bound_us in (("--from", self.from_us), ("--to", self.to_us)):
            words += [] if bound_us is None else [name, format_timestamp(bound_us)]
        words += ["--sources", ",".join(self.sources)] if self.sources else []
        words += ["--complete-only"] if self.complete_only else []
        words += [] if self.limit is None else ["--limit", str(self.limit)]
        return shlex.join(words)


def group_range(
    *,
    from_: TimeLike | None = None,
    to: TimeLike | None = None,
    last: int | None = None,
    offset: Mapping[int, int] | Iterable[str] | str | None = None,
    beginning: bool = False,
    end: bool = False,
    sources: Iterable[str] | str = (),
    complete_only: bool = False,
    limit: int | None = None,
    default: Place = Beginning(),  # noqa: B008 - frozen
    now_us: int | None = None,
) -> GroupRange:
    """A range as people say it; the arguments are the options of the verbs.

    Args:
        from_: the first observation time that is meant.
        to: the first that is not meant any more.
        last: the last so many groups that match, in all partitions together.
        offset: {partition: offset} in the groups topic, or 'PARTITION:OFFSET', one or several.
        beginning: from the oldest group there is.
        end: what is published from now on.
        sources: names of sources, or text with commas.
        complete_only: only groups that lack nothing.
        limit: at most so many groups.
        default: the place where none is said; with `from_` it is Beginning instead.
        now_us: what '-10m' counts from, microseconds since 1970 UTC; default: this machine's clock.

    Raises:
        RangeError: one of these is wrong, or they contradict each other; the text names the options.
    """
    now_us = time.time_ns() // 1000 if now_us is None else now_us
    from_us = None if from_ is None else parse_time(from_, now_us)
    to_us = None if to is None else parse_time(to, now_us)
    if from_us is not None and to_us is not None and from_us >= to_us:
        raise RangeError(
            f"--from {format_timestamp(from_us)} is not before --to {format_timestamp(to_us)}: "
            "no group can lie between them"
        )
    for option, count in (("--last", last), ("--limit", limit)):
        if count is not None and count < 1:
            raise RangeError(f"{option} {count}: say how many groups, 1 or more")
    offsets = {} if offset is None else parse_offsets(offset)
    placed = {
        "--beginning": Beginning() if beginning else None,
        "--end": End() if end else None,
        "--last": None if last is None else LastGroups(last),
        "--offset": AtOffset(offsets) if offsets else None,
    }
    places = {option: place for option, place in placed.items() if place is not None}
    starts = [*places]
    if from_us is not None and (beginning or end):
        starts.append("--from")
    if len(starts) > 1:
        raise RangeError(f"{' and '.join(starts)} exclude each other: each says where to begin")
    timed = Beginning() if from_us is not None else default
    return GroupRange(
        place=next(iter(places.values()), timed),
        from_us=from_us,
        to_us=to_us,
        sources=parse_sources(sources),
        complete_only=complete_only,
        limit=limit,
    )


def parse_time(value: TimeLike, now_us: int) -> int:
    """An observation time as people say it, in microseconds since 1970 UTC.

    Raises:
        RangeError: it is none.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise RangeError(f"the time {value.isoformat()} has no time zone: say which, e.g. tzinfo=UTC")
        value = value.isoformat()
    elif not isinstance(value, str):
        value = _of_astropy(value)
    text = value.strip()
    if text == "now":
        return now_us
    if _AGO.fullmatch(text):
        ago_us = sum(round(float(number) * _UNITS_US[unit]) for number, unit in _PART.findall(text))
        if ago_us > now_us:
            raise RangeError(f"{text!r} lies before 1970")
        return now_us - ago_us
    try:
        return parse_date_obs(text)
    except SchemaError as error:
        raise RangeError(
            f"{text!r} is no time: say one like 2026-11-23T10:00:00 (UTC unless it names an offset), "
            "-10m (s, m, h, d; -1h30m), or now"
        ) from error


def parse_offsets(value: Mapping[int, int] | Iterable[str] | str) -> dict[int, int]:
    """Places in the groups topic: {0: 1234}, or '0:1234', or several of these.

    Raises:
        RangeError: one is none, or a partition is named twice.
    """
    if isinstance(value, Mapping):
        texts = [f"{partition}:{offset}" for partition, offset in value.items()]
    else:
        texts = [value] if isinstance(value, str) else list(value)
    offsets: dict[int, int] = {}
    for text in texts:
        found = _OFFSET.fullmatch(text.strip())
        if found is None:
            raise RangeError(f"{text!r} is no place in Kafka: say PARTITION:OFFSET, e.g. 0:1234")
        partition = int(found[1])
        if partition in offsets:
            raise RangeError(f"--offset names partition {partition} twice")
        offsets[partition] = int(found[2])
    return offsets


def parse_sources(value: Iterable[str] | str) -> tuple[str, ...]:
    """Names of sources, in the order given: a list, or text with commas.

    Raises:
        RangeError: one cannot be a name.
    """
    texts = [value] if isinstance(value, str) else value
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    for name in names:
        if SOURCE_NAME.fullmatch(name) is None:
            raise RangeError(f"{name!r} is no name of a source: --sources takes names alone, e.g. sb0,sb1")
    return tuple(dict.fromkeys(names))


def _of_astropy(value: Any) -> str:
    """An astropy Time, known by what it can do: astropy is not imported for it."""
    try:
        moment: datetime = value.utc.to_datetime()
    except AttributeError:
        raise RangeError(f"{value!r} is no time: say text, a datetime or an astropy Time") from None
    return moment.isoformat()
