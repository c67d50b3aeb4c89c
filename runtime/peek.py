"""Looks at single records of topics with large ones, fetching little else."""

import time
from collections.abc import Generator
from contextlib import closing
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from runtime.kafka import ask_within, log_consumer
from runtime.settings import TraplineSettings

PATIENCE_S: Final = 10.0
"""How long Kafka may say nothing before it counts as away, where nobody says otherwise."""

# A record that is larger comes alone (KIP-74), so a look at one fetches hardly more than that one.
_FETCH_BYTES: Final = 1024 * 1024
_FETCH_WAIT_MS: Final = 20
_POLL_S: Final = 0.2


class Peek:
    """A consumer that belongs to no consumer group and commits nothing.

    Its methods raise KafkaException where Kafka does not answer, or refuses.
    """

    def __init__(self, settings: TraplineSettings, patience_s: float = PATIENCE_S) -> None:
        """Connect.

        Args:
            settings: where Kafka is.
            patience_s: how long it may say nothing.
        """
        self._patience_s = patience_s
        self._consumer = log_consumer(
            settings,
            group_id=None,
            # What retention deletes between a question and its answer is passed over.
            auto_offset_reset="earliest",
            enable_partition_eof=True,
            queue_bytes=_FETCH_BYTES,
            partition_fetch_bytes=_FETCH_BYTES,
            fetch_wait_ms=_FETCH_WAIT_MS,
        )

    def close(self) -> None:
        """Let go of Kafka."""
        self._consumer.close()

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The oldest offset, and the end of what can be read."""
        where = TopicPartition(topic, partition)
        low, end = ask_within(
            self._patience_s,
            lambda left_s: self._consumer.get_watermark_offsets(where, timeout=left_s, cached=False),
        )
        return low, end

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int | None:
        """The first offset whose record time is not before this one; None: all are."""
        where = TopicPartition(topic, partition, time_ms)

        def ask(left_s: float) -> int:
            (found,) = self._consumer.offsets_for_times([where], timeout=left_s)
            if found.error is not None:
                raise KafkaException(found.error)
            return int(found.offset)

        offset = ask_within(self._patience_s, ask)
        return offset if offset >= 0 else None

    def first(self, topic: str, partition: int, offset: int) -> Message | None:
        """The first record at or after an offset; None: there is none yet."""
        with closing(self.span(topic, partition, offset, None)) as records:
            return next(records, None)

    def span(self, topic: str, partition: int, start: int, end: int | None) -> Generator[Message, None, None]:
        """Records from `start` to before `end`, or to where nothing more can be read.

        Args:
            topic: where.
            partition: where.
            start: the first offset.
            end: one past the last.

        Raises:
            KafkaException: no record came for `patience_s`, or Kafka refused.
        """
        heard_s = time.monotonic()
        self._consumer.assign([TopicPartition(topic, partition, start)])
        try:
            while end is None or start < end:
                message = self._consumer.poll(_POLL_S)
                if message is None:
                    if time.monotonic() > heard_s + self._patience_s:
                        raise KafkaException(self._consumer.state.last_error or _timed_out())
                    continue
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's name
                        return
                    if not error.retriable() and not _passing(error):
                        raise KafkaException(error)
                    continue
                start = cast("int", message.offset()) + 1
                if end is not None and start > end:
                    return
                yield message
                heard_s = time.monotonic()  # whoever takes the records may take his time
        finally:
            self._consumer.unassign()


def append_time_us(message: Message) -> int:
    """When the broker appended a record of a topic with LogAppendTime, microseconds since 1970 UTC."""
    return message.timestamp()[1] * 1000


def _timed_out() -> KafkaError:
    return KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001 - the same


def _passing(error: KafkaError) -> bool:
    """What librdkafka gets over by itself, until our patience ends."""
    return error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE)  # noqa: SLF001 - the same
