"""The images of groups whose place in the groups topic is known, one partition."""

from typing import cast

from confluent_kafka import Message

from consumer.group import Group
from consumer.partition import PartitionReader
from consumer.positions import Position
from consumer.record_reader import RecordReader
from consumer.selection import Revisions, Selection
from consumer.settings import ConsumerSettings
from runtime.logs import get_logger
from schemas.catalogue import CatalogueEntry

log = get_logger(__name__)


class PastImages:
    """Reads groups of one partition by their catalogue entries; quickly, in the order of the log."""

    def __init__(self, settings: ConsumerSettings, partition: int, *, share: int = 1) -> None:
        """Connect.

        Args:
            settings: where Kafka is.
            partition: of the groups topic.
            share: how many partitions are read.

        Raises:
            KafkaException: Kafka does not answer.
        """
        self._partition = partition
        self._records = RecordReader(settings, settings.topics.groups, partition, share=share)
        self._reader: PartitionReader | None = None
        self._kept: Message | None = None  # taken from Kafka, and of a later group

    @property
    def low(self) -> int:
        """The oldest offset that the groups topic had when that was last asked."""
        return self._records.low

    def close(self) -> None:
        """Let go of Kafka."""
        self._records.close()

    def read(self, entry: CatalogueEntry) -> Group | None:
        """The group of this entry; None where it is not there (any more), whole.

        Raises:
            StreamError: Kafka was away for longer than `broker_wait_s`, or refuses to be read.
        """
        if entry.first_offset < self.low:
            return None
        reader = self._reader
        if reader is None or not self._is_near(entry.first_offset):
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
            elif offset >= entry.first_offset:
                group = _finished(reader, message, entry.group_id)
                if group is not None:
                    return group
            if offset >= entry.last_offset:  # behind it nothing may come for long
                log.warning("group cut: not all of its images are there", group=entry.group_id)
                return None

    def _is_near(self, offset: int) -> bool:
        if self._kept is not None and offset <= cast("int", self._kept.offset()):
            return offset == self._kept.offset()
        return self._records.is_near(offset)

    def _begin_at(self, offset: int) -> PartitionReader:
        self._records.begin_at(offset)
        self._kept = None
        self._reader = PartitionReader(self._partition, Position(offset), Selection(revisions=Revisions.ALL))
        return self._reader

    def _take(self) -> Message | None:
        message, self._kept = self._kept, None
        return self._records.take() if message is None else message


def _finished(reader: PartitionReader, message: Message, group_id: str) -> Group | None:
    """The group of this id, where this record was the last one of it that lacked."""
    groups = (read for read in reader.read(message) if isinstance(read, Group))
    return next((group for group in groups if group.group_id == group_id), None)
