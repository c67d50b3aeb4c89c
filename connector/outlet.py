"""The way of one source's records into Kafka: hands them over, and counts what Kafka says of each."""

from dataclasses import replace
from typing import Final, Protocol

from confluent_kafka import KafkaError, Message

from connector.back_pressure import BackPressure
from connector.metrics import PRODUCE_LATENCY, Destination, SourceCounts
from connector.records import Keeper, Record, Standing
from connector.steps import OnStep, Step, no_step
from schemas.topics import TopicNames

QUEUE_FULL: Final = "the queue is full (is Kafka away, or too slow?)"


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

    Each figure is written by one of the two alone, so that no frame waits for a lock. A source that has a
    spool has two threads that hand over, never both at a time.
    """

    def __init__(
        self,
        source: str,
        names: TopicNames,
        counts: SourceCounts,
        queue: Queue,
        on_step: OnStep = no_step,
    ) -> None:
        """Begin with nothing on its way.

        Args:
            source: its name, for the log.
            names: of the topics.
            counts: of the source.
            queue: where records go.
            on_step: told of each record that Kafka has acknowledged.
        """
        self.counts = counts
        self._on_step = on_step
        self.source = source
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
        if self.offer(record):
            return
        with BackPressure(self.source, self.counts, lambda: self.waiting_bytes) as pressure:
            while pressure.turn(self._queue.wait_for_room, QUEUE_FULL):
                if self.offer(record):
                    return
        self.give_up(record)

    def offer(self, record: Record, keeper: Keeper | None = None) -> bool:
        """Hand over a record; False where there is no room for it now.

        Args:
            record: for raw or for rejects.
            keeper: what keeps it until Kafka has it; None: the queue alone.
        """
        size = len(record.value)
        standing = Standing(self._handed_records, keeper)
        self._handed_records += 1
        self._handed_bytes += size
        if self._queue.offer(replace(record, standing=standing), self):
            return True
        self._handed_records -= 1
        self._handed_bytes -= size
        return False

    def give_up(self, record: Record) -> None:
        """A record that was read finds no place, and the process ends. It counts as waiting for ever."""
        self._handed_records += 1
        self._handed_bytes += len(record.value)

    def report(self, sent: Record, error: KafkaError | None, message: Message) -> None:
        """The delivery report of a record; called by the client, in the publisher's thread.

        Args:
            sent: the record without its value: a report has that, but no headers.
            error: why Kafka did not take it; None where it did.
            message: the record as Kafka's client has it.
        """
        if error is None:
            self.counts.delivered[self._destinations[sent.topic]].add()
            latency_s = message.latency()
            if latency_s is not None:
                PRODUCE_LATENCY.observe(latency_s)
            self.settle(1, len(message))
            if sent.standing is not None and sent.standing.keeper is not None:
                sent.standing.keeper.settled += 1
            self._on_step(Step.AFTER_ACK, self.source, sent.headers.digest)
            return
        self._queue.refused(error, replace(sent, value=message.value() or b""), self)

    def settle(self, records: int, size: int) -> None:
        """So many records, and bytes, are no longer waiting; in the publisher's thread."""
        self.settled_records += records
        self._settled_bytes += size
        self._queue.settled(records, size)
