"""Records into Kafka: one producer for all sources, and one thread that hears what became of each record.

Delivery reports are served by a thread of their own. The sources' threads would serve them only between
frames, and the queue's memory is given back by nothing else.
"""

import threading
import time
from collections import deque
from dataclasses import replace
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from connector import metrics
from connector.backoff import Backoff
from connector.errors import DeliveryError
from connector.metrics import Refusal, SourceCounts
from connector.outlet import Outlet
from connector.records import Record, too_large, truncated
from connector.refusals import refusal_of
from connector.settings import ConnectorSettings
from connector.steps import OnStep, no_step
from runtime.health import Heartbeat
from runtime.kafka import LogProducer, explain, kafka_error, raw_producer
from runtime.kafka_rights import named
from runtime.logs import get_logger
from schemas.errors import RejectReason
from schemas.record_headers import RawHeaders, RejectHeaders

log = get_logger(__name__)

_POLL_S: Final = 0.1
_ROOM_S: Final = 0.05
_PURGE_S: Final = 5.0  # until the client has given back what it held: a copy of memory
_RENEW_S: Final = 10.0  # for answers that are under way when a producer is replaced
_RENEWALS: Final = 5  # in a row, without one record delivered in between
_RENEW_MIN_S: Final = 0.2
_RENEW_MAX_S: Final = 10.0
_STUCK_AFTER_S: Final = 60.0
# What a record takes besides its value: headers, here and in librdkafka. librdkafka's own bound leaves it
# out, which with 54,000 windows of 64 x 64 in a queue of 1 GiB was 130 MB.
_RECORD_BYTES: Final = 2560


class Publisher:
    """Sends records, and keeps each until Kafka has acknowledged it.

    Nothing is dropped. A record is sent again by a new producer where the error was the producer's, goes to
    rejects where it is too large for its topic, and where Kafka's configuration is the cause (no such
    topic, no right), `failure` is set and the process has to end.

    Attributes:
        failure: why nothing will be delivered any more; None while all is well, also while Kafka is away.
        heartbeat: of the thread.
    """

    def __init__(self, settings: ConnectorSettings, on_step: OnStep = no_step) -> None:
        """Make the producer; nothing is connected yet.

        Args:
            settings: of the connector.
            on_step: told of each record that Kafka has acknowledged.
        """
        self.failure: Exception | None = None
        self.heartbeat = Heartbeat(_STUCK_AFTER_S)
        self._settings = settings
        self._names = settings.topics
        self._on_step = on_step
        self._outlets: list[Outlet] = []
        self._producer = self._make_producer()
        self._producing = threading.Lock()  # held while the producer takes a record, or is replaced
        self._taken_bytes = 0  # written under _producing,
        self._settled_bytes = 0  # and this by the publisher's thread alone
        self._room = threading.Condition()
        self._refused: deque[tuple[KafkaError, Record, Outlet]] = deque()
        self._again: deque[tuple[Record, Outlet]] = deque()  # goes before anything new
        self._broken = False
        self._backoff = Backoff(_RENEW_MIN_S, _RENEW_MAX_S)
        self._delivered_before = 0
        self._give_up_s: float | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="publisher", daemon=True)

    def outlet(self, source: str, counts: SourceCounts) -> Outlet:
        """The way in for one source, by its name."""
        outlet = Outlet(source, self._names, counts, self, self._on_step)
        self._outlets.append(outlet)
        return outlet

    def start(self) -> None:
        """Begin to serve delivery reports."""
        self._thread.start()

    def give_up_at(self, deadline_s: float) -> None:
        """From this time of the monotonic clock on, nothing is waited for."""
        self._give_up_s = deadline_s

    def close(self) -> list[tuple[Record, Outlet]]:
        """Wait until all is acknowledged, at most until `give_up_at`; the records that are not.

        Nothing may be published any more. What was on its way may be in Kafka all the same.
        """
        with self._room:
            while self._waiting() and not self._given_up():
                self._room.wait(_ROOM_S)
        self._ended.set()
        self._thread.join()
        self._producer.purge()
        deadline_s = time.monotonic() + _PURGE_S
        while len(self._producer) and time.monotonic() < deadline_s:
            self._poll(_POLL_S)
        self._poll(0)
        refused = [(record, outlet) for _, record, outlet in self._refused]
        return [*refused, *self._again]

    def offer(self, record: Record, outlet: Outlet) -> bool:
        """Take a record; False where there is no room for it now."""
        size = len(record.value) + _RECORD_BYTES
        with self._producing:
            full = self._taken_bytes - self._settled_bytes + size > self._settings.queue_max_bytes
            if full or self._again or self._broken or not self._produce(record, outlet):
                return False
            self._taken_bytes += size
        return True

    def wait_for_room(self) -> bool:
        """Wait a moment; False where no record will be taken any more."""
        with self._room:
            self._room.wait(_ROOM_S)
        return not self._given_up()

    def refused(self, error: KafkaError, record: Record, outlet: Outlet) -> None:
        """Kafka did not take a record: it is judged by the publisher's thread."""
        self._refused.append((error, record, outlet))

    def settled(self, records: int, size: int) -> None:
        """So many records, and bytes of values, are no longer held."""
        self._settled_bytes += size + records * _RECORD_BYTES

    def _waiting(self) -> int:
        return sum(outlet.waiting_records for outlet in self._outlets)

    def _given_up(self) -> bool:
        late = self._give_up_s is not None and time.monotonic() >= self._give_up_s
        return late or self.failure is not None

    def _make_producer(self) -> LogProducer:
        return raw_producer(self._settings, queue_bytes=self._settings.queue_max_bytes)

    def _produce(self, record: Record, outlet: Outlet) -> bool:
        try:
            self._producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                headers=[*record.headers.encode()],
                on_delivery=partial(outlet.report, replace(record, value=b"")),
            )
        except BufferError:
            return False
        except KafkaException as error:
            self.refused(kafka_error(error), record, outlet)
        return True

    def _serve(self) -> None:
        try:
            while not self._ended.is_set():
                self._turn()
        except Exception as error:  # noqa: BLE001  told to whoever watches the process
            self.failure = error

    def _turn(self) -> None:
        self.heartbeat.beat()
        self._poll(_POLL_S)
        while self._refused:
            self._judge(*self._refused.popleft())
        if self._backoff.failures and self._delivered() > self._delivered_before:
            self._backoff.reset()
        if self._broken and self.failure is None:
            self._renew()
        self._send_again()
        with self._room:
            self._room.notify_all()

    def _poll(self, timeout_s: float) -> None:
        """Serve delivery reports."""
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:  # the client's way to tell of the end of this producer
            self._break(explain(kafka_error(error)))

    def _break(self, cause: str) -> None:
        if not self._broken:
            log.warning("the producer has to be replaced; what it holds is sent again", cause=cause)
        self._broken = True

    def _judge(self, error: KafkaError, record: Record, outlet: Outlet) -> None:
        """Decide what becomes of a record that Kafka did not take."""
        refusal = refusal_of(error)
        outlet.counts.delivery_failures[refusal].add()
        cause = explain(named(error, f"WRITE on topic {record.topic}"))
        if refusal is Refusal.BROKEN:
            self._break(cause)
            self._again.append((record, outlet))
        elif refusal is Refusal.TOO_LARGE and isinstance(record.headers, RawHeaders):
            log.error("a frame is rejected", topic=record.topic, bytes=len(record.value), cause=cause)
            outlet.counts.reject(RejectReason.TOO_LARGE)
            self._again.append((too_large(self._names, record, record.headers, cause), outlet))
        elif (
            refusal is Refusal.TOO_LARGE
            and isinstance(record.headers, RejectHeaders)
            and len(record.value) > self._settings.max_reject_bytes
        ):
            log.error("a rejected frame is cut", topic=record.topic, bytes=len(record.value), cause=cause)
            cut = truncated(self._names, record, record.headers, self._settings.max_reject_bytes)
            outlet.settle(0, len(record.value) - len(cut.value))
            self._again.append((cut, outlet))
        elif self.failure is None:
            self.failure = DeliveryError(f"{record.topic}: {cause}")

    def _renew(self) -> None:
        """Replace a producer that is of no more use, and take over what it could not deliver, in order.

        What had been on its way may be in Kafka all the same; the grouper knows such repeats by their
        digest. Each source's order is kept: nothing new is taken until what comes again has been.
        """
        if self._backoff.failures >= _RENEWALS:
            self.failure = DeliveryError(
                f"Kafka took nothing from {_RENEWALS} producers in a row; the last error is in the log"
            )
            return
        self._ended.wait(self._backoff.next_s())
        with self._producing:
            self._producer.purge(in_flight=False)
            deadline_s = time.monotonic() + _RENEW_S
            while len(self._producer):
                self._poll(_POLL_S)
                if time.monotonic() >= deadline_s:
                    self._producer.purge()
            while self._refused:
                self._judge(*self._refused.popleft())
            # What was under way was answered after what was not.
            self._again = deque(sorted(self._again, key=_number))
            self._producer = self._make_producer()
            self._delivered_before = self._delivered()
            self._broken = False
        metrics.PRODUCERS_RENEWED.inc()
        log.info("the producer has been replaced", again=len(self._again))

    def _send_again(self) -> None:
        while self._again:
            with self._producing:
                if not self._produce(*self._again[0]):
                    return
                self._again.popleft()

    def _delivered(self) -> int:
        return sum(outlet.settled_records for outlet in self._outlets)


def _number(again: tuple[Record, Outlet]) -> int:
    standing = again[0].standing
    return -1 if standing is None else standing.number
