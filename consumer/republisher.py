"""Groups of the past into a topic again: one Kafka transaction holds one or several groups, whole.

begin -> images -> flush -> catalogue entries -> flush -> commit, as the grouper does. What was committed is
known as done, and what was not is not in the topic for a reader of committed records: a replay that is
interrupted and goes on where it stopped writes each group once.
"""

# ruff: noqa: SLF001  librdkafka's own error codes begin with an underscore

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from consumer.destination import Destination
from consumer.errors import PublishError, UnsureError
from consumer.replay import PastGroup
from consumer.replayed_records import ReplayedRecords
from runtime.deliveries import Deliveries
from runtime.kafka import LogProducer, explain, kafka_error, transactional_producer
from runtime.logs import get_logger
from runtime.patient_call import CALL_TIMEOUT_S, CallGivenUpError, Failure, Patience
from runtime.transactions import RecordRefusedError, Transactions
from schemas.catalogue import record_time_ms
from schemas.timestamp import format_timestamp, timestamp_key
from schemas.topics import TopicNames

log = get_logger(__name__)

INIT_S: Final = 60.0  # a Kafka that answers may wait for the transaction of a replay that was killed, 30 s
STOP_S: Final = 10.0  # how long a commit is waited for once a stop is asked for
_PAUSE_S: Final = 0.2

_PERMANENT: Final = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
"""What trying again does not mend."""


class Republisher:
    """Writes groups of the past into a destination. An outlet of a replay.

    There is one for a destination at a time: a second one takes over, and the first one ends by an error.
    Its transactional id, TOPIC-replay, is none that a grouper can have: those end with a number.

    Attributes:
        doubt: what is to be said if the process ends now; None: nothing, what is done is known.
    """

    def __init__(
        self,
        destination: Destination,
        source: TopicNames,
        *,
        keeps_partition: bool,
        wait_s: float,
        asked_to_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Connect, and end what a replay that was killed left open.

        Args:
            destination: where to.
            source: the topics that are read.
            keeps_partition: whether a group keeps its partition's number; else it goes by its key, murmur2,
                as with any producer of Kafka's.
            wait_s: how long a transaction that fails is tried again, and a Kafka that is away waited for.
            asked_to_stop: looked at where Kafka is waited for.

        Raises:
            PublishError: Kafka does not let us, or does not answer.
        """
        self.doubt: str | None = None
        self._destination = destination
        self._keeps_partition = keeps_partition
        self._wait_s = wait_s
        self._asked_to_stop = asked_to_stop
        self._deadline_s = time.monotonic() + wait_s  # of the transaction in work
        self._records = ReplayedRecords(source, began_us=time.time_ns() // 1000)
        self._worn = False  # the producer has to be replaced before the next transaction
        make = partial(transactional_producer, destination.settings, f"{destination.topic}-replay")
        try:
            self._transactions = Transactions(make, self._patience_to_take_over(), with_offsets=False)
        except CallGivenUpError as error:
            raise self._without_producer(error) from error

    def take(self, groups: Sequence[PastGroup]) -> None:
        """Publish these groups in one transaction.

        Raises:
            PublishError: the topic did not take them; none of them is in it.
            UnsureError: whether they are in it is not known.
            KeyboardInterrupt: a stop was asked for, and none of them is in it.
        """
        self._deadline_s = time.monotonic() + self._wait_s
        while True:
            cause = self._attempt(groups)
            if cause is None:
                return
            if self._asked_to_stop():
                raise KeyboardInterrupt
            if cause.code() in _PERMANENT or self._waited_enough():
                raise PublishError(f"{self._destination.topic}: {explain(cause)}")
            log.warning("transaction tried again", topic=self._destination.topic, cause=cause.str())
            time.sleep(_PAUSE_S)

    def _attempt(self, groups: Sequence[PastGroup]) -> KafkaError | None:
        """Publish once; what it failed of, where it has been undone."""
        if self._worn:
            try:
                self._transactions.renew(self._patience_to_take_over())
            except CallGivenUpError as error:
                raise self._without_producer(error) from error
            self._worn = False
        try:
            self._transactions.begin()
            self._send(groups)
        except KafkaException as error:
            return self._abort(kafka_error(error))
        return self._commit(groups)

    def _send(self, groups: Sequence[PastGroup]) -> None:
        placed: list[Deliveries] = []
        for past in groups:
            deliveries = Deliveries()
            placed.append(deliveries)
            for value, headers in self._records.images(past.group):
                self._produce(deliveries, self._destination.topic, past, value, headers=headers)
        self._flush(placed, [len(past.group.images) for past in groups])
        if self._destination.catalogue is None:
            return
        entered: list[Deliveries] = []
        for past, deliveries in zip(groups, placed, strict=True):
            first, last = min(deliveries.offsets), max(deliveries.offsets)
            entry = self._records.entry(past, first_offset=first, last_offset=last)
            entered.append(Deliveries())
            self._produce(
                entered[-1],
                self._destination.catalogue,
                past,
                entry.to_json(),
                headers=self._records.entry_headers(past),
                partition=deliveries.partition,
                timestamp=record_time_ms(entry.timestamp_us),
            )
        self._flush(entered, [1] * len(groups))

    def _produce(
        self, deliveries: Deliveries, topic: str, past: PastGroup, value: bytes, **record: object
    ) -> None:
        if self._keeps_partition:
            record.setdefault("partition", past.group.partition)
        key = timestamp_key(past.group.timestamp_us)
        try:
            self._transactions.produce(deliveries, topic, value, key=key, **record)
        except RecordRefusedError as error:
            raise KafkaException(deliveries.error or error.cause) from error

    def _flush(self, reports: Sequence[Deliveries], expected: Sequence[int]) -> None:
        self._transactions.flush(self._waited_enough)
        for deliveries, count in zip(reports, expected, strict=True):
            if deliveries.error is not None:
                raise KafkaException(deliveries.error)
            if len(deliveries.offsets) != count:
                late = self._transactions.producer.state.last_error
                raise KafkaException(late or KafkaError(KafkaError._TIMED_OUT, "records not acknowledged"))

    def _commit(self, groups: Sequence[PastGroup]) -> KafkaError | None:
        """Commit; what it failed of, where that has been undone."""

        def gives_up(failure: Failure) -> bool:
            return failure.waited_s > (STOP_S if self._asked_to_stop() else self._wait_s)

        self.doubt = self._in_doubt(groups)
        try:
            self._transactions.commit(Patience(gives_up))
        except CallGivenUpError as error:
            self._worn = True
            raise UnsureError(f"{self.doubt}: {explain(error.cause)}") from error
        except KafkaException as error:
            self.doubt = None
            return self._abort(kafka_error(error))
        self.doubt = None
        try:
            self._worn = self._transactions.unsure_end() is not None
        except KafkaException as error:
            # Ended for good, by another replay say: the next transaction cannot begin, and says why.
            log.warning("the producer has failed since its commit", cause=kafka_error(error).str())
        return None

    def _abort(self, cause: KafkaError) -> KafkaError:
        """Undo what was sent; return the cause.

        Raises:
            PublishError: this producer cannot go on, and nothing of it will be seen.
        """
        if cause.fatal():
            raise PublishError(f"{self._destination.topic}: {_words(cause)}")
        try:
            self._transactions.abort(Patience(lambda _failure: self._waited_enough()))
        except KafkaException as error:
            raise PublishError(f"{self._destination.topic}: {_words(kafka_error(error))}") from error
        except CallGivenUpError as error:  # nobody commits it, so Kafka aborts it by itself
            raise PublishError(f"{self._destination.topic}: {explain(cause)}") from error
        self._worn = True  # as after a slow commit
        return cause

    def _waited_enough(self) -> bool:
        return self._asked_to_stop() or time.monotonic() > self._deadline_s

    def _patience_to_take_over(self) -> Patience:
        deadline_s = max(self._deadline_s, time.monotonic() + INIT_S)

        def gives_up(failure: Failure) -> bool:
            late = time.monotonic() > deadline_s
            return self._asked_to_stop() or late or (self._waited_enough() and not _answers(failure.producer))

        return Patience(gives_up)

    def _without_producer(self, error: CallGivenUpError) -> BaseException:
        """What ends us where no producer can be had."""
        if self._asked_to_stop():
            return KeyboardInterrupt()
        return PublishError(f"{self._destination.topic}: {explain(error.cause)}")

    def _in_doubt(self, groups: Sequence[PastGroup]) -> str:
        first, last = (format_timestamp(past.group.timestamp_us) for past in (groups[0], groups[-1]))
        return (
            f"{self._destination.topic}: whether the last {len(groups)} groups, {first} to {last}, were "
            "published is not known; look for them there before you go on"
        )


def _answers(producer: LogProducer) -> bool:
    """Whether a broker does, so that what is waited for is the end of another transaction."""
    try:
        producer.list_topics(timeout=CALL_TIMEOUT_S)
    except KafkaException:
        return False
    return True


def _words(cause: KafkaError) -> str:
    if cause.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED):
        return f"another replay to this topic has begun, and this one ends ({cause.name()})"
    return explain(cause)
