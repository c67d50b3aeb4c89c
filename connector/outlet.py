"""The way of one source's records into Kafka: hands them over, and counts what Kafka says of each."""

import time
from typing import Final, Protocol

from confluent_kafka import KafkaError, Message

from connector.metrics import Destination, SourceCounts
from connector.records import Record
from runtime.logs import get_logger
from schemas.record_headers import RawHeaders, RejectHeaders
from schemas.topics import TopicNames

log = get_logger(__name__)

_WORTH_TELLING_S: Final = 1.0  # in a flood the queue is full all the time, for milliseconds


class Queue(Protocol):
    """What an outlet needs of the publisher."""

    def offer(self, record: Record, outlet: "Outlet") -> bool:
        """Take a record; False where there is no room for it now."""

    def wait_for_room(self) -> bool:
        """Wait a moment; False where no record will be taken any more."""

    def settled(self, records: int, size: int) -> None:
        """So many records, and bytes of values, are no longer held."""

    def refused(self, error: KafkaError, record: Record, outlet: "Outlet") -> None:
        """Kafka did not take a record. Whoever tells this has no more to do with it."""


class Outlet:
    """Used by the source's thread (`publish`) and by the publisher's (`report`, `settle`).

    Each figure is written by one of the two alone, so that no frame waits for a lock.
    """

    def __init__(self, source: str, names: TopicNames, counts: SourceCounts, queue: Queue) -> None:
        """Begin with nothing on its way.

        Args:
            source: its name, for the log.
            names: of the topics.
            counts: of the source.
            queue: where records go.
        """
        self.counts = counts
        self._source = source
        self._destinations = {names.raw: Destination.RAW, names.rejects: Destination.REJECTS}
        self._queue = queue
        self._handed_records = 0
        self._handed_bytes = 0
        self.settled_records = 0
        """Records that Kafka has acknowledged so far."""
        self._settled_bytes = 0
        counts.queue_records.set_function(lambda: self.waiting_records)
        counts.queue_bytes.set_function(lambda: self.waiting_bytes)

    @property
    def waiting_records(self) -> int:
        """Records that Kafka has not acknowledged, the one in hand included."""
        # In this order: what is settled has been handed over before.
        settled = self.settled_records
        return self._handed_records - settled

    @property
    def waiting_bytes(self) -> int:
        """Bytes of those records' values."""
        settled = self._settled_bytes
        return self._handed_bytes - settled

    def publish(self, record: Record) -> None:
        """Hand over a record, and wait as long as the queue is full. Meanwhile nobody reads the socket.

        Returns without having handed it over only where no record will be taken any more, because the
        process ends; it counts as waiting then, and the publisher reports it as undelivered.
        """
        self._handed_records += 1
        self._handed_bytes += len(record.value)
        if not self._queue.offer(record, self):
            self._wait_with(record)

    def report(self, headers: RawHeaders | RejectHeaders, error: KafkaError | None, message: Message) -> None:
        """The delivery report of a record; called by the client, in the publisher's thread.

        Args:
            headers: of the record: a report has all but these.
            error: why Kafka did not take it; None where it did.
            message: the record.
        """
        if error is None:
            self.counts.delivered[self._destinations[message.topic() or ""]].add()
            self.settle(1, len(message))
            return
        record = Record(message.topic() or "", message.key(), message.value() or b"", headers)
        self._queue.refused(error, record, self)

    def settle(self, records: int, size: int) -> None:
        """So many records, and bytes, are no longer waiting; in the publisher's thread."""
        self.settled_records += records
        self._settled_bytes += size
        self._queue.settled(records, size)

    def _wait_with(self, record: Record) -> None:
        began_s = latest_s = time.monotonic()
        told = False
        while self._queue.wait_for_room():
            taken = self._queue.offer(record, self)
            now_s = time.monotonic()
            self.counts.back_pressure_s.add(now_s - latest_s)
            latest_s = now_s
            if taken:
                break
            if not told and now_s - began_s > _WORTH_TELLING_S:
                told = True
                log.warning(
                    "the queue is full, the source is not read: is Kafka away, or too slow?",
                    source=self._source,
                    waiting_bytes=self.waiting_bytes,
                )
        if told:
            log.info("went on after a full queue", source=self._source, waited_s=round(latest_s - began_s, 1))
