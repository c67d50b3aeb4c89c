"""The clients as the rooms hold them: confluent-kafka's, with their state attached.

They also name, in errors about missing rights, the right and the resource.
"""

# ruff: noqa: SLF001  librdkafka's own error codes begin with an underscore

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.end_txn_log import EndTxnLog
from runtime.kafka_errors import kafka_error
from runtime.kafka_rights import DENIED, named
from runtime.kafka_state import ClientState, librdkafka_log

T = TypeVar("T")
DeliveryCallback = Callable[[KafkaError | None, Message], None]

_ASK_S: Final = 5.0
_LAST_RESORT_S: Final = 5.0
# How librdkafka speaks of a topic that Kafka does not let this user see.
_UNSEEN: Final = frozenset({KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC})
# What becomes of the records of a transaction that has failed.
_PURGED: Final = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})


def answered(answer: "Future[T]", request_s: float) -> T:
    """What Kafka answered to a request of an admin client.

    Args:
        answer: as the client gave it.
        request_s: the request's own time-out, which comes before ours and says why.

    Raises:
        KafkaException: Kafka refused, or did not answer in time; never a bare TimeoutError.
    """
    try:
        return answer.result(request_s + _LAST_RESORT_S)
    except TimeoutError as error:
        silence = KafkaError(KafkaError._TIMED_OUT, f"no answer in {request_s + _LAST_RESORT_S:g} s")
        raise KafkaException(silence) from error


class LogProducer(Producer):
    """A producer, with what librdkafka says about it.

    Attributes:
        state: its last error. Callbacks run in `poll` and `flush` only.
        ends: what became of its EndTxns, as far as it was polled.
    """

    state: ClientState
    ends: EndTxnLog

    def __init__(self, options: dict[str, Any], state: ClientState, stats_interval_s: float = 5.0) -> None:
        self._transactional_id = options.get("transactional.id")
        self.ends = EndTxnLog()
        logger = librdkafka_log if self._transactional_id is None else self.ends
        super().__init__({**options, **state.callbacks(stats_interval_s)}, logger=logger)
        self.state = state

    def produce(
        self, topic: str, *args: Any, on_delivery: DeliveryCallback | None = None, **record: Any
    ) -> None:
        """As Producer's; a delivery report about a missing right names it, and a dead producer its cause."""
        report = on_delivery
        if on_delivery is not None:

            def report(error: KafkaError | None, message: Message) -> None:
                on_delivery(error and self._undelivered(error, topic), message)

        try:
            super().produce(topic, *args, on_delivery=report, **record)  # type: ignore[misc]  # as they came
        except KafkaException as error:
            if kafka_error(error).code() != KafkaError._FATAL:
                raise
            # Of a producer that was ended for good (fenced, say) it tells this much and no more.
            raise (self._failure_of_transaction() or error) from None

    def poll(self, *args: Any, **options: Any) -> int:
        """As Producer's; what ended the producer for good is a KafkaException, also amid other callbacks."""
        try:
            return super().poll(*args, **options)
        except (SystemError, KafkaError) as error:  # type: ignore[misc]  # KafkaError is an exception
            raise self._raised_by_librdkafka(error) from error

    def flush(self, *args: Any, **options: Any) -> int:
        """As `poll`."""
        try:
            return super().flush(*args, **options)
        except (SystemError, KafkaError) as error:  # type: ignore[misc]  # as above
            raise self._raised_by_librdkafka(error) from error

    def init_transactions(self, *args: Any, **options: Any) -> None:
        """As Producer's; an error about a missing right names it."""
        try:
            super().init_transactions(*args, **options)
        except KafkaException as error:
            right = f"WRITE on transactional id {self._transactional_id}"
            raise KafkaException(named(kafka_error(error), right)) from error

    def _undelivered(self, error: KafkaError, topic: str) -> KafkaError:
        """The error of a delivery report, or the missing right that is behind it."""
        if error.code() in _PURGED:
            # Kafka refused to take the topic into the transaction: the records only hear that they were
            # purged.
            failed = self._failure_of_transaction()
            cause = error if failed is None else kafka_error(failed)
            error = cause if cause.code() in DENIED else error
        return named(error, f"WRITE on topic {topic}")

    def _raised_by_librdkafka(self, error: BaseException) -> BaseException:
        """The KafkaException that a call should have raised.

        confluent-kafka raises a fatal error (such as fencing) as a bare KafkaError from inside its own error
        callback, and then calls the delivery reports that wait behind it all the same; with an exception
        already raised, any call in those is a SystemError to Python. Where a report caught an error of its
        own, the one behind is gone, and only the failed transaction still knows it.
        """
        behind: BaseException | None = error
        while behind is not None:
            if isinstance(behind, KafkaException):
                return behind
            if isinstance(behind, KafkaError):
                return KafkaException(behind)
            behind = behind.__cause__ or behind.__context__
        return self._failure_of_transaction() or error

    def _failure_of_transaction(self) -> KafkaException | None:
        """What the transaction has failed of; None where it has not.

        A failed transaction answers everything with its cause, and `begin_transaction` is what does nothing
        in any other state than before a transaction.
        """
        if self._transactional_id is None:
            return None
        try:
            self.begin_transaction()
        except KafkaException as failed:
            return failed
        return None


class KafkaAdmin(AdminClient):
    """An admin client, with what librdkafka says about it.

    Attributes:
        state: its last error. Callbacks run in `poll` only.
    """

    state: ClientState

    def __init__(self, options: dict[str, Any], state: ClientState) -> None:
        super().__init__({**options, **state.callbacks(0)}, logger=librdkafka_log)
        self.state = state


class LogConsumer(Consumer):
    """A consumer, with what librdkafka says about it.

    Attributes:
        state: its last error. Callbacks run in `poll` and `consume` only.
    """

    state: ClientState

    def __init__(
        self,
        options: dict[str, Any],
        state: ClientState,
        make_admin: Callable[[], KafkaAdmin],
        stats_interval_s: float = 5.0,
        *,
        joins: bool = True,
    ) -> None:
        super().__init__({**options, **state.callbacks(stats_interval_s)}, logger=librdkafka_log)
        self.state = state
        self._make_admin = make_admin
        self._admin: KafkaAdmin | None = None
        self._group = str(options["group.id"])
        # Who joins no consumer group asks for a coordinator all the same, which takes this right.
        self._group_right = f"{'READ' if joins else 'DESCRIBE'} on consumer group {self._group}"
        self._reads = False  # or did
        self._paused: set[tuple[str, int]] = set()

    def subscribe(self, *args: Any, **options: Any) -> None:
        """As Consumer's."""
        self._reads = True
        super().subscribe(*args, **options)

    def assign(self, partitions: list[TopicPartition]) -> None:
        """As Consumer's, but paused nowhere: librdkafka keeps a partition paused over a rebalance.

        Only what was paused is resumed, since a partition that is resumed is fetched anew.
        """
        self._reads = True
        super().assign(partitions)
        paused = [each for each in partitions if (each.topic, each.partition) in self._paused]
        if paused:
            self.resume(paused)

    def pause(self, partitions: list[TopicPartition]) -> None:
        """As Consumer's."""
        self._paused |= {(each.topic, each.partition) for each in partitions}
        super().pause(partitions)

    def resume(self, partitions: list[TopicPartition]) -> None:
        """As Consumer's."""
        super().resume(partitions)
        self._paused -= {(each.topic, each.partition) for each in partitions}

    @property
    def admin(self) -> KafkaAdmin:
        """An admin client of the same cluster: a consumer cannot ask for the true end of a partition."""
        if self._admin is None:
            self._admin = self._make_admin()
        return self._admin

    def poll(self, timeout: float = -1) -> Message | None:
        """As Consumer's; an error about a missing right names it."""
        message = super().poll(timeout)
        if message is not None:
            self._name(message)
        return message

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Message]:
        """As `poll`, for several."""
        messages = super().consume(num_messages, timeout)
        for message in messages:
            self._name(message)
        return messages

    def list_topics(self, *args: Any, **options: Any) -> Any:
        """As Consumer's; a topic's error about a missing right names it."""
        answer = super().list_topics(*args, **options)
        for name, topic in answer.topics.items():
            if topic.error is not None:
                topic.error = named(topic.error, f"READ on topic {name}")
        return answer

    def get_watermark_offsets(self, partition: TopicPartition, *args: Any, **options: Any) -> Any:
        """As Consumer's; where the topic is hidden from this user, the error says so."""
        return self._asked(
            partition, lambda: super(LogConsumer, self).get_watermark_offsets(partition, *args, **options)
        )

    def offsets_for_times(self, partitions: list[TopicPartition], *args: Any, **options: Any) -> Any:
        """As `get_watermark_offsets`."""
        return self._asked(
            partitions[0], lambda: super(LogConsumer, self).offsets_for_times(partitions, *args, **options)
        )

    def committed(self, partitions: list[TopicPartition], timeout: float = 30.0) -> list[TopicPartition]:
        """As Consumer's, but not for ever; an error about a missing right names it, and comes in seconds.

        Without a right on the group librdkafka asks for its coordinator until the time is up.
        """
        first_s = min(timeout, _ASK_S)
        try:
            return self._committed(partitions, first_s)
        except KafkaException as error:
            if kafka_error(error).code() != KafkaError._TIMED_OUT:
                raise
            refusal = self._group_refusal()
            if refusal is not None:
                raise KafkaException(refusal) from error
            if timeout <= first_s:
                raise
        return self._committed(partitions, timeout - first_s)

    def _committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return self._asked(
            partitions[0], lambda: super(LogConsumer, self).committed(partitions, timeout=timeout)
        )

    def _asked(self, partition: TopicPartition, question: Callable[[], T]) -> T:
        try:
            return question()
        except KafkaException as error:
            cause = kafka_error(error)
            if cause.code() in _UNSEEN:
                # librdkafka keeps no partitions of a topic that it may not see; the metadata says why.
                hidden = self.list_topics(partition.topic, timeout=_ASK_S).topics[partition.topic].error
                if hidden is None or hidden.code() not in DENIED:
                    raise
                raise KafkaException(hidden) from error
            raise KafkaException(self._with_right(cause, partition.topic)) from error

    def _group_refusal(self) -> KafkaError | None:
        """Why this user may not ask about the consumer group; None where that is not it, or it reads.

        Whoever reads has joined the group, or asked before. An admin client could be asked as well, but where
        the group's coordinator is away its request ends the process: an assertion fails inside librdkafka
        (librdkafka#4605; each of four tries with a killed broker).
        """
        while not self._reads and (event := super().poll(0)) is not None:
            error = event.error()
            if error is not None and error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                return named(error, f"DESCRIBE on consumer group {self._group}")
        return None

    def _name(self, message: Message) -> None:
        error = message.error()
        if error is not None and error.code() in DENIED:
            message.set_error(self._with_right(error, message.topic()))

    def _with_right(self, error: KafkaError, topic: str | None) -> KafkaError:
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return named(error, self._group_right)
        return error if topic is None else named(error, f"READ on topic {topic}")
