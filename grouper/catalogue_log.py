"""Reading the catalogue back: at a recovery whole, later an entry at a time.

The catalogue is the grouper's only memory over restarts, so a read that stops short would group again
what was grouped already. Every read here goes to the end that was true when it began, or fails.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from grouper.errors import GrouperError
from grouper.memory import PublishedGroup
from schemas.catalogue import CatalogueEntry
from schemas.errors import CatalogueError, SchemaError, TimestampError
from schemas.timestamp import parse_key

# A transaction left open by a dead grouper is aborted by the broker after transaction.timeout.ms (30 s);
# init_transactions has done so at once for this partition's own. Twice that is a hanging transaction.
READ_DEADLINE_S = 75.0
_QUERY_TIMEOUT_S = 10.0
_BATCH = 5_000
_BATCH_S = 0.05  # as long as this it is waited for, though the end may be among what has come
_CACHED_ENTRIES = 1_024
_READ_AHEAD = 256


class CatalogueLog:
    """One partition of the catalogue, read by a consumer of its own (read_committed, no group)."""

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        partition: int,
        true_end: Callable[[str, int], int],
    ) -> None:
        """Take over a consumer made with enable.partition.eof.

        Args:
            consumer: closed by `close`.
            topic: the catalogue topic.
            partition: its partition.
            true_end: gives the partition's high watermark. A read_committed consumer's own watermark is
                the last stable offset, which an open transaction holds back.
        """
        self._consumer = consumer
        self._topic = topic
        self._partition = partition
        self._true_end = true_end
        self._cache: OrderedDict[int, PublishedGroup] = OrderedDict()

    def bounds(self) -> tuple[int, int]:
        """The first offset that retention has left, and the true end."""
        low, _stable = self._consumer.get_watermark_offsets(
            TopicPartition(self._topic, self._partition), timeout=_QUERY_TIMEOUT_S, cached=False
        )
        return low, self._true_end(self._topic, self._partition)

    def messages(self, start: int, end: int) -> Iterator[Message]:
        """The committed records from `start` to `end`.

        Raises:
            GrouperError: an open transaction keeps from the end; it names the place.
            KafkaException: Kafka could not be asked, or did not answer in time.
        """
        if start >= end:
            return
        partition = TopicPartition(self._topic, self._partition, start)
        self._consumer.assign([partition])
        deadline_s = time.monotonic() + READ_DEADLINE_S
        try:
            while True:
                for message in self._consumer.consume(_BATCH, _BATCH_S):
                    error = message.error()
                    if error is None:
                        if (message.offset() or 0) >= end:
                            return
                        yield message
                        # A long catalogue may take its time; what counts is that it goes on.
                        deadline_s = time.monotonic() + READ_DEADLINE_S
                    elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  its public name
                        raise KafkaException(error)
                    elif (message.offset() or 0) >= end:
                        return
                if time.monotonic() > deadline_s:
                    raise self._stopped_short(end)
        finally:
            self._consumer.unassign()

    def _stopped_short(self, end: int) -> GrouperError | KafkaException:
        partition = TopicPartition(self._topic, self._partition)
        _low, stable = self._consumer.get_watermark_offsets(partition, timeout=_QUERY_TIMEOUT_S, cached=False)
        if stable >= end:
            return KafkaException(
                KafkaError(KafkaError._TIMED_OUT, f"{self._topic} [{self._partition}] was not read in time")  # noqa: SLF001
            )
        return GrouperError(
            f"the catalogue {self._topic} [{self._partition}] can be read only to offset {stable} of {end}: "
            "a transaction that begins there is still open. Find it with Kafka's "
            f"`kafka-transactions.sh find-hanging --topic {self._topic} --partition {self._partition}` and "
            "abort it; grouping on with less would publish groups twice"
        )

    def read(self, catalogue_offset: int) -> PublishedGroup | None:
        """Return what the entry at an offset says, None where retention has taken it.

        Repeats come in runs (a spool sent again), so the entries behind it are read along and kept.
        """
        if catalogue_offset not in self._cache:
            low, end = self.bounds()
            if catalogue_offset < low:
                return None
            for message in self.messages(catalogue_offset, min(end, catalogue_offset + _READ_AHEAD)):
                value, offset = message.value(), message.offset()
                if value is not None and offset is not None:
                    entry = self.entry(offset, value)
                    self._keep(offset, PublishedGroup(entry.revision, entry.expected, entry.members))
        return self._cache.get(catalogue_offset)

    def timestamp_us(self, offset: int, key: bytes) -> int:
        """The timestamp that a record's key names, microseconds since 1970 UTC.

        Raises:
            GrouperError: it names none; the error says where.
        """
        try:
            return parse_key(key)
        except TimestampError as error:
            raise self._foreign(offset, error) from error

    def entry(self, offset: int, value: bytes) -> CatalogueEntry:
        """The entry that a record holds.

        Raises:
            GrouperError: it holds none; the error says where.
        """
        try:
            return CatalogueEntry.from_json(value)
        except CatalogueError as error:
            raise self._foreign(offset, error) from error

    def _foreign(self, offset: int, error: SchemaError) -> GrouperError:
        return GrouperError(
            f"the catalogue {self._topic} [{self._partition}] has a record at offset {offset} that is no "
            f"entry of this release: {error}. It may stand for a group, so the grouper can't pass over it. "
            "Only the grouper may write there (`trapline topics acls`); look at it with `kcat -C`, and make "
            "all topics anew under another TRAPLINE_TOPIC_PREFIX if its writer can't be undone"
        )

    def _keep(self, offset: int, group: PublishedGroup) -> None:
        self._cache[offset] = group
        self._cache.move_to_end(offset)
        while len(self._cache) > _CACHED_ENTRIES:
            self._cache.popitem(last=False)

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()
