"""Reading the catalogue topic: one small record a group, in the order in which groups were published."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumer.metrics import UNREADABLE
from runtime.logs import get_logger
from schemas.catalogue import CatalogueEntry
from schemas.errors import SchemaError
from schemas.timestamp import parse_key

STALL_S = 30.0  # a broker that answers nothing for so long is away; the caller asks again
FIRST_LOOK_BACK = 64  # offsets; transaction markers and aborted records lie between entries

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CatalogueRecord:
    """A record of the catalogue topic; its JSON is parsed when asked.

    Attributes:
        partition: its partition.
        offset: its offset.
        timestamp_us: the group's timestamp, from the key, microseconds since 1970 UTC.
        value: the entry as JSON.
    """

    partition: int
    offset: int
    timestamp_us: int
    value: bytes

    def entry(self) -> CatalogueEntry:
        """What the record says.

        Raises:
            CatalogueError: it is not an entry as schemas/ describes it.
        """
        return CatalogueEntry.from_json(self.value)


class Catalogue:
    """The catalogue topic of one prefix, read with a consumer of its own.

    Its methods raise KafkaException where the broker is away; they can be called again.
    """

    def __init__(self, consumer: Consumer, topic: str) -> None:
        """Take over `consumer`: read_committed, no consumer group, partition EOF events on."""
        self._consumer = consumer
        self._topic = topic

    def close(self) -> None:
        """Give the consumer back to Kafka."""
        self._consumer.close()

    def bounds(self, partition: int) -> tuple[int, int]:
        """First offset and end (of what is committed) of a partition."""
        where = TopicPartition(self._topic, partition)
        low, high = self._consumer.get_watermark_offsets(where, timeout=STALL_S, cached=False)
        return low, high

    def since(self, partition: int, timestamp_us: int) -> Iterator[CatalogueRecord]:
        """Entries from the first that is not before `timestamp_us`, up to the end."""
        # Entries carry milliseconds, rounded down: ask for the millisecond that the timestamp lies in.
        where = TopicPartition(self._topic, partition, timestamp_us // 1000)
        (found,) = self._consumer.offsets_for_times([where], timeout=STALL_S)
        if found.error is not None:
            raise KafkaException(found.error)
        low, end = self.bounds(partition)
        if found.offset < 0:  # every entry is earlier
            return
        found_it = False
        for record in self.read(partition, max(found.offset, low), end):
            found_it = found_it or record.timestamp_us >= timestamp_us
            if found_it:
                yield record

    def backwards(self, partition: int) -> Iterator[CatalogueRecord]:
        """Entries from the last to the first."""
        low, end = self.bounds(partition)
        step = FIRST_LOOK_BACK
        while end > low:
            start = max(low, end - step)
            yield from reversed(list(self.read(partition, start, end)))
            end = start
            step *= 2

    def read(self, partition: int, start: int, end: int) -> Iterator[CatalogueRecord]:
        """Entries at offsets from `start` to before `end`; what is not an entry is counted and left out."""
        if start >= end:
            return
        self._consumer.assign([TopicPartition(self._topic, partition, start)])
        try:
            for message in self._messages(end):
                record = _record(message)
                if record is not None:
                    yield record
        finally:
            self._consumer.unassign()

    def _messages(self, end: int) -> Iterator[Message]:
        heard_s = time.monotonic()
        while True:
            message = self._consumer.poll(0.5)
            if message is None:
                if time.monotonic() - heard_s > STALL_S:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - librdkafka's names
                continue
            heard_s = time.monotonic()
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the same
                    return
                raise KafkaException(error)
            offset = cast("int", message.offset())  # a record that came has one
            if offset < end:
                yield message
            if offset >= end - 1:
                return


def _record(message: Message) -> CatalogueRecord | None:
    try:
        timestamp_us = parse_key(message.key() or b"")
    except SchemaError as error:
        UNREADABLE.labels(topic="catalogue").inc()
        log.warning("catalogue record left out", offset=message.offset(), error=str(error))
        return None
    return CatalogueRecord(
        partition=cast("int", message.partition()),
        offset=cast("int", message.offset()),
        timestamp_us=timestamp_us,
        value=message.value() or b"",
    )
