"""Reading the catalogue topic: one small record a group, in the order in which groups were published.

Its records carry the group's timestamp as key and as Kafka's record time, so that topic is an index by
observation time. Two things are known of a partition of it:

- Kafka's lookup by time names the first record that is not earlier. Before that one nothing can lie in a
  range; after it anything may, because runs overlap and times go back. So a search reads on to the end,
  and looks at the keys alone: an entry's JSON is parsed where the key lies in the range.
- Offsets of images in the groups topic only grow along it, because a group and its entry are published in
  one transaction. So what retention has left of the groups topic is found by halving.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumer.kafka_errors import is_gap
from consumer.metrics import UNREADABLE
from consumer.settings import ConsumerSettings
from runtime.kafka import LogConsumer, ask_within, log_consumer
from runtime.logs import get_logger
from schemas.catalogue import CatalogueEntry
from schemas.errors import CatalogueError, SchemaError
from schemas.json_fields import JsonObject
from schemas.timestamp import parse_key, timestamp_key

STALL_S = 30.0  # a broker that answers nothing for so long is away; the caller asks again
FIRST_LOOK_BACK = 64  # offsets; transaction markers and aborted records lie between entries
BATCH = 1000  # records taken from librdkafka at once
FETCH_BYTES = 1024 * 1024  # small, because looking up one entry fetches as much
FETCH_WAIT_MS = 20  # at the end, which each search reads up to
QUEUE_BYTES = 8 * 1024 * 1024
NO_KEY: Final = b"~"  # after every key

log = get_logger(__name__)


def catalogue_consumer(settings: ConsumerSettings) -> LogConsumer:
    """A consumer as `Catalogue` wants it."""
    return log_consumer(
        settings,
        group_id=None,
        enable_partition_eof=True,
        queue_bytes=QUEUE_BYTES,
        record_bytes=FETCH_BYTES,
        fetch_wait_ms=FETCH_WAIT_MS,
    )


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

    def presence(self) -> tuple[tuple[str, ...], bool]:
        """The sources that are there, and whether the group is complete: a fifth of the work of `entry`.

        Raises:
            CatalogueError: the record does not say.
        """
        fields = JsonObject.parse(self.value, "the catalogue entry", CatalogueError)
        return fields.texts("present"), fields.boolean("complete")


class Catalogue:
    """The catalogue topic of one prefix, read with a consumer of its own: one reading at a time.

    Its methods raise KafkaException where the broker is away; they can be called again.
    """

    def __init__(
        self, consumer: Consumer, topic: str, *, stall_s: float = STALL_S, ask_s: float | None = None
    ) -> None:
        """Take over `consumer`.

        Args:
            consumer: from `catalogue_consumer`: read_committed, no consumer group, EOF events on.
            topic: the catalogue's name.
            stall_s: how long a broker may say nothing.
            ask_s: how long a question may take; default: as long.
        """
        self._consumer = consumer
        self._topic = topic
        self._stall_s = stall_s
        self._ask_s = stall_s if ask_s is None else ask_s

    def close(self) -> None:
        """Give the consumer back to Kafka."""
        self._consumer.close()

    def bounds(self, partition: int) -> tuple[int, int]:
        """First offset and end (of what is committed) of a partition."""
        where = TopicPartition(self._topic, partition)
        low, high = ask_within(
            self._ask_s,
            lambda left_s: self._consumer.get_watermark_offsets(where, timeout=left_s, cached=False),
        )
        return low, high

    def not_before(self, partition: int, timestamp_us: int) -> int | None:
        """An offset before which every entry is earlier than this time; None: all of them are."""
        # Entries carry milliseconds, rounded down: ask for the millisecond that the timestamp lies in.
        where = TopicPartition(self._topic, partition, timestamp_us // 1000)

        def ask(left_s: float) -> int:
            (found,) = self._consumer.offsets_for_times([where], timeout=left_s)
            if found.error is not None:
                raise KafkaException(found.error)
            return found.offset

        offset = ask_within(self._ask_s, ask)
        return offset if offset >= 0 else None

    def since(self, partition: int, timestamp_us: int) -> Iterator[CatalogueRecord]:
        """Entries from the first that is not before `timestamp_us`, up to the end."""
        start = self.not_before(partition, timestamp_us)
        if start is None:
            return
        low, end = self.bounds(partition)
        found_it = False
        for record in self.read(partition, max(start, low), end):
            found_it = found_it or record.timestamp_us >= timestamp_us
            if found_it:
                yield record

    def backwards(
        self,
        partition: int,
        start: int | None = None,
        end: int | None = None,
        *,
        from_us: int | None = None,
        to_us: int | None = None,
    ) -> Iterator[CatalogueRecord]:
        """As `read`, from the last entry to the first; by default all that there are."""
        low, high = self.bounds(partition)
        low = low if start is None else max(low, start)
        high = high if end is None else min(high, end)
        step = FIRST_LOOK_BACK
        while high > low:
            begin = max(low, high - step)
            yield from reversed(list(self.read(partition, begin, high, from_us=from_us, to_us=to_us)))
            high = begin
            step = min(2 * step, BATCH)

    def read(
        self,
        partition: int,
        start: int,
        end: int,
        *,
        from_us: int | None = None,
        to_us: int | None = None,
    ) -> Generator[CatalogueRecord, None, None]:
        """Entries at offsets from `start` to before `end`, as far as they are still there.

        What is not an entry is counted and left out.

        Args:
            partition: where.
            start: the first offset.
            end: one past the last; the generator ends as soon as nothing lies before it any more.
            from_us: leave out what is before this observation time,
            to_us: and what is at this one or after.
        """
        if start >= end:
            return
        # Keys are text of one length, whose order is that of the times: comparing bytes is 20 x as quick
        # as reading them, and of a week's entries most lie outside of a range.
        first_key = b"" if from_us is None else timestamp_key(from_us)
        end_key = NO_KEY if to_us is None else timestamp_key(to_us)
        self._consumer.assign([TopicPartition(self._topic, partition, start)])
        try:
            for message in self._messages(partition, start, end):
                if first_key <= (message.key() or b"") < end_key:
                    record = _record(message)
                    if record is not None:
                        yield record
        finally:
            self._consumer.unassign()

    def halve(
        self, partition: int, start: int, end: int, is_after: Callable[[CatalogueRecord], bool | None]
    ) -> int:
        """An offset, `start` to `end`, before which no entry is "after", and from which on every one is.

        Args:
            partition: where.
            start: the first offset that comes into question.
            end: one past the last.
            is_after: False of all entries up to some place, True of all behind it; None where it cannot
                be told.
        """
        while start < end:
            middle = (start + end) // 2
            record, after = None, True
            with closing(self.read(partition, middle, end)) as records:
                for each in records:
                    told = is_after(each)
                    if told is not None:
                        record, after = each, told
                        break
            if record is None or after:
                end = middle
            else:
                start = record.offset + 1
        return start

    def _messages(self, partition: int, start: int, end: int) -> Iterator[Message]:
        """Records from `start` to before `end`, without those that retention deletes meanwhile."""
        while True:
            for message in self._batch():
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name
                        return
                    start = self._behind(error, partition, start)
                    if start >= end:
                        return
                    self._consumer.assign([TopicPartition(self._topic, partition, start)])
                    break
                offset = cast("int", message.offset())  # a record that came has one
                if offset < end:
                    yield message
                if offset >= end - 1:
                    return
                start = offset + 1

    def _batch(self) -> tuple[Message, ...]:
        asked_s = time.monotonic()
        while True:
            first = self._consumer.poll(0.5)  # comes with the first record, not when a batch is full
            if first is not None:
                return first, *self._consumer.consume(BATCH, 0)
            if time.monotonic() - asked_s > self._stall_s:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - the same

    def _behind(self, error: KafkaError, partition: int, start: int) -> int:
        """Where the records begin now, if those from `start` on are gone; otherwise the error is one."""
        low = self.bounds(partition)[0] if is_gap(error) else start
        if low <= start:  # also of a topic that was made anew, and of one whose broker lost records
            raise KafkaException(error)
        return low


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
