"""What a range holds, found in the catalogue before anything is played. No image is read.

One pass over the entries: how many groups will be played, from when to when, of which sources, and which
timestamps were published again, also behind the limit: what is played first may have been repaired last. An
entry's JSON is parsed only where it names other sources than those before, so that a week of groups takes
seconds. About 10 bytes are held for each group, and one note for each that was published again.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import KafkaException

from consumer.cadence import Cadence
from consumer.catalogue import CatalogueRecord
from consumer.errors import BrokerUnreachableError
from consumer.history_search import readable_entry
from consumer.kafka_errors import stream_error
from consumer.revisions import FIRST_PUBLICATION
from consumer.selection import Revisions
from consumer.serving.playlist import Item, Place
from consumer.settings import ConsumerSettings
from runtime.kafka import explain, kafka_error
from runtime.message_headers import message_headers
from runtime.peek import Peek
from schemas.errors import SchemaError
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders

_FROM, _TO = b'"expected":', b'"members":'
_MOST_KINDS: Final = 256  # of entries by their sources, kept at a time
_PART_BITS: Final = 26  # 67 s of observation time
_DIGITS: Final = re.compile(r"(\d+)", re.ASCII)


@dataclass(slots=True)
class Survey:
    """What was found.

    Attributes:
        groups: how many will be played, as consumer.serving.playlist chooses them, up to the limit.
        meant: how many there are without that limit.
        repaired: of `groups`, those that are played as they were published again.
        first_us: the earliest observation time, microseconds since 1970 UTC,
        last_us: and the latest.
        playing_s: how long they take at the cadence asked for, in the order of the log.
        sources: all that are expected or present in them.
        newest: by timestamp, of all that were published again: where their newest publication lies.
        latest_of: by source, one of the last entries that have an image of it.
    """

    groups: int = 0
    meant: int = 0
    repaired: int = 0
    first_us: int = 0
    last_us: int = 0
    playing_s: float = 0.0
    sources: set[str] = field(default_factory=set)
    newest: dict[int, Place] = field(default_factory=dict)
    latest_of: dict[str, CatalogueRecord] = field(default_factory=dict)

    def ordered_sources(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """The names that get a port, in the order of the ports: those wanted, or all, sb2 before sb10."""
        return tuple(wanted) or tuple(sorted(self.sources, key=_by_number))


def survey(
    records: Iterable[CatalogueRecord],
    *,
    cadence: Cadence,
    revisions: Revisions,
    resumed: bool = False,
    limit: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Survey:
    """Look at entries in the order in which they would be played.

    Args:
        records: the entries, all that are meant.
        cadence: at which they would be.
        revisions: which publications are played.
        resumed: as the playlist has it.
        limit: at most so many are.
        stopped: asked at each entry; the survey ends where it is true.
    """
    found = Survey()
    schedule = cadence.begin()
    members = _Members(found)
    choice = _Choice(revisions, found, resumed=resumed)
    for record in records:
        if stopped():
            break
        revision = _revision(record)
        if revision is None:
            continue
        at_us = record.timestamp_us
        within = found.groups != limit
        plays = choice.plays(record, revision, within=within)
        if not (plays and within):
            if choice.repairs(at_us, revision):
                members.add(record)
            found.meant += plays
            continue
        if not members.add(record):
            continue
        found.first_us = min(found.first_us, at_us) if found.groups else at_us
        found.last_us = max(found.last_us, at_us)
        found.groups += 1
        found.meant += 1
        found.playing_s = schedule.due_s(at_us, 0.0)
    members.fold()
    return found


class _Choice:
    """Which entries are played, as the playlist will find when it comes to them."""

    def __init__(self, revisions: Revisions, found: Survey, *, resumed: bool) -> None:
        self._revisions = revisions
        self._found = found
        self._resumed = resumed
        self._newest: dict[int, int] = {}
        self._played = _Times()
        self._beyond = _Times()

    def plays(self, record: CatalogueRecord, revision: int, *, within: bool) -> bool:
        """Whether a group is played for this entry: it, or a later one in its place."""
        at_us, again = record.timestamp_us, revision > 1
        if self._revisions is Revisions.ALL:
            self._found.repaired += again and within
            return True
        if self._revisions is Revisions.FIRST:
            return not again
        if again:
            known = at_us in self._newest
            if revision > self._newest.get(at_us, 1):
                self._newest[at_us] = revision
                self._found.newest[at_us] = (record.partition, record.offset)
            if at_us in self._played:
                self._found.repaired += not known
                return False
            if at_us in self._beyond or known or self._resumed:
                return False
            self._found.repaired += within  # the first publication is not meant, or gone
        (self._played if within else self._beyond).add(at_us)
        return True

    def repairs(self, timestamp_us: int, revision: int) -> bool:
        """Whether this entry takes the place of one that is played."""
        return self._revisions is Revisions.LAST and revision > 1 and timestamp_us in self._played


class _Times:
    """A set of times in 10 bytes each, whatever their order."""

    def __init__(self) -> None:
        self._parts: dict[int, array[int]] = {}

    def add(self, time_us: int) -> None:
        self._parts.setdefault(time_us >> _PART_BITS, array("q")).append(time_us)

    def __contains__(self, time_us: int) -> bool:
        return time_us in self._parts.get(time_us >> _PART_BITS, ())


class _Members:
    """The sources of entries, with each JSON parsed once."""

    def __init__(self, found: Survey) -> None:
        self._found = found
        self._kinds: dict[bytes, tuple[tuple[str, ...], CatalogueRecord]] = {}

    def add(self, record: CatalogueRecord) -> bool:
        """Note who is there; False: it cannot be read."""
        kind = _kind(record.value)
        if kind in self._kinds:
            self._kinds[kind] = self._kinds[kind][0], record
            return True
        entry = readable_entry(record)
        if entry is None:
            return False
        if len(self._kinds) == _MOST_KINDS:
            self.fold()
        self._kinds[kind] = entry.present, record
        self._found.sources.update(entry.expected, entry.present)
        return True

    def fold(self) -> None:
        """Put down which entry is the latest of each source."""
        for present, record in self._kinds.values():
            for source in present:
                before = self._found.latest_of.get(source)
                if before is None or before.timestamp_us <= record.timestamp_us:
                    self._found.latest_of[source] = record
        self._kinds.clear()


def pixel_orders(
    settings: ConsumerSettings, latest_of: Mapping[str, CatalogueRecord]
) -> dict[str, PixelOrder]:
    """The order of the pixels in each source's frames, as the newest frame of it in raw says.

    Where raw has none any more, frames are rebuilt, and then as a FITS file has them.

    Raises:
        BrokerUnreachableError, AccessError: Kafka went away, or refuses to be read.
    """
    orders = dict.fromkeys(latest_of, PixelOrder.FITS)
    peek = Peek(settings, settings.broker_wait_s)
    try:
        for source, record in latest_of.items():
            entry = readable_entry(record)
            for member in entry.members if entry is not None else ():
                if member.source == source:
                    order = _order_at(peek, settings.topics.raw, record.partition, member.raw_offset)
                    orders[source] = order or orders[source]
    except KafkaException as error:
        cause = kafka_error(error)
        raise stream_error(cause, settings.topics.raw) or BrokerUnreachableError(explain(cause)) from error
    finally:
        peek.close()
    return orders


def count_without_frames(settings: ConsumerSettings, items: Iterable[Item], partitions: Iterable[int]) -> int:
    """How many of these groups have a frame that raw no longer holds. Every entry is parsed.

    Raises:
        BrokerUnreachableError, AccessError: Kafka went away, or refuses to be read.
    """
    peek = Peek(settings, settings.broker_wait_s)
    try:
        oldest = {partition: peek.bounds(settings.topics.raw, partition)[0] for partition in partitions}
    except KafkaException as error:
        cause = kafka_error(error)
        raise stream_error(cause, settings.topics.raw) or BrokerUnreachableError(explain(cause)) from error
    finally:
        peek.close()
    return sum(
        min(member.raw_offset for member in item.entry.members) < oldest[item.record.partition]
        for item in items
    )


def _order_at(peek: Peek, topic: str, partition: int, offset: int) -> PixelOrder | None:
    low, end = peek.bounds(topic, partition)
    if not low <= offset < end:
        return None
    message = peek.first(topic, partition, offset)
    if message is None or message.offset() != offset:
        return None
    try:
        return RawHeaders.decode(message_headers(message)).pixel_order
    except SchemaError:
        return None


def _kind(value: bytes) -> bytes:
    """The part of an entry that names its sources, as the grouper writes it; else the whole entry."""
    start, end = value.find(_FROM), value.find(_TO)
    return value[start:end] if 0 <= start < end else value


def _revision(record: CatalogueRecord) -> int | None:
    """Which publication it is; None where it cannot be read."""
    if FIRST_PUBLICATION in record.value:
        return 1
    entry = readable_entry(record)
    return None if entry is None else entry.revision


def _by_number(name: str) -> tuple[tuple[int, str], ...]:
    """sb2 before sb10."""
    parts = _DIGITS.split(name)
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts if part)
