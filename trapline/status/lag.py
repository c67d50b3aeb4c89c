"""How far each consumer group is behind: in offsets, groups and seconds, and until when it may be."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Message

from consumer.catalogue import Catalogue, CatalogueRecord
from consumer.history import readable_entry
from runtime.peek import Peek, append_time_us
from schemas.catalogue import CatalogueEntry
from schemas.errors import SchemaError
from schemas.offset_metadata import OffsetMetadata
from schemas.topics import TopicNames
from trapline.status.consumer_groups import Committed, ConsumerGroup
from trapline.status.retention import Retention, Unread, seconds_left

COUNTED: Final = 5_000
"""Offsets of the catalogue that are read to count groups; more are estimated."""

GROWTH_S: Final = 600.0
"""How far back the growth of a topic is looked at."""


@dataclass(frozen=True, slots=True)
class Lag:
    """One position of one consumer group.

    Attributes:
        group: whose.
        topic: where,
        partition: in which partition.
        committed: the offset that is read next.
        begin: the oldest offset there is.
        end: one past the last.
        offsets_behind: how many there are to be handled: records, and markers of transactions.
        groups_behind: how many timestamp groups that is; None: not known, as of a topic without groups.
        estimated: whether that was not counted one by one.
        seconds_behind: since the first of it was appended; 0: nothing is unread; None: it is gone.
        retention_left_s: seconds until retention may delete what is unread; None: nothing would be lost.
        lost_offsets: how many retention has deleted unread.
    """

    group: ConsumerGroup
    topic: str
    partition: int
    committed: int
    begin: int
    end: int
    offsets_behind: int
    groups_behind: int | None
    estimated: bool
    seconds_behind: float | None
    retention_left_s: float | None
    lost_offsets: int


class LagMeter:
    """Measures positions; each place in a topic is looked at once, however many groups stand there.

    Its methods raise KafkaException where Kafka does not answer, or refuses.
    """

    def __init__(
        self,
        names: TopicNames,
        peek: Peek,
        catalogue: Catalogue,
        tails: Mapping[int, Sequence[CatalogueRecord]],
        retention: Mapping[str, Retention],
        *,
        clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        """Prepare.

        Args:
            names: of the topics.
            peek: looks at records.
            catalogue: counts groups.
            tails: by partition, the last entries of the catalogue, the newest last.
            retention: of the topics whose settings are known.
            clock_us: this machine's, microseconds since 1970 UTC.
        """
        self._names = names
        self._peek = peek
        self._catalogue = catalogue
        self._tails = tails
        self._retention = retention
        self._clock_us = clock_us
        self._unread: dict[tuple[str, int, int], Unread | None] = {}
        self._growth: dict[tuple[str, int], float] = {}

    def measure(self, group: ConsumerGroup, at: Committed) -> Lag:
        """How far behind this position is."""
        begin, end = self._peek.bounds(at.topic, at.partition)
        unhandled = at.offset
        if at.topic == self._names.raw:
            # Below read_to all is handled; what is committed is the first record of the oldest open group.
            unhandled = max(at.offset, _read_to(at))
        behind = max(0, end - max(unhandled, begin))
        first_unread = self._look(at.topic, at.partition, max(at.offset, begin), end)
        first_unhandled = self._look(at.topic, at.partition, max(unhandled, begin), end)
        groups, estimated = self._groups_behind(at, max(unhandled, begin), behind)
        lost = max(0, begin - at.offset)
        retention = self._retention.get(at.topic)
        if lost:
            left: float | None = 0.0
        else:
            left = None if retention is None else seconds_left(retention, first_unread)
        return Lag(
            group=group,
            topic=at.topic,
            partition=at.partition,
            committed=at.offset,
            begin=begin,
            end=end,
            offsets_behind=behind if first_unhandled is not None else 0,
            groups_behind=groups if first_unhandled is not None or groups is None else 0,
            estimated=estimated,
            seconds_behind=0.0 if first_unhandled is None else first_unhandled.age_s,
            retention_left_s=left,
            lost_offsets=lost,
        )

    def _look(self, topic: str, partition: int, offset: int, end: int) -> Unread | None:
        """What is unread from an offset on; None: nothing but markers of transactions, if at all."""
        place = topic, partition, offset
        if offset >= end:
            return None
        if place not in self._unread:
            message = self._peek.first(topic, partition, offset)
            unread = None
            if message is not None:
                size = len(message.value() or b"")
                growth = self._appended_per_s(topic, partition, end)
                unread = Unread(end - offset, self._age_s(message), size, growth)
            self._unread[place] = unread
        return self._unread[place]

    def _appended_per_s(self, topic: str, partition: int, end: int) -> float:
        """Offsets by which a partition has grown lately, in a second."""
        place = topic, partition
        if place not in self._growth:
            since_ms = self._clock_us() // 1000 - round(GROWTH_S * 1000)
            offset = self._peek.offset_at(topic, partition, since_ms)
            first = None if offset is None else self._peek.first(topic, partition, offset)
            # The topic may be younger than that.
            age_s = 0.0 if first is None else max(1.0, self._age_s(first))
            self._growth[place] = 0.0 if offset is None or first is None else (end - offset) / age_s
        return self._growth[place]

    def _age_s(self, message: Message) -> float:
        return max(0.0, (self._clock_us() - append_time_us(message)) / 1e6)

    def _groups_behind(self, at: Committed, unhandled: int, behind: int) -> tuple[int | None, bool]:
        tail = self._tails.get(at.partition, ())
        if at.topic == self._names.raw:
            members = [len(entry.members) for entry in map(readable_entry, tail) if entry is not None]
            if not members:
                return (0, False) if behind == 0 else (None, False)
            return round(behind * len(members) / sum(members)), behind > 0
        if at.topic == self._names.groups:
            return self._count(at.partition, tail, unhandled)
        return None, False

    def _count(self, partition: int, tail: Sequence[CatalogueRecord], offset: int) -> tuple[int, bool]:
        """Entries whose images lie at or after an offset of the groups topic."""
        known = [(record, entry) for record in tail if (entry := readable_entry(record)) is not None]
        if not known:
            return 0, False
        if known[0][1].last_offset < offset:  # the usual case: the reader is near the end
            return sum(entry.last_offset >= offset for _, entry in known), False
        begin, end = self._catalogue.bounds(partition)
        start = self._catalogue.halve(partition, begin, end, lambda record: _is_unread(record, offset))
        if end - start <= COUNTED:
            with closing(self._catalogue.read(partition, start, end)) as records:
                return sum(1 for _ in records), False
        first, last = known[0][0].offset, known[-1][0].offset
        return round((end - start) * len(known) / (last - first + 1)), True


def _is_unread(record: CatalogueRecord, offset: int) -> bool | None:
    try:
        entry: CatalogueEntry = record.entry()
    except SchemaError:
        return None
    return entry.last_offset >= offset


def _read_to(at: Committed) -> int:
    """One past the highest raw offset that the grouper has handled; where it did not say, its offset."""
    try:
        return OffsetMetadata.decode(at.metadata).read_to
    except SchemaError:
        return at.offset
