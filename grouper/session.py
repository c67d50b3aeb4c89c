"""The transactions of one owned raw partition: the one place that knows their order.

begin -> images -> flush -> catalogue entries and rejects -> flush -> send_offsets -> commit.

The first flush is there because entries name the images' offsets, which the delivery reports carry;
both cost nothing at 4 MiB an image and save 95 ms a transaction at 16 KiB, where send_offsets would
otherwise wait for the records' own acknowledgement.
"""

# ruff: noqa: SLF001  librdkafka's own error codes begin with an underscore

from collections.abc import Callable
from functools import partial
from typing import NoReturn, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from grouper import metrics
from grouper.entry_index import EntryIndex
from grouper.errors import SessionLostError, TransactionAbortedError
from grouper.publication import Publication, catalogue_entry, catalogue_headers, image_records
from grouper.refusals import naming_record, naming_topic
from grouper.steps import OnStep, Step, no_step
from runtime.deliveries import Deliveries
from runtime.kafka import LogProducer, kafka_error
from runtime.logs import get_logger
from runtime.patient_call import CALL_TIMEOUT_S, CallGivenUpError, Failure, Patience
from runtime.transactions import RecordRefusedError, Transactions
from schemas.catalogue import record_time_ms
from schemas.offset_metadata import OffsetMetadata, RegroupRun
from schemas.timestamp import timestamp_key
from schemas.topics import TopicNames

log = get_logger(__name__)

# Past this a call is given up with its producer. When a broker has restarted, librdkafka can leave an EndTxn
# waiting for a connection to the coordinator that it never makes; a new producer's init_transactions ends the
# transaction, and the committed offsets, read after it, say how.
CALL_DEADLINE_S = 30.0
INIT_DEADLINE_S = 120.0  # init_transactions waits for a dead owner's transaction to be aborted (30 s at most)


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
        make_producer: Callable[[str], LogProducer],
        give_up: Callable[[], bool],
        on_step: OnStep = no_step,
    ) -> None:
        self._names = names
        self._partition = partition
        self._give_up = give_up
        self._on_step = on_step
        self.regroup: RegroupRun | None = None
        make = partial(make_producer, f"{names.prefix}-{consumer_group}-{partition}")
        try:
            self._transactions = Transactions(make, self._patience(INIT_DEADLINE_S), with_offsets=True)
        except CallGivenUpError as error:
            raise self._lost(error) from error

    def _patience(self, deadline_s: float) -> Patience:
        def gives_up(failure: Failure) -> bool:
            if self._give_up() or failure.waited_s > deadline_s:
                return True
            log.warning(
                "a transactional call is tried again",
                partition=self._partition,
                call=failure.call,
                cause=failure.cause.str(),
                waited_s=round(failure.waited_s, 1),
            )
            return False

        return Patience(gives_up, leaves=self._give_up)

    def _lost(self, error: CallGivenUpError) -> SessionLostError:
        """What a call that was given up is to the partition's owner: its producer has to go."""
        if error.left_behind:
            metrics.TRANSACTIONS.labels("lost").inc()
        return SessionLostError(self._partition, error.cause)

    def close(self) -> None:
        """Let go of the producer, and with it of its threads and connections.

        An open transaction is ended by whoever comes next.
        """
        del self._transactions

    def serve(self) -> None:
        """Serve the producer's callbacks while there is nothing to publish: they wait inside it."""
        self._transactions.producer.poll(0)

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
        self._on_step(Step.BEFORE_BEGIN, 0)
        try:
            self._transactions.begin()
        except KafkaException as error:
            raise SessionLostError(self._partition, kafka_error(error)) from error
        try:
            offsets = self._send(publication, entries, consumer)
        except KafkaException as error:
            self._abort(kafka_error(error))
        self._commit()
        return offsets

    def _send(self, publication: Publication, entries: EntryIndex, consumer: OffsetSender) -> tuple[int, ...]:
        image_offsets = self._send_images(publication)
        entry_offsets = self._send_entries_and_rejects(publication, entries, image_offsets)
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
        send = self._transactions.producer.send_offsets_to_transaction
        try:
            self._transactions.call(
                "send_offsets_to_transaction",
                lambda: send([position], consumer.consumer_group_metadata(), CALL_TIMEOUT_S),
                self._patience(CALL_DEADLINE_S),
            )
        except CallGivenUpError as error:
            raise self._lost(error) from error
        self._on_step(Step.AFTER_SEND_OFFSETS, publication.images)
        return entry_offsets

    def _send_images(self, publication: Publication) -> list[int]:
        deliveries = Deliveries()
        produced = 0
        for group in publication.groups:
            for record in image_records(self._names.prefix, group):
                self._produce(
                    deliveries,
                    self._names.groups,
                    key=record.key,
                    value=record.value,
                    headers=record.headers,
                )
                produced += 1
                self._on_step(Step.AFTER_IMAGE, produced)
        self._flush(deliveries, produced)
        return deliveries.offsets

    def _send_entries_and_rejects(
        self, publication: Publication, entries: EntryIndex, image_offsets: list[int]
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
                of_entries,
                self._names.catalogue,
                key=timestamp_key(group.timestamp_us),
                value=entry.to_json(),
                headers=catalogue_headers(self._names.prefix, entry),
                # CreateTime is the observation time: the topic is an index by it.
                timestamp=record_time_ms(group.timestamp_us),
            )
            first = last + 1
        for reject in publication.rejects:
            self._produce(
                of_rejects,
                self._names.rejects,
                key=reject.key,
                value=reject.value,
                headers=reject.headers.encode(),
            )
        if publication.groups:
            self._flush(of_entries, len(publication.groups))
        if publication.rejects:
            self._flush(of_rejects, len(publication.rejects))
        return tuple(of_entries.offsets)

    def _produce(self, deliveries: Deliveries, topic: str, value: bytes | None, **record: object) -> None:
        try:
            self._transactions.produce(deliveries, topic, value, partition=self._partition, **record)
        except RecordRefusedError as error:
            _raise_refusal(deliveries, error)
            raise KafkaException(naming_record(error.cause, topic, value)) from error

    def _flush(self, deliveries: Deliveries, expected: int) -> None:
        self._transactions.flush(self._give_up)
        _raise_refusal(deliveries)
        if len(deliveries.offsets) != expected:
            raise KafkaException(
                KafkaError(
                    KafkaError._TIMED_OUT,
                    f"{len(deliveries.offsets)} of {expected} records acknowledged at the stop",
                )
            )

    def _commit(self) -> None:
        """Commit; then renew the producer where Kafka may still be at work on this commit."""
        self._on_step(Step.COMMITTING, 0)
        try:
            self._transactions.commit(self._patience(CALL_DEADLINE_S))
        except CallGivenUpError as error:
            raise self._lost(error) from error
        except KafkaException as error:
            self._abort(kafka_error(error))
        metrics.TRANSACTIONS.labels("committed").inc()
        self._on_step(Step.COMMITTED, 0)
        self._renew_if_unsure("commit")

    def _abort(self, cause: KafkaError) -> NoReturn:
        """Abort, and say so by an error that carries the cause."""
        abortable = cause.txn_requires_abort() or cause.retriable() or cause.code() in _LOCAL_CAUSES
        if cause.fatal() or not abortable:
            metrics.TRANSACTIONS.labels("lost").inc()
            raise SessionLostError(self._partition, cause)
        try:
            self._transactions.abort(self._patience(CALL_DEADLINE_S))
        except CallGivenUpError as error:
            raise self._lost(error) from error
        except KafkaException as error:
            metrics.TRANSACTIONS.labels("lost").inc()
            raise SessionLostError(self._partition, kafka_error(error)) from error
        metrics.TRANSACTIONS.labels("aborted").inc()
        self._renew_if_unsure("abort")
        raise TransactionAbortedError(self._partition, cause)

    def _renew_if_unsure(self, what: str) -> None:
        try:
            unsure = self._transactions.unsure_end()
        except KafkaException as error:
            raise SessionLostError(self._partition, kafka_error(error)) from error
        if unsure is None:
            return
        log.warning(
            "producer renewed: the end of a transaction was slow or unsure",
            partition=self._partition,
            call=what,
            took_s=round(unsure.took_s, 3),
            broken_connections=unsure.broken_connections,
            end_txn=unsure.end_txn,
        )
        metrics.PRODUCERS_RENEWED.inc()
        try:
            self._transactions.renew(self._patience(INIT_DEADLINE_S))
        except CallGivenUpError as error:
            raise self._lost(error) from error


def _raise_refusal(deliveries: Deliveries, behind: Exception | None = None) -> None:
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
