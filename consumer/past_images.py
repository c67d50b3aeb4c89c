"""The images of groups whose place in the groups topic is known, one partition.

Whoever asks for groups in the order of the log gets them at the speed of the log: Kafka's client fetches
on while a group is in work. A stretch that nobody asks for is jumped over where that is worth it.
"""

import time
from typing import Final, cast

from confluent_kafka import KafkaException, Message, TopicPartition

from consumer.errors import BrokerUnreachableError, StreamError
from consumer.group import Group
from consumer.kafka_errors import is_gap, stream_error
from consumer.partition import PartitionReader
from consumer.positions import Position
from consumer.selection import Selection
from consumer.settings import ConsumerSettings
from runtime.kafka import explain, kafka_error, log_consumer
from runtime.logs import get_logger
from schemas.catalogue import CatalogueEntry

QUEUE_BYTES: Final = 64 * 1024 * 1024  # fetched ahead, of all partitions together
JUMP_BYTES: Final = QUEUE_BYTES  # a jump throws away what was fetched ahead, and asks anew
POLL_S: Final = 0.5

log = get_logger(__name__)


class PastImages:
    """Reads groups of one partition by their catalogue entries.

    Attributes:
        low: the oldest offset that the groups topic had when that was last asked.
    """

    def __init__(self, settings: ConsumerSettings, partition: int, *, share: int = 1) -> None:
        """Connect.

        Args:
            settings: where Kafka is.
            partition: of the groups topic.
            share: how many partitions are read: together they fetch `QUEUE_BYTES` ahead.

        Raises:
            KafkaException: Kafka does not answer.
        """
        self._topic = settings.topics.groups
        self._partition = partition
        self._wait_s = settings.broker_wait_s
        self._consumer = log_consumer(settings, group_id=None, queue_bytes=QUEUE_BYTES // share)
        self._reader: PartitionReader | None = None
        self._next = 0  # the offset that the client gives next
        self._record_bytes = 0  # of the last image: what a jump saves
        self._kept: Message | None = None  # taken from the client, and of a later group
        try:
            self.low = self._bounds()[0]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of Kafka."""
        self._consumer.close()

    def read(self, entry: CatalogueEntry) -> Group | None:
        """The group of this entry; None where it is not there (any more), whole.

        Raises:
            StreamError: Kafka was away for longer than `broker_wait_s`, or refuses to be read.
        """
        if entry.first_offset < self.low:
            return None
        reader = self._reader
        if reader is None or not 0 <= (entry.first_offset - self._next) * self._record_bytes <= JUMP_BYTES:
            reader = self._begin_at(entry.first_offset)
        while True:
            message = self._take()
            if message is None:  # retention was faster
                if entry.first_offset < self.low:
                    return None
                reader = self._begin_at(entry.first_offset)
                continue
            offset = cast("int", message.offset())
            if offset > entry.last_offset:
                self._kept = message
                log.warning("group cut: not all of its images are there", group=entry.group_id)
                return None
            self._next = offset + 1
            if offset < entry.first_offset:
                continue
            self._record_bytes = len(message)
            for read in reader.read(message):
                if isinstance(read, Group) and read.group_id == entry.group_id:
                    return read

    def _begin_at(self, offset: int) -> PartitionReader:
        self._consumer.assign([TopicPartition(self._topic, self._partition, offset)])
        self._kept = None
        self._next = offset
        self._reader = PartitionReader(self._partition, Position(offset), Selection())
        return self._reader

    def _take(self) -> Message | None:
        """The next record; None: what was to come is deleted, and `low` says up to where.

        Raises:
            StreamError: there will be none.
        """
        message, self._kept = self._kept, None
        heard_s = time.monotonic()
        while message is None:
            message = self._consumer.poll(POLL_S)
            if message is None and time.monotonic() > heard_s + self._wait_s:
                raise self._silence()
        error = message.error()
        if error is None:
            return message
        if is_gap(error):
            self.low, end = self._bounds()
            if self._next >= end:
                raise StreamError(
                    f"{self._topic} partition {self._partition} ends at {end}, and the catalogue names "
                    f"images at {self._next}: the topic was made anew, or a broker lost its newest records"
                )
            return None
        ending = stream_error(error, self._topic)
        if ending is not None:
            raise ending
        log.warning("reading goes on after an error", error=error.name(), cause=error.str())
        return self._take()

    def _silence(self) -> StreamError:
        """No record came for `broker_wait_s`; say why."""
        try:
            _, end = self._bounds()
        except KafkaException as error:
            cause = self._consumer.state.refusal or self._consumer.state.last_error or kafka_error(error)
            return stream_error(cause, self._topic) or BrokerUnreachableError(explain(cause))
        return StreamError(
            f"{self._topic} partition {self._partition} gave no record for {self._wait_s:g} s at offset "
            f"{self._next}, though it ends at {end}: is a transaction of its grouper still open?"
        )

    def _bounds(self) -> tuple[int, int]:
        where = TopicPartition(self._topic, self._partition)
        low, end = self._consumer.get_watermark_offsets(where, timeout=self._wait_s, cached=False)
        return low, end
