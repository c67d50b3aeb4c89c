"""The transactions of one owned raw partition: the one place that knows their order.

begin -> images -> flush -> catalogue entries and rejects -> flush -> send_offsets -> commit.

The first flush is there because entries name the images' offsets, which the delivery reports carry;
both cost nothing at 4 MiB an image and save 95 ms a transaction at 16 KiB, where send_offsets would
otherwise wait for the records' own acknowledgement.
"""

# ruff: noqa: SLF001  librdkafka's own error codes begin with an underscore

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from grouper import metrics
from grouper.bounded_call import CallLeftBehindError, call_bounded
from grouper.entry_index import EntryIndex
from grouper.errors import SessionLostError, TransactionAbortedError
from grouper.publication import Publication, catalogue_entry, catalogue_headers, image_records
from grouper.refusals import naming_record, naming_topic
from grouper.steps import OnStep, Step, no_step
from runtime.deliveries import Deliveries
from runtime.kafka import LogProducer
from runtime.kafka_state import broke_a_connection
from runtime.logs import get_logger
from schemas.catalogue import record_time_ms
from schemas.offset_metadata import OffsetMetadata, RegroupRun
from schemas.timestamp import timestamp_key
from schemas.topics import TopicNames

log = get_logger(__name__)
T = TypeVar("T")

CALL_TIMEOUT_S = 5.0  # one blocking call of librdkafka; a time-out is retriable, so it only paces
_OVERDUE_S = 5.0  # past its own time-out a call counts as lost (librdkafka#5456)
SLOW_END_TXN_S = 5.0  # an EndTxn slower than this may still be under way when the next transaction begins
# Past this a call is given up with its producer. When a broker has restarted, librdkafka can leave an EndTxn
# waiting for a connection to the coordinator that it never makes; a new producer's init_transactions ends the
# transaction, and the committed offsets, read after it, say how.
CALL_DEADLINE_S = 30.0
INIT_DEADLINE_S = 120.0  # init_transactions waits for a dead owner's transaction to be aborted (30 s at most)


class ProducerFactory(Protocol):
    """Makes a transactional producer whose errors (transport, time-outs) are reported to `on_error`."""

    def __call__(self, transactional_id: str, on_error: Callable[[KafkaError], None]) -> LogProducer:
        """Make one; `init_transactions` is the session's."""


@dataclass(slots=True)
class _Ending:
    """How the end of one transaction goes; that of a commit and of the abort that it came to are one.

    Attributes:
        began_s: of the monotonic clock.
        retried: whether a call was made again, or an abort after a commit that failed.
    """

    began_s: float = field(default_factory=time.monotonic)
    retried: bool = False


class OffsetSender(Protocol):
    """The consumer of this partition, as far as its generation goes into a transaction."""

    def consumer_group_metadata(self) -> object:
        """The opaque generation that send_offsets_to_transaction takes."""


class Session:
    """Publishes one raw partition's groups, exactly once, under the transactional id of the partition.

    Making one fences every earlier producer of the partition, so it comes before its offset is read.
    `give_up` says whether a stop has waited long enough; until then calls are tried again.

    Attributes:
        regroup: goes with each committed offset; None for a live grouper.

    Raises:
        SessionLostError: init_transactions failed for good.
    """

    def __init__(
        self,
        *,
        names: TopicNames,
        consumer_group: str,
        partition: int,
        make_producer: ProducerFactory,
        give_up: Callable[[], bool],
        on_step: OnStep = no_step,
    ) -> None:
        self._names = names
        self._partition = partition
        self._transactional_id = f"{names.prefix}-{consumer_group}-{partition}"
        self._make_producer = make_producer
        self._give_up = give_up
        self._on_step = on_step
        self._breaks = 0  # of connections, since the producer was made or last ended a transaction
        self.regroup: RegroupRun | None = None
        self._producer = self._new_producer()

    def _new_producer(self) -> LogProducer:
        """Make a producer and fence every earlier one of this partition.

        Raises:
            SessionLostError: init_transactions failed for good.
        """
        producer = self._make_producer(self._transactional_id, self._heard)
        self._call("init_transactions", lambda: producer.init_transactions(CALL_TIMEOUT_S), INIT_DEADLINE_S)
        producer.poll(0)
        self._breaks = 0  # nothing that it has seen so far carried an EndTxn
        return producer

    def _heard(self, error: KafkaError) -> None:
        self._breaks += broke_a_connection(error)

    def close(self) -> None:
        """Let go of the producer, and with it of its threads and connections.

        It holds on to this session by its error callback: without this both would stay until Python's
        collector of cycles happens to run. An open transaction is ended by whoever comes next.
        """
        del self._producer

    def serve(self) -> None:
        """Serve the producer's callbacks while there is nothing to publish: they wait inside it."""
        self._producer.poll(0)

    def publish(
        self, publication: Publication, entries: EntryIndex, consumer: OffsetSender
    ) -> tuple[int, ...]:
        """Publish one transaction.

        Args:
            publication: what goes into it.
            entries: the catalogue entries published so far; it is looked at, not changed.
            consumer: its generation goes with the offset, so that a stale one is refused.

        Returns:
            The catalogue offset of each group's entry, in the order of the groups.

        Raises:
            TransactionAbortedError: nothing is visible; the same publication may be tried again.
            SessionLostError: the producer is fenced or broken; read the partition's state anew.
        """
        producer = self._producer
        self._on_step(Step.BEFORE_BEGIN, 0)
        try:
            producer.begin_transaction()
        except KafkaException as error:
            raise SessionLostError(self._partition, error.args[0]) from error
        try:
            offsets = self._send(producer, publication, entries, consumer)
        except KafkaException as error:
            producer.ends.begin()
            self._abort(producer, error.args[0], _Ending())
        self._end(producer)
        return offsets

    def _send(
        self, producer: LogProducer, publication: Publication, entries: EntryIndex, consumer: OffsetSender
    ) -> tuple[int, ...]:
        image_offsets = self._send_images(producer, publication)
        entry_offsets = self._send_entries_and_rejects(producer, publication, entries, image_offsets)
        if publication.images or entry_offsets:
            self._on_step(Step.AFTER_ENTRIES, publication.images)
        new = tuple(
            (offset, max(member.offset for member in group.members))
            for offset, group in zip(entry_offsets, publication.groups, strict=True)
        )
        metadata = OffsetMetadata(
            read_to=publication.read_to,
            catalogue_from=entries.first_naming(publication.committed_offset, new),
            missed=publication.missed,
            # Where nothing lies between the two, nothing is read again.
            waiting=publication.waiting if publication.committed_offset < publication.read_to else None,
            regroup=self.regroup,
        )
        position = TopicPartition(
            self._names.raw, self._partition, publication.committed_offset, metadata=metadata.encode()
        )
        self._call(
            "send_offsets_to_transaction",
            lambda: producer.send_offsets_to_transaction(
                [position], consumer.consumer_group_metadata(), CALL_TIMEOUT_S
            ),
        )
        self._on_step(Step.AFTER_SEND_OFFSETS, publication.images)
        return entry_offsets

    def _send_images(self, producer: LogProducer, publication: Publication) -> list[int]:
        deliveries = Deliveries()
        produced = 0
        for group in publication.groups:
            for record in image_records(self._names.prefix, group):
                self._produce(
                    producer,
                    deliveries,
                    topic=self._names.groups,
                    key=record.key,
                    value=record.value,
                    headers=record.headers,
                )
                produced += 1
                self._on_step(Step.AFTER_IMAGE, produced)
        self._flush(producer, deliveries, produced)
        return deliveries.offsets

    def _send_entries_and_rejects(
        self, producer: LogProducer, publication: Publication, entries: EntryIndex, image_offsets: list[int]
    ) -> tuple[int, ...]:
        of_entries, of_rejects = Deliveries(), Deliveries()
        catalogue_from = entries.first_naming(publication.committed_offset)
        first = 0
        for group in publication.groups:
            last = first + len(group.members) - 1
            entry = catalogue_entry(
                group,
                publication,
                first_offset=image_offsets[first],
                last_offset=image_offsets[last],
                catalogue_from=catalogue_from,
            )
            self._produce(
                producer,
                of_entries,
                topic=self._names.catalogue,
                key=timestamp_key(group.timestamp_us),
                value=entry.to_json(),
                headers=catalogue_headers(self._names.prefix, entry),
                # CreateTime is the observation time: the topic is an index by it.
                timestamp=record_time_ms(group.timestamp_us),
            )
            first = last + 1
        for reject in publication.rejects:
            self._produce(
                producer,
                of_rejects,
                topic=self._names.rejects,
                key=reject.key,
                value=reject.value,
                headers=reject.headers.encode(),
            )
        if publication.groups:
            self._flush(producer, of_entries, len(publication.groups))
        if publication.rejects:
            self._flush(producer, of_rejects, len(publication.rejects))
        return tuple(of_entries.offsets)

    def _produce(
        self,
        producer: LogProducer,
        deliveries: Deliveries,
        *,
        topic: str,
        value: bytes | None,
        **record: object,
    ) -> None:
        while True:
            try:
                producer.produce(topic, value, partition=self._partition, on_delivery=deliveries, **record)
            except BufferError:
                # The queue is bounded; serving delivery reports is what frees it.
                producer.poll(0.1)
            except KafkaException as error:
                if error.args[0].code() == KafkaError._STATE:
                    # An earlier record was refused meanwhile; its report says why, and this error does not.
                    producer.flush(1.0)
                _raise_refusal(deliveries, error)
                raise KafkaException(naming_record(error.args[0], topic, value)) from error
            else:
                return

    def _flush(self, producer: LogProducer, deliveries: Deliveries, expected: int) -> None:
        # message.timeout.ms is below the transaction's time-out, so every record gets its report.
        while producer.flush(1.0) > 0 and not self._give_up():
            pass
        _raise_refusal(deliveries)
        if len(deliveries.offsets) != expected:
            raise KafkaException(
                KafkaError(
                    KafkaError._TIMED_OUT,
                    f"{len(deliveries.offsets)} of {expected} records acknowledged at the stop",
                )
            )

    def _end(self, producer: LogProducer) -> None:
        """Commit; then renew the producer where the broker may still be at work on this commit."""
        self._on_step(Step.COMMITTING, 0)
        ending = _Ending()
        producer.ends.begin()
        try:
            self._call(
                "commit_transaction", lambda: producer.commit_transaction(CALL_TIMEOUT_S), ending=ending
            )
        except KafkaException as error:
            ending.retried = True  # of its EndTxn, if one was sent, nobody knows
            self._abort(producer, error.args[0], ending)
        metrics.TRANSACTIONS.labels("committed").inc()
        self._on_step(Step.COMMITTED, 0)
        self._renew_if_doubtful("commit", ending)

    def _abort(self, producer: LogProducer, cause: KafkaError, ending: _Ending) -> None:
        """Abort, and say so by an error that carries the cause. It never returns.

        Args:
            producer: whose transaction it is.
            cause: what it failed of.
            ending: that of its commit, which may still be under way; a new one where there was none.
        """
        abortable = cause.txn_requires_abort() or cause.retriable() or cause.code() in _LOCAL_CAUSES
        if cause.fatal() or not abortable:
            metrics.TRANSACTIONS.labels("lost").inc()
            raise SessionLostError(self._partition, cause)
        try:
            self._call("abort_transaction", lambda: producer.abort_transaction(CALL_TIMEOUT_S), ending=ending)
        except KafkaException as error:
            metrics.TRANSACTIONS.labels("lost").inc()
            raise SessionLostError(self._partition, error.args[0]) from error
        metrics.TRANSACTIONS.labels("aborted").inc()
        self._renew_if_doubtful("abort", ending)
        raise TransactionAbortedError(self._partition, cause)

    def _renew_if_doubtful(self, what: str, ending: _Ending) -> None:
        # KAFKA-17754: librdkafka's transactions (V1) number no EndTxn, so one delayed in the network can
        # end the *next* transaction. init_transactions bumps the epoch, which makes the broker refuse it.
        took_s = time.monotonic() - ending.began_s
        try:
            self._producer.poll(0)  # what became of the EndTxn, and of connections, is told in here alone
        except KafkaException as error:
            raise SessionLostError(self._partition, error.args[0]) from error
        # A break that did not hit the EndTxn may have left the transaction's offsets on their way.
        breaks, self._breaks = self._breaks, 0
        unsure = self._producer.ends.doubt()
        if took_s <= SLOW_END_TXN_S and not breaks and not ending.retried and unsure is None:
            return
        log.warning(
            "producer renewed: the end of a transaction was slow or unsure",
            partition=self._partition,
            call=what,
            took_s=round(took_s, 3),
            broken_connections=breaks,
            end_txn=unsure,
        )
        metrics.PRODUCERS_RENEWED.inc()
        self._producer = self._new_producer()

    def _call(
        self,
        name: str,
        call: Callable[[], T],
        deadline_s: float | None = None,
        ending: _Ending | None = None,
    ) -> T:
        """Make a transactional call, again while its error is retriable and the deadline has not passed.

        Never abort after a commit that timed out: whether it took effect is unknown, and the same call
        again finds out, or the partition's state, read anew. `ending` is told that there was an again.
        """
        deadline_s = CALL_DEADLINE_S if deadline_s is None else deadline_s
        began_s = time.monotonic()
        while True:
            try:
                return call_bounded(call, CALL_TIMEOUT_S + _OVERDUE_S, self._give_up)
            except CallLeftBehindError as error:
                # Its transaction is aborted by whoever initialises this transactional id next.
                metrics.TRANSACTIONS.labels("lost").inc()
                lost = KafkaError(KafkaError._TIMED_OUT, f"{name} does not return: {error}")
                raise SessionLostError(self._partition, lost) from error
            except KafkaException as error:
                cause: KafkaError = error.args[0]
                waited_s = time.monotonic() - began_s
                if not cause.retriable():
                    if name == "init_transactions":
                        raise SessionLostError(self._partition, cause) from error
                    raise
                if ending is not None:
                    ending.retried = True
                if self._give_up() or waited_s > deadline_s:
                    raise SessionLostError(self._partition, cause) from error
                log.warning(
                    "a transactional call is tried again",
                    partition=self._partition,
                    call=name,
                    cause=cause.str(),
                    waited_s=round(waited_s, 1),
                )
                time.sleep(0.1)  # a retriable error can come back at once; this paces it


def _raise_refusal(deliveries: Deliveries, behind: KafkaException | None = None) -> None:
    """Raise what the first record that was not acknowledged was refused for, with its topic's name."""
    if deliveries.error is not None:
        raise KafkaException(naming_topic(deliveries.error, deliveries.refused_by)) from behind


# Causes that come from delivery reports or from our own checks: librdkafka gives them no class, and an
# abort is what they ask for.
_LOCAL_CAUSES = frozenset(
    {
        KafkaError._MSG_TIMED_OUT,
        KafkaError._TIMED_OUT,
        KafkaError._BAD_MSG,
        KafkaError._PURGE_QUEUE,
        KafkaError._PURGE_INFLIGHT,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    }
)
