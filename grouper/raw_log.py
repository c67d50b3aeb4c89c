"""Reading single windows of raw again, to publish their group once more with what came late.

By a consumer of its own that belongs to no consumer group: the grouper's position, and the offsets it
commits, know nothing of it. It is made when the first late window comes.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from grouper.errors import RawGoneError
from grouper.raw_record import RawRecord, decode_record, read_head
from runtime.logs import get_logger
from runtime.message_headers import message_headers
from schemas.catalogue import Member
from schemas.errors import SchemaError

log = get_logger(__name__)

_QUERY_TIMEOUT_S = 10.0
_READ_DEADLINE_S = 30.0  # for the next record wanted
_READ_ON = 8  # records that are read over to the next one wanted; further on, a new fetch is less
_GONE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._PARTITION_EOF})  # noqa: SLF001  their public names


class RawAgain(Protocol):
    """Reads windows of one raw partition again; the grouper's from Kafka, the tests' from a list."""

    def holds(self, timestamp_us: int, first_offset: int) -> bool:
        """Whether the windows of a group, the first of which lies there, can be read again."""

    def read(self, timestamp_us: int, members: Sequence[Member]) -> tuple[RawRecord, ...]:
        """Read the members of a group again, in the order of their offsets.

        Raises:
            RawGoneError: one of them is not there any more.
        """


class RawLog:
    """One partition of raw, read by offset. Memory: the members of one group, and what is fetched ahead."""

    def __init__(
        self, make_consumer: Callable[[], Consumer], topic: str, partition: int, beyond_repair: set[int]
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            make_consumer: makes one with enable.partition.eof and auto.offset.reset=error.
            topic: raw.
            partition: its partition.
            beyond_repair: timestamps whose windows were not there when they were read. It outlives this: a
                group that is found to be so late, when it is published, is known from then on.
        """
        self._make_consumer = make_consumer
        self._topic = topic
        self._partition = partition
        self._beyond_repair = beyond_repair
        self._consumer: Consumer | None = None

    def holds(self, timestamp_us: int, first_offset: int) -> bool:
        """Whether the windows of a group, the first of which lies there, can be read again.

        Raises:
            KafkaException: Kafka could not be asked.
        """
        low, _high = self._connected().get_watermark_offsets(
            TopicPartition(self._topic, self._partition), timeout=_QUERY_TIMEOUT_S, cached=False
        )
        return first_offset >= low and timestamp_us not in self._beyond_repair

    def read(self, timestamp_us: int, members: Sequence[Member]) -> tuple[RawRecord, ...]:
        """Read the members of a group again, in the order of their offsets.

        Raises:
            RawGoneError: one of them is not there any more, or is another frame than was published.
            KafkaException: Kafka could not be asked, or did not answer in time.
        """
        wanted = {member.raw_offset: member for member in members}
        try:
            messages = self._messages(sorted(wanted))
            return tuple(_record(message, wanted[message.offset() or 0]) for message in messages)
        except RawGoneError:
            self._beyond_repair.add(timestamp_us)
            raise

    def _connected(self) -> Consumer:
        if self._consumer is None:
            self._consumer = self._make_consumer()
        return self._consumer

    def _messages(self, offsets: Sequence[int]) -> Iterator[Message]:
        """The records at these offsets, which go up."""
        consumer = self._connected()
        at: int | None = None
        try:
            for offset in offsets:
                if at is None or offset - at > _READ_ON:
                    consumer.assign([TopicPartition(self._topic, self._partition, offset)])
                yield self._next(consumer, offset)
                at = offset + 1
        finally:
            consumer.unassign()

    def _next(self, consumer: Consumer, offset: int) -> Message:
        deadline_s = time.monotonic() + _READ_DEADLINE_S
        while time.monotonic() < deadline_s:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.code() in _GONE:
                    raise self._gone(offset, error.str())
                raise KafkaException(error)
            at = message.offset() or 0
            if at == offset:
                return message
            if at > offset:
                raise self._gone(offset, f"the next record is at {at}")
        raise KafkaException(
            KafkaError(KafkaError._TIMED_OUT, f"{self._topic} [{self._partition}] was not read in time")  # noqa: SLF001
        )

    def _gone(self, offset: int, why: str) -> RawGoneError:
        return RawGoneError(
            f"{self._topic} [{self._partition}] no longer holds offset {offset} ({why}), a member of the "
            "group that a late window was to be put into"
        )

    def close(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            self._consumer.close()


def _record(message: Message, member: Member) -> RawRecord:
    """A window read again; its digest says that it is the one that was published.

    Raises:
        RawGoneError: it is another one.
    """
    offset = message.offset() or 0
    try:
        head = read_head(offset, message.timestamp()[1], message.key(), message_headers(message))
        if (head.headers.source, head.headers.digest) == (member.source, member.digest):
            return decode_record(head, message.value())
    except SchemaError as error:
        raise RawGoneError(f"raw offset {offset} is no window any more: {error}") from error
    raise RawGoneError(
        f"raw offset {offset} is {head.headers.source} with {head.headers.digest}, and not what was "
        f"published of it, {member.source} with {member.digest}: was raw made anew?"
    )
