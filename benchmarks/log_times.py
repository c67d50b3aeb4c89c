"""Rates as the log has them: Kafka's own append times, not a guess of the process under test.

raw and groups carry the broker's time of append, so a rate is the same measurement for a stage and for its
floor, and neither start-up nor shut-down is part of it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from confluent_kafka import TopicPartition

from benchmarks.lane import Lane
from benchmarks.processes import BenchmarkError
from runtime.kafka import log_consumer
from schemas.catalogue import CatalogueEntry

_READ_S = 60.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a run in which the pipeline was full.

    Attributes:
        start_s: seconds since 1970.
        end_s: seconds since 1970.
        records: appended between them.
        nbytes: of these records' values.
    """

    start_s: float
    end_s: float
    records: int
    nbytes: int

    @property
    def records_per_s(self) -> float:
        """Records a second."""
        return self.records / (self.end_s - self.start_s)

    @property
    def mb_per_s(self) -> float:
        """Megabytes (10^6) a second."""
        return self.nbytes / 1e6 / (self.end_s - self.start_s)

    @property
    def gib(self) -> float:
        """GiB of values."""
        return self.nbytes / 1024**3


def raw_stretch(lane: Lane, records: int) -> Stretch:
    """From a tenth of the records on to the last one."""
    first = records // 10
    start_s, size = _append(lane, lane.names.raw, first)
    end_s, _ = _append(lane, lane.names.raw, records - 1)
    return Stretch(start_s, end_s, records - 1 - first, (records - 1 - first) * size)


def groups_stretch(lane: Lane, firsts: Sequence[int]) -> Stretch:
    """Whole transactions: from the first of them after a tenth to the beginning of the last one.

    Records of a transaction come in a burst, so any other stretch would count a part of one too many.

    Args:
        lane: whose groups topic.
        firsts: the offset of the first record of each transaction; one marker lies before each but the
            first.
    """
    return _stretch(lane, lane.names.groups, firsts)


def copies_stretch(lane: Lane, topic: str, records: int) -> Stretch:
    """As `groups_stretch`, of a topic that holds so many records and has no catalogue."""
    consumer = log_consumer(lane.settings, group_id=None)
    deadline_s = time.monotonic() + _READ_S
    offsets: list[int] = []
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while len(offsets) < records:
            offsets += [m.offset() or 0 for m in consumer.consume(100, 0.2) if m.error() is None]
            if time.monotonic() > deadline_s:
                raise BenchmarkError(f"{topic} holds {len(offsets)} of {records} records")
    finally:
        consumer.close()
    firsts = [offsets[0], *(after for before, after in pairwise(offsets) if after != before + 1)]
    return _stretch(lane, topic, firsts)


def await_groups(
    lane: Lane, groups: int, timeout_s: float, progress: list[tuple[float, float]] | None = None
) -> list[CatalogueEntry]:
    """Wait until the catalogue holds so many groups, all complete; return its entries.

    Args:
        lane: whose catalogue.
        groups: how many.
        timeout_s: for all of them.
        progress: gets how many there were (second) at which times (first), seconds since 1970.
    """
    consumer = log_consumer(lane.settings, group_id=None)
    values: list[bytes] = []
    deadline_s = time.monotonic() + timeout_s
    try:
        consumer.assign([TopicPartition(lane.names.catalogue, 0, 0)])
        while len(values) < groups:
            lane.check()
            values += [message.value() or b"" for message in consumer.consume(1_000, 0.2)]
            if progress is not None:
                progress.append((time.time(), len(values)))
            if time.monotonic() > deadline_s:
                raise BenchmarkError(f"{len(values)} of {groups} groups are out after {timeout_s:.0f} s")
    finally:
        consumer.close()
    entries = [CatalogueEntry.from_json(value) for value in values]
    incomplete = sum(not entry.complete for entry in entries)
    if incomplete:
        raise BenchmarkError(f"{incomplete} of {groups} groups are incomplete")
    return entries


def transaction_firsts(entries: Sequence[CatalogueEntry]) -> list[int]:
    """The offset of the first image of each transaction: where a marker lies before a group."""
    firsts = [entries[0].first_offset]
    for before, entry in pairwise(entries):
        if entry.first_offset != before.last_offset + 1:
            firsts.append(entry.first_offset)
    return firsts


def _stretch(lane: Lane, topic: str, firsts: Sequence[int]) -> Stretch:
    begin = max(1, len(firsts) // 10)
    if len(firsts) < begin + 2:
        raise BenchmarkError(f"{len(firsts)} transactions are too few to measure a rate")
    start_s, size = _append(lane, topic, firsts[begin])
    end_s, _ = _append(lane, topic, firsts[-1])
    records = firsts[-1] - firsts[begin] - (len(firsts) - 1 - begin)
    return Stretch(start_s, end_s, records, records * size)


def _append(lane: Lane, topic: str, offset: int) -> tuple[float, int]:
    """When the record at an offset was appended, seconds since 1970, and the size of its value."""
    consumer = log_consumer(lane.settings, group_id=None)
    deadline_s = time.monotonic() + _READ_S
    try:
        consumer.assign([TopicPartition(topic, 0, offset)])
        while time.monotonic() < deadline_s:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None and message.offset() == offset:
                return message.timestamp()[1] / 1000, len(message.value() or b"")
    finally:
        consumer.close()
    raise BenchmarkError(f"{topic} has no record at {offset}")
