"""Transactions of one transactional id, one after the other: what all who fill them have in common.

A full queue is waited for, a call is made again while its error says so, and of each end it is known whether
its EndTxn may still be on its way to Kafka. What goes into a transaction, how long is waited, and what an
error means for the work is the caller's.
"""

# ruff: noqa: SLF001  librdkafka's own error codes begin with an underscore

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

from runtime.deliveries import Deliveries
from runtime.kafka_clients import LogProducer
from runtime.kafka_errors import kafka_error
from runtime.patient_call import CALL_TIMEOUT_S, CallGivenUpError, Failure, Patience, call_patiently

T = TypeVar("T")

SLOW_END_TXN_S: Final = 5.0  # an EndTxn slower than this may still be under way at the next transaction
_FLUSH_S: Final = 0.5


class RecordRefusedError(Exception):
    """The producer does not take a record; or no more of them, since an earlier one was refused.

    Attributes:
        cause: what it says. The delivery report of the earlier one, if there is one, says why.
    """

    def __init__(self, cause: KafkaError) -> None:
        super().__init__(cause.str())
        self.cause = cause


@dataclass(frozen=True, slots=True)
class UnsureEnd:
    """Why the end of a transaction, or what was sent in it, may still be on its way to Kafka.

    Attributes:
        took_s: seconds from the first call to end it to the answer of the last one.
        broken_connections: since the end of the transaction before.
        end_txn: what librdkafka's log has against its EndTxn; None: nothing.
    """

    took_s: float
    broken_connections: int
    end_txn: str | None


@dataclass(slots=True)
class _Ending:
    """How the end of one transaction goes; that of a commit and of the abort that it came to are one.

    Attributes:
        began_s: of the monotonic clock.
        took_s: seconds until the last of its calls that succeeded.
        repeated: whether a call was made again, or an abort after a commit that failed.
    """

    began_s: float
    took_s: float = 0.0
    repeated: bool = False


class Transactions:
    """The transactions of one transactional id; making one fences every earlier producer of it.

    Attributes:
        producer: the one in use.
    """

    producer: LogProducer

    def __init__(
        self, make_producer: Callable[[], LogProducer], patience: Patience, *, with_offsets: bool
    ) -> None:
        """Fence earlier producers, and end what they left open.

        Args:
            make_producer: makes a transactional producer. It should not hold on to who holds this: the
                producer's threads live until nobody does.
            patience: with init_transactions.
            with_offsets: whether the transactions carry offsets of a consumer group. Then a connection that
                broke may have had those on it, which is a doubt about the end.

        Raises:
            CallGivenUpError: init_transactions failed for good.
        """
        self._make_producer = make_producer
        self._with_offsets = with_offsets
        self._ending: _Ending | None = None
        self._breaks = 0  # of connections, when the producer was made or last ended a transaction
        self.renew(patience)

    def renew(self, patience: Patience) -> None:
        """Take another producer, which fences the one in use, if there is one.

        KAFKA-17754: librdkafka's transactions (V1) number no EndTxn, so one delayed in the network can end
        the *next* transaction. init_transactions bumps the epoch, which makes Kafka refuse it.

        Raises:
            CallGivenUpError: init_transactions failed for good.
        """
        producer = self._make_producer()
        init = producer.init_transactions
        try:
            call_patiently(producer, "init_transactions", lambda: init(CALL_TIMEOUT_S), patience)
        except KafkaException as error:
            raise CallGivenUpError("init_transactions", kafka_error(error)) from error
        producer.poll(0)
        self._breaks = producer.state.breaks  # nothing that it has seen so far carried an EndTxn
        self.producer = producer

    def begin(self) -> None:
        """Begin one.

        Raises:
            KafkaException: the producer is fenced or broken.
        """
        self._ending = None
        self.producer.begin_transaction()

    def produce(self, deliveries: Deliveries, topic: str, value: bytes | None, **record: object) -> None:
        """Hand over a record, and wait where the queue is full.

        Raises:
            RecordRefusedError: see there.
            KafkaException: the producer is fenced or broken.
        """
        while True:
            try:
                self.producer.produce(topic, value, on_delivery=deliveries, **record)
            except BufferError:
                # The queue is bounded; serving delivery reports is what frees it.
                self.producer.poll(0.1)
            except KafkaException as error:
                if kafka_error(error).code() == KafkaError._STATE:
                    # An earlier record was refused meanwhile; its report says why, and this error does not.
                    self.producer.flush(1.0)
                raise RecordRefusedError(kafka_error(error)) from error
            else:
                return

    def flush(self, give_up: Callable[[], bool]) -> None:
        """Wait for the delivery report of each record, or until `give_up` is true.

        message.timeout.ms is below the transaction's time-out, so every record gets its report.

        Raises:
            KafkaException: the producer is fenced or broken.
        """
        while self.producer.flush(_FLUSH_S) > 0 and not give_up():
            pass

    def call(self, name: str, call: Callable[[], T], patience: Patience) -> T:
        """Make another transactional call of the producer in use.

        Raises:
            KafkaException, CallGivenUpError: see `call_patiently`.
        """
        return call_patiently(self.producer, name, call, patience)

    def commit(self, patience: Patience) -> None:
        """Commit.

        Never abort after a commit that was given up: whether it took effect is not known. The same call again
        finds out, or else whoever initialises the transactional id next.

        Raises:
            KafkaException: it was not committed; abort, unless the error is fatal.
            CallGivenUpError: see there.
        """
        commit = self.producer.commit_transaction
        self._end("commit_transaction", lambda: commit(CALL_TIMEOUT_S), patience)

    def abort(self, patience: Patience) -> None:
        """Abort, also after a commit that failed.

        Raises:
            KafkaException, CallGivenUpError: this producer can't; nothing of the transaction will be visible.
        """
        abort = self.producer.abort_transaction
        self._end("abort_transaction", lambda: abort(CALL_TIMEOUT_S), patience)

    def _end(self, name: str, call: Callable[[], None], patience: Patience) -> None:
        if self._ending is None:
            self._ending = _Ending(time.monotonic())
            self.producer.ends.begin()
        else:
            self._ending.repeated = True  # of the commit's EndTxn, if one was sent, nobody knows
        ending = self._ending

        def gives_up(failure: Failure) -> bool:
            ending.repeated = True
            return patience.gives_up(failure)

        call_patiently(self.producer, name, call, replace(patience, gives_up=gives_up))
        ending.took_s = time.monotonic() - ending.began_s

    def unsure_end(self) -> UnsureEnd | None:
        """Why the EndTxn of the transaction that has ended may end the next one too; None: it can't.

        Where there is a why, `renew` before the next one begins.

        Raises:
            KafkaException: the producer has been fenced, or broke, since.
        """
        self.producer.poll(0)  # what became of the EndTxn, and of connections, is told in here alone
        ending, self._ending = self._ending, None
        before, self._breaks = self._breaks, self.producer.state.breaks
        if ending is None:
            return None
        breaks = self._breaks - before if self._with_offsets else 0
        end_txn = self.producer.ends.doubt()
        if ending.took_s <= SLOW_END_TXN_S and not ending.repeated and not breaks and end_txn is None:
            return None
        return UnsureEnd(ending.took_s, breaks, end_txn)
