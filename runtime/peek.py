"""Looks at single records of topics with large ones, fetching little else."""

import time
from collections.abc import Generator
from contextlib import closing
from typing import Final, cast

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from runtime.kafka import log_consumer
from runtime.settings import TraplineSettings

PATIENCE_S: Final = 10.0
"""How long a look may take before the broker counts as away."""

# A record that is larger comes alone (KIP-74), so a look at one fetches hardly more than that one.
_FETCH_BYTES: Final = 1024 * 1024
_FETCH_WAIT_MS: Final = 20
_POLL_S: Final = 0.2


class Peek:
    """A consumer that belongs to no consumer group and commits nothing.

    Its methods raise KafkaException where Kafka does not answer, or refuses.
    """

    def __init__(self, settings: TraplineSettings) -> None:
        """Connect."""
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
        low, end = self._consumer.get_watermark_offsets(where, timeout=PATIENCE_S, cached=False)
        return low, end

    def offset_at(self, topic: str, partition: int, time_ms: int) -> int | None:
        """The first offset whose record time is not before this one; None: all are."""
        (found,) = self._consumer.offsets_for_times(
            [TopicPartition(topic, partition, time_ms)], timeout=PATIENCE_S
        )
        if found.error is not None:
            raise KafkaException(found.error)
        return found.offset if found.offset >= 0 else None

    def first(self, topic: str, partition: int, offset: int) -> Message | None:
        """The first record at or after an offset; None: there is none yet."""
        with closing(self.span(topic, partition, offset, None)) as records:
            return next(records, None)

    def span(
        self, topic: str, partition: int, start: int, end: int | None, *, patience_s: float = PATIENCE_S
    ) -> Generator[Message, None, None]:
        """Records from `start` to before `end`, or to where nothing more can be read.

        Args:
            topic: where.
            partition: where.
            start: the first offset.
            end: one past the last.
            patience_s: how long all of it may take.

        Raises:
            KafkaException: it took longer, or Kafka refused.
        """
        deadline_s = time.monotonic() + patience_s
        self._consumer.assign([TopicPartition(topic, partition, start)])
        try:
            while end is None or start < end:
                message = self._consumer.poll(_POLL_S)
                if message is None:
                    if time.monotonic() > deadline_s:
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
                if time.monotonic() > deadline_s:
                    raise KafkaException(_timed_out())
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
