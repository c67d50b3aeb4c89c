"""Reading the rejects topic: what could not be used, why, and where it came from."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from consumer.settings import ConsumerSettings
from runtime.kafka import LogConsumer, ask_within, log_consumer, require_topic
from runtime.message_headers import message_headers
from schemas.errors import RejectReason, SchemaError, TraplineError
from schemas.header_fields import KafkaHeaders
from schemas.record_headers import RejectHeaders

_FETCH_WAIT_MS: Final = 20  # each look ends at the end of what was asked for
_FIRST_LOOK_BACK: Final = 64  # offsets; transaction markers and aborted records lie between rejects
# What librdkafka gets over by itself.
_PASSING: Final = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE})  # noqa: SLF001 - librdkafka's names


class RejectNotFoundError(TraplineError):
    """There is no reject at this place."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record of the rejects topic.

    Attributes:
        partition: where it lies,
        offset: and at which offset.
        arrived_us: when it came into the topic, by the broker's clock, microseconds since 1970 UTC.
        key: the record's: DATE-OBS as ASCII, where it was known.
        headers: what they say; None where they are not those of a reject.
        header_pairs: all headers as they are.
        problem: what is wrong with the headers; empty where nothing is.
        kept_bytes: the size of the value: of what was rejected, all or the first part.
        value: the bytes; None where they were not asked for.
    """

    partition: int
    offset: int
    arrived_us: int
    key: bytes | None
    headers: RejectHeaders | None
    header_pairs: tuple[tuple[str, bytes | None], ...]
    problem: str
    kept_bytes: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rejects to show; what is empty lets all pass.

    Attributes:
        reasons: one of these.
        sources: of one of these.
    """

    reasons: frozenset[RejectReason] = frozenset()
    sources: frozenset[str] = frozenset()

    def __call__(self, reject: Reject) -> bool:
        """Whether it is wanted; a foreign record is where there is no condition."""
        headers = reject.headers
        if headers is None:
            return not self.reasons and not self.sources
        return (not self.reasons or headers.reason in self.reasons) and (
            not self.sources or headers.source in self.sources
        )


class Rejects:
    """The rejects topic of one prefix.

    Raises (the methods, too):
        MissingTopicError: there is no such topic.
        KafkaUnavailableError, AccessDeniedError: Kafka did not answer, or refused.
        KafkaException: it stopped answering in the middle.
    """

    def __init__(self, settings: ConsumerSettings) -> None:
        """Connect; Kafka may be away for `broker_wait_s`, now and later."""
        self._wait_s = settings.broker_wait_s
        self._topic = settings.topics.rejects
        self._consumer: LogConsumer = log_consumer(
            settings,
            group_id=None,
            auto_offset_reset="earliest",
            enable_partition_eof=True,
            fetch_wait_ms=_FETCH_WAIT_MS,
        )
        try:
            self._partitions = require_topic(self._consumer.admin, self._topic, self._wait_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of Kafka."""
        self._consumer.close()

    def all(self, wanted: Callable[[Reject], bool]) -> Iterator[Reject]:
        """Those wanted, without their bytes: a partition after the other, each from its oldest."""
        for partition in range(self._partitions):
            low, end = self._bounds(partition)
            yield from filter(wanted, self._read(partition, low, end))

    def last(self, count: int, wanted: Callable[[Reject], bool]) -> list[Reject]:
        """The last so many of those wanted, without their bytes, in the order they came in."""
        found: list[Reject] = []
        if count > 0:
            for partition in range(self._partitions):
                found += self._last(partition, count, wanted)
        found.sort(key=lambda reject: (reject.arrived_us, reject.partition, reject.offset))
        return found[len(found) - min(count, len(found)) :]

    def at(self, partition: int, offset: int) -> Reject:
        """The reject at one place, with its bytes.

        Raises:
            RejectNotFoundError: there is none; says what there is.
        """
        if partition >= self._partitions:
            raise RejectNotFoundError(
                f"{self._topic} has no partition {partition}: it has {self._partitions}, numbered from 0"
            )
        low, end = self._bounds(partition)
        if low <= offset < end:
            for reject in self._read(partition, offset, offset + 1, values=True):
                return reject
            raise RejectNotFoundError(
                f"there is no reject at {partition}:{offset} of {self._topic}: the offset belongs to a "
                "transaction's marker, or to one that was aborted"
            )
        there = f"has offsets {low} to {end - 1}" if low < end else "is empty"
        raise RejectNotFoundError(f"there is no reject at {partition}:{offset}: {self._topic} {there} there")

    def _last(self, partition: int, count: int, wanted: Callable[[Reject], bool]) -> list[Reject]:
        """Looks back in steps that double, so that a few of many do not cost reading all."""
        low, end = self._bounds(partition)
        found: list[Reject] = []
        step = max(_FIRST_LOOK_BACK, 2 * count)
        while end > low and len(found) < count:
            start = max(low, end - step)
            found = [*filter(wanted, self._read(partition, start, end)), *found]
            end = start
            step *= 2
        return found[-count:]

    def _bounds(self, partition: int) -> tuple[int, int]:
        where = TopicPartition(self._topic, partition)
        low, end = ask_within(
            self._wait_s,
            lambda left_s: self._consumer.get_watermark_offsets(where, timeout=left_s, cached=False),
        )
        return low, end

    def _read(self, partition: int, start: int, end: int, *, values: bool = False) -> Iterator[Reject]:
        if start >= end:
            return
        self._consumer.assign([TopicPartition(self._topic, partition, start)])
        heard_s = time.monotonic()
        try:
            while True:
                message = self._consumer.poll(0.5)
                if message is None:
                    if time.monotonic() - heard_s > self._wait_s:
                        away = self._consumer.state.last_error
                        raise KafkaException(away or KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - the same
                    continue
                error = message.error()
                offset = cast("int", message.offset())
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the same
                        return
                    if not error.retriable() and error.code() not in _PASSING:
                        raise KafkaException(error)
                    continue
                heard_s = time.monotonic()
                if offset < end:
                    yield _reject(message, values=values)
                if offset >= end - 1:
                    return
        finally:
            self._consumer.unassign()


def _reject(message: Message, *, values: bool) -> Reject:
    pairs: KafkaHeaders = ()
    headers, problem = None, ""
    try:
        pairs = message_headers(message) or ()
        headers = RejectHeaders.decode(pairs)
    except SchemaError as error:
        problem = str(error)
    value = message.value() or b""
    _, arrived_ms = message.timestamp()
    return Reject(
        partition=cast("int", message.partition()),
        offset=cast("int", message.offset()),
        arrived_us=arrived_ms * 1000,
        key=message.key(),
        headers=headers,
        header_pairs=tuple(pairs),
        problem=problem,
        kept_bytes=len(value),
        value=value if values else None,
    )
