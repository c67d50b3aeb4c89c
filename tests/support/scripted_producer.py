"""A transactional producer whose answers are made up: for what is done about each answer.

Which answers Kafka gives, and what it does, tests/integration/ asks a real one.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException

from runtime.kafka_clients import LogProducer
from runtime.kafka_state import ClientState

Answer = KafkaError | Exception | Callable[[], None] | None
"""What a call raises, or does; None: it succeeds."""

LATE = KafkaError(KafkaError._TIMED_OUT, "made up: late", retriable=True)
ABORTABLE = KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "made up: abort", txn_requires_abort=True)
FENCED = KafkaError(KafkaError._FENCED, "made up: fenced", fatal=True)
NO_CLASS = KafkaError(KafkaError.INVALID_TXN_STATE, "made up: neither")


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A record as its delivery report shows it."""

    name: str
    number: int

    def topic(self) -> str:
        return self.name

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.number


class ScriptedProducer(LogProducer):
    """Answers each call from a list of its own, then well.

    Attributes:
        calls: the names of those made, in their order.
        end_txn: how librdkafka's log tells of each EndTxn.
        reports: the errors that the next delivery reports tell, first one first.
    """

    def __init__(self, **answers: list[Answer]) -> None:
        # Port 1: nothing answers there.
        options = {"bootstrap.servers": "127.0.0.1:1", "transactional.id": "made-up"}
        super().__init__(options, ClientState(quiet=True))
        self.calls: list[str] = []
        self.end_txn = ["NO_ERROR"]
        self.reports: list[KafkaError] = []
        self._answers = answers
        self._handed: list[Callable[[], None]] = []

    def _answer(self, name: str) -> None:
        self.calls.append(name)
        answers = self._answers.get(name, [])
        answer = answers.pop(0) if answers else None
        if isinstance(answer, KafkaError):
            raise KafkaException(answer)
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            answer()

    def _ended(self) -> None:
        for word in self.end_txn:
            self.ends.log(logging.DEBUG, "%s", f"EndTxn returned {word} in state CommittingTransaction")

    def init_transactions(self, *_args):
        self._answer("init")

    def begin_transaction(self, *_args):
        self._answer("begin")

    def send_offsets_to_transaction(self, *_args):
        self._answer("offsets")

    def commit_transaction(self, *_args):
        self._answer("commit")
        self._ended()

    def abort_transaction(self, *_args):
        self._answer("abort")
        self._ended()

    def list_topics(self, *_args, **_options):
        self._answer("list_topics")

    def produce(self, topic, _value=None, *, on_delivery, **_record):
        self._answer("produce")
        number = len(self._handed)

        def deliver():
            error = self.reports.pop(0) if self.reports else None
            on_delivery(error, Acknowledged(topic, number))

        self._handed.append(deliver)

    def flush(self, *_args):
        """An answer that is made up leaves the records where they are."""
        before = len(self._answers.get("flush", []))
        self._answer("flush")
        if not before:
            self._deliver()
        return len(self._handed)

    def poll(self, *_args):
        self._answer("poll")
        self._deliver()
        return 0

    def _deliver(self) -> None:
        handed, self._handed = self._handed, []
        for deliver in handed:
            deliver()
