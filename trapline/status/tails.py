"""The ends of the topics: the last groups, frames and rejects; a bounded number, however long they are."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final

from consumer.catalogue import Catalogue, CatalogueRecord, catalogue_consumer
from consumer.settings import ConsumerSettings
from runtime.message_headers import message_headers
from runtime.peek import Peek, append_time_us
from schemas.errors import SchemaError
from schemas.record_headers import RawHeaders, RejectHeaders

RAW_RECORDS: Final = 24
"""Frames of each raw partition that are looked at, 4 MiB each at AARTFAAC: only their headers count."""

REJECT_RECORDS: Final = 50
"""Rejects of each partition that are looked at; each holds a frame."""

_STALL_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class RejectTail:
    """The last rejects.

    Attributes:
        read: their headers.
        since_us: when the first of them came in, microseconds since 1970 UTC; None: there are none.
        more: how many offsets lie before them, in all partitions.
    """

    read: tuple[RejectHeaders, ...] = ()
    since_us: int | None = None
    more: int = 0


def open_catalogue(settings: ConsumerSettings) -> Catalogue:
    """The catalogue, for reading a few entries of it."""
    return Catalogue(catalogue_consumer(settings), settings.topics.catalogue, stall_s=_STALL_S)


def catalogue_tails(
    catalogue: Catalogue, partitions: int, count: int
) -> Mapping[int, tuple[CatalogueRecord, ...]]:
    """The last `count` entries of each partition, the newest last.

    Raises:
        KafkaException: Kafka does not answer, or refuses.
    """
    tails = {}
    for partition in range(partitions):
        newest_first = list(islice(catalogue.backwards(partition), count))
        tails[partition] = tuple(reversed(newest_first))
    return tails


def raw_tail(peek: Peek, topic: str, partitions: int) -> tuple[RawHeaders, ...]:
    """The headers of the last frames in raw.

    Raises:
        KafkaException: as above.
    """
    found = []
    for partition in range(partitions):
        begin, end = peek.bounds(topic, partition)
        with closing(peek.span(topic, partition, max(begin, end - RAW_RECORDS), end)) as records:
            for message in records:
                try:
                    found.append(RawHeaders.decode(message_headers(message)))
                except SchemaError:
                    continue  # somebody else's record; the grouper counts it
    return tuple(found)


def reject_tail(peek: Peek, topic: str, partitions: int, since_us: int) -> RejectTail:
    """The rejects that came in since a time, the newest of them where there are many.

    Args:
        peek: looks at records.
        topic: rejects.
        partitions: how many it has.
        since_us: microseconds since 1970 UTC.

    Raises:
        KafkaException: as above.
    """
    found: list[RejectHeaders] = []
    first_us: int | None = None
    more = 0
    for partition in range(partitions):
        since = peek.offset_at(topic, partition, max(0, since_us // 1000))
        if since is None:
            continue
        _, end = peek.bounds(topic, partition)
        start = max(since, end - REJECT_RECORDS)
        more += start - since
        with closing(peek.span(topic, partition, start, end)) as records:
            for message in records:
                arrived_us = append_time_us(message)
                first_us = arrived_us if first_us is None else min(first_us, arrived_us)
                try:
                    found.append(RejectHeaders.decode(message_headers(message)))
                except SchemaError:
                    continue  # somebody else's record; `trapline rejects list` shows it
    return RejectTail(tuple(found), first_us, more)
