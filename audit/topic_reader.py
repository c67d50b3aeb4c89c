"""Reads one topic, a partition at a time, read_committed, each record once, to an end that was asked for."""

import time

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from audit.errors import AuditError, HangingTransactionError
from runtime.kafka import LogConsumer, log_consumer
from runtime.logs import get_logger
from runtime.settings import TraplineSettings

log = get_logger(__name__)

_POLL_S = 0.2
_FETCH_WAIT_MS = 50  # each round reads to the end of four topics, one after the other
_ASK_S = 10.0
_PASSING = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE})  # noqa: SLF001


class TopicReader:
    """A reader that goes on where it stopped, in whichever partition is asked for.

    Use: `open` a partition with the end to read to; `read` until it is `done`.
    """

    def __init__(self, settings: TraplineSettings, topic: str, *, fetch_bytes: int, stall_s: float) -> None:
        """Connect.

        Args:
            settings: where Kafka is.
            topic: its name.
            fetch_bytes: fetched ahead at most.
            stall_s: seconds without a step towards the end after which it counts as out of reach.
        """
        self.topic = topic
        # 'earliest': where retention overtakes the reader, it goes on at the oldest record there is; the
        # ledger sees the jump in raw, and asks where the topics begin before it misses anything.
        self._consumer: LogConsumer = log_consumer(
            settings,
            group_id=None,
            auto_offset_reset="earliest",
            enable_partition_eof=True,
            queue_bytes=fetch_bytes,
            fetch_wait_ms=_FETCH_WAIT_MS,
        )
        self._stall_s = stall_s
        self._positions: dict[int, int] = {}
        self._assigned: int | None = None
        self._partition = 0
        self._end = 0
        self._moved_s = 0.0

    def position(self, partition: int) -> int:
        """The offset to read next; markers of transactions count."""
        return self._positions.get(partition, 0)

    def start_at(self, partition: int, offset: int) -> None:
        """Where to begin, before the partition is read for the first time."""
        self._positions.setdefault(partition, offset)

    def open(self, partition: int, end: int) -> None:
        """Turn to a partition, to read it up to the offset `end`."""
        self._partition, self._end = partition, end
        self._moved_s = time.monotonic()
        if not self.done and self._assigned != partition:
            self._consumer.assign([TopicPartition(self.topic, partition, self.position(partition))])
            self._assigned = partition

    @property
    def done(self) -> bool:
        """Whether the end was reached."""
        return self.position(self._partition) >= self._end

    def read(self) -> Message | None:
        """The next record; None where none came in a moment, or the end was reached.

        Raises:
            HangingTransactionError: nothing came for too long, and an open transaction is why.
            AuditError: nothing came for too long.
            KafkaException: Kafka refused, or does not answer.
        """
        message = self._consumer.poll(_POLL_S)
        if message is None:
            self._check_stall()
            return None
        error = message.error()
        offset = message.offset()
        if error is None and offset is not None:
            self._move(offset + 1)
            return message
        if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            # The event's offset is past the markers. Before the end it only says that a transaction is open.
            self._move(offset or 0)
            self._check_stall()
        elif error is not None and not (error.retriable() or error.code() in _PASSING):
            raise KafkaException(error)
        else:
            self._check_stall()
        return None

    def _move(self, offset: int) -> None:
        if offset > self.position(self._partition):
            self._positions[self._partition] = offset
            self._moved_s = time.monotonic()

    def _check_stall(self) -> None:
        if self.done or time.monotonic() - self._moved_s < self._stall_s:
            return
        position = self.position(self._partition)
        # Of a reader of committed records Kafka says where the first open transaction begins.
        where = TopicPartition(self.topic, self._partition)
        _begin, readable = self._consumer.get_watermark_offsets(where, timeout=_ASK_S, cached=False)
        if readable > position:
            raise AuditError(
                f"{self.topic} [{self._partition}] was read to offset {position}, and nothing more came for "
                f"{self._stall_s:g} s, though Kafka has records up to {readable}; is it very slow? Raise "
                "TRAPLINE_AUDIT_STALL_S"
            )
        raise HangingTransactionError(
            f"{self.topic} [{self._partition}] can be read only to offset {position} of {self._end}: a "
            "transaction that begins there is still open. Find it with Kafka's `kafka-transactions.sh "
            f"find-hanging --topic {self.topic} --partition {self._partition}`; raise "
            "TRAPLINE_AUDIT_STALL_S if groupers have longer transaction time-outs"
        )

    def close(self) -> None:
        """Let go of Kafka."""
        self._consumer.close()
