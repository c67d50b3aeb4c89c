"""What a range holds, found in the catalogue before anything is played. No image is read.

One pass over the entries: how many groups, from when to when, of which sources, and which timestamps were
published again. An entry's JSON is parsed only where it names other sources than those before, so that a
week of groups takes seconds. Memory does not depend on how many groups there are, but for those that were
published again.
"""

import re
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
from consumer.serving.playlist import Place
from consumer.settings import ConsumerSettings
from runtime.kafka import explain, kafka_error
from runtime.message_headers import message_headers
from runtime.peek import Peek
from schemas.errors import SchemaError
from schemas.record_headers import RawHeaders
from schemas.window import PixelOrder

_FROM, _TO = b'"expected":', b'"members":'
_MOST_KINDS: Final = 256  # of entries by their sources, kept at a time
_DIGITS: Final = re.compile(r"(\d+)", re.ASCII)


@dataclass(slots=True)
class Survey:
    """What was found.

    Attributes:
        groups: how many, each publication counted.
        first_us: the earliest observation time, microseconds since 1970 UTC,
        last_us: and the latest.
        playing_s: how long they take at the cadence asked for, in the order of the log.
        sources: all that were expected or present.
        newest: by timestamp, of those that were published again: where their newest publication lies.
        latest_of: by source, one of the last entries that have an image of it.
    """

    groups: int = 0
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
    limit: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Survey:
    """Look at entries in the order in which they would be played.

    Args:
        records: the entries.
        cadence: at which they would be.
        limit: at most so many.
        stopped: asked at each entry; the survey ends where it is true.
    """
    found = Survey()
    schedule = cadence.begin()
    revisions: dict[int, int] = {}
    kinds: dict[bytes, tuple[tuple[str, ...], CatalogueRecord]] = {}
    for record in records:
        if stopped():
            break
        kind = _kind(record.value)
        if kind in kinds:
            kinds[kind] = kinds[kind][0], record
        else:
            entry = readable_entry(record)
            if entry is None:
                continue
            if len(kinds) == _MOST_KINDS:
                _fold(kinds, found)
            kinds[kind] = entry.present, record
            found.sources.update(entry.expected, entry.present)
        if FIRST_PUBLICATION not in record.value:
            _note_revision(record, revisions, found)
        at_us = record.timestamp_us
        found.first_us = min(found.first_us, at_us) if found.groups else at_us
        found.last_us = max(found.last_us, at_us)
        found.groups += 1
        found.playing_s = schedule.due_s(at_us, 0.0)
        if found.groups == limit:
            break
    _fold(kinds, found)
    return found


def pixel_orders(
    settings: ConsumerSettings, latest_of: Mapping[str, CatalogueRecord]
) -> dict[str, PixelOrder]:
    """The order of the pixels in each source's frames, as the newest frame of it in raw says.

    Where raw has none any more, frames are rebuilt, and then as a FITS file has them.

    Raises:
        BrokerUnreachableError, AccessError: Kafka went away, or refuses to be read.
    """
    orders = dict.fromkeys(latest_of, PixelOrder.FITS)
    peek = Peek(settings)
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


def count_without_frames(
    settings: ConsumerSettings, records: Iterable[CatalogueRecord], partitions: Iterable[int]
) -> int:
    """How many of these groups have a frame that raw no longer holds. Every entry is parsed.

    Raises:
        BrokerUnreachableError, AccessError: Kafka went away, or refuses to be read.
    """
    peek = Peek(settings)
    try:
        oldest = {partition: peek.bounds(settings.topics.raw, partition)[0] for partition in partitions}
    except KafkaException as error:
        cause = kafka_error(error)
        raise stream_error(cause, settings.topics.raw) or BrokerUnreachableError(explain(cause)) from error
    finally:
        peek.close()
    lost = 0
    for record in records:
        entry = readable_entry(record)
        if entry is not None:
            lost += min(member.raw_offset for member in entry.members) < oldest[record.partition]
    return lost


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


def _fold(kinds: dict[bytes, tuple[tuple[str, ...], CatalogueRecord]], found: Survey) -> None:
    for present, record in kinds.values():
        for source in present:
            before = found.latest_of.get(source)
            if before is None or before.timestamp_us <= record.timestamp_us:
                found.latest_of[source] = record
    kinds.clear()


def _note_revision(record: CatalogueRecord, revisions: dict[int, int], found: Survey) -> None:
    entry = readable_entry(record)
    if entry is not None and entry.revision > revisions.get(entry.timestamp_us, 1):
        revisions[entry.timestamp_us] = entry.revision
        found.newest[entry.timestamp_us] = (record.partition, record.offset)


def _by_number(name: str) -> tuple[tuple[int, str], ...]:
    """sb2 before sb10."""
    parts = _DIGITS.split(name)
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts if part)
