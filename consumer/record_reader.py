"""Records of one partition by their offset: on and on at the speed of the log, or from somewhere else.

Whoever asks for records in the order of the log gets them at the speed of the log: Kafka's client fetches
on while one is in work. A stretch that nobody asks for is jumped over where that is worth it.
"""

import time
from typing import Final, cast

from confluent_kafka import KafkaException, Message, TopicPartition

from consumer.errors import BrokerUnreachableError, StreamError
from consumer.kafka_errors import is_gap, stream_error
from consumer.settings import ConsumerSettings
from runtime.kafka import ask_within, explain, kafka_error, log_consumer
from runtime.logs import get_logger

QUEUE_BYTES: Final = 64 * 1024 * 1024  # fetched ahead, of all partitions together
JUMP_BYTES: Final = QUEUE_BYTES  # a jump throws away what was fetched ahead, and asks anew
POLL_S: Final = 0.5

log = get_logger(__name__)


class RecordReader:
    """One partition of a topic with large records, read by offset.

    Attributes:
        low: the oldest offset that the partition had when that was last asked,
        end: and its end.
        next: the offset that `take` gives next, or the first one behind it that there is.
    """

    def __init__(self, settings: ConsumerSettings, topic: str, partition: int, *, share: int = 1) -> None:
        """Connect.

        Args:
            settings: where Kafka is.
            topic: which,
            partition: and of it.
            share: how many partitions are read: together they fetch `QUEUE_BYTES` ahead.

        Raises:
            KafkaException: Kafka does not answer.
        """
        self.next = 0
        self._topic = topic
        self._partition = partition
        self._wait_s = settings.broker_wait_s
        self._consumer = log_consumer(settings, group_id=None, queue_bytes=QUEUE_BYTES // share)
        self._begun = False
        self._record_bytes = 0  # of the last record: what a jump saves
        try:
            self.ask_bounds()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of Kafka."""
        self._consumer.close()

    def ask_bounds(self) -> None:
        """Set `low` and `end` to what they are now.

        Raises:
            KafkaException: Kafka does not answer.
        """
        self.low, self.end = self._bounds()

    def is_near(self, offset: int) -> bool:
        """Whether reading on to this offset is less than beginning anew there."""
        return self._begun and 0 <= (offset - self.next) * self._record_bytes <= JUMP_BYTES

    def begin_at(self, offset: int) -> None:
        """Have `take` go on at this offset."""
        self._consumer.assign([TopicPartition(self._topic, self._partition, offset)])
        self._begun = True
        self.next = offset

    def take(self) -> Message | None:
        """The next record; None: what was to come is deleted, and `low` says up to where.

        Raises:
            StreamError: there will be none: Kafka was away for longer than `broker_wait_s`, or refuses.
        """
        heard_s = time.monotonic()
        while True:
            message = self._consumer.poll(POLL_S)
            if message is None:
                if time.monotonic() > heard_s + self._wait_s:
                    raise self._silence()
                continue
            error = message.error()
            if error is None:
                self.next = cast("int", message.offset()) + 1
                self._record_bytes = len(message)
                return message
            if is_gap(error):
                self.ask_bounds()
                if self.next >= self.end:
                    raise StreamError(
                        f"{self._topic} partition {self._partition} ends at {self.end}, and the catalogue "
                        f"names images at {self.next}: the topic was made anew, or a broker lost its newest "
                        "records"
                    )
                return None
            ending = stream_error(error, self._topic)
            if ending is not None:
                raise ending
            log.warning("reading goes on after an error", error=error.name(), cause=error.str())

    def _silence(self) -> StreamError:
        """No record came for `broker_wait_s`; say why."""
        try:
            _, end = self._bounds()
        except KafkaException as error:
            cause = self._consumer.state.refusal or self._consumer.state.last_error or kafka_error(error)
            return stream_error(cause, self._topic) or BrokerUnreachableError(explain(cause))
        return StreamError(
            f"{self._topic} partition {self._partition} gave no record for {self._wait_s:g} s at offset "
            f"{self.next}, though it ends at {end}: is a transaction of its grouper still open?"
        )

    def _bounds(self) -> tuple[int, int]:
        where = TopicPartition(self._topic, self._partition)
        low, end = ask_within(
            self._wait_s,
            lambda left_s: self._consumer.get_watermark_offsets(where, timeout=left_s, cached=False),
        )
        return low, end
