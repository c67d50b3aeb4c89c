"""The groups topic as a reader asks about it: is it there, where does it begin and end.

Each question is asked again until Kafka answers, the stream is closed, or the answer is an error that
no waiting mends. So a broker that restarts costs time and nothing else.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaException, TopicPartition

from consumer.errors import AuthenticationError, BrokerUnreachableError, TopicMissingError
from consumer.kafka_errors import NO_TOPIC, stream_error
from runtime.kafka import LogConsumer, ask_within, explain, kafka_error
from runtime.logs import get_logger

ASK_S = 2.0  # one attempt
RETRY_S = 0.5
NO_TOPIC_WAIT_S = 3.0  # a broker that just started does not know its topics for a moment

log = get_logger(__name__)
T = TypeVar("T")


class StreamClosed(Exception):  # noqa: N818 - no error: it ends the reading thread
    """The stream was closed while Kafka was asked; never leaves the reading thread."""


class GroupsTopic:
    """Questions about one topic, asked through the stream's own consumer."""

    def __init__(
        self, consumer: LogConsumer, name: str, closing: threading.Event, *, ask_s: float = ASK_S
    ) -> None:
        """Ask nothing yet.

        Args:
            consumer: asked with.
            name: of the topic.
            closing: ends the questions.
            ask_s: how long `bounds` may take.
        """
        self.name = name
        self._ask_s = ask_s
        self._consumer = consumer
        self._closing = closing
        self._refused_s: float | None = None

    def connect(self, wait_s: float) -> tuple[int, ...]:
        """Wait for a broker; return the topic's partitions.

        Raises:
            BrokerUnreachableError: none answered in `wait_s`.
            AuthenticationError, AccessError: the broker refused us.
            TopicMissingError: there is no such topic.
        """
        deadline_s = time.monotonic() + wait_s
        missing_since_s: float | None = None
        while True:
            try:
                partitions = self._partitions()
            except KafkaException as error:
                self._check(error)
                self._consumer.poll(0)  # runs the error callback, which alone knows of a refused login
                refusal = self._consumer.state.refusal
                if refusal is not None:
                    raise AuthenticationError(explain(refusal)) from error
                if time.monotonic() > deadline_s:
                    raise BrokerUnreachableError(explain(kafka_error(error))) from error
            else:
                if partitions:
                    self._consumer.state.works()
                    return partitions
                missing_since_s = missing_since_s or time.monotonic()
                if time.monotonic() > missing_since_s + NO_TOPIC_WAIT_S:
                    raise TopicMissingError(
                        f"topic {self.name} does not exist; `trapline topics create` makes it (or is "
                        f"TRAPLINE_TOPIC_PREFIX another one?)"
                    )
            self._pause()

    def bounds(self, partition: int) -> tuple[int, int]:
        """First offset and end (of what is committed) of a partition.

        Raises:
            KafkaException: Kafka did not answer; may be asked again.
        """
        where = TopicPartition(self.name, partition)
        low, end = ask_within(
            self._ask_s,
            lambda left_s: self._consumer.get_watermark_offsets(where, timeout=left_s, cached=False),
        )
        return low, end

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to `question`, asked until there is one.

        Raises:
            StreamError: Kafka's answer is an error that no waiting mends.
            StreamClosed: the stream was closed meanwhile.
        """
        told = False
        while True:
            try:
                return question()
            except KafkaException as error:
                self._check(error)
                if not told:
                    log.warning("Kafka does not answer; asking again", cause=kafka_error(error).name())
                    told = True
            self._pause()

    def check_refusal(self, patience_s: float) -> None:
        """Look whether the broker refuses us for good.

        A broker that is starting may refuse a login for a moment, so a refusal in mid-stream counts
        only after `patience_s` without an answer.

        Raises:
            AuthenticationError: it refuses.
        """
        refusal = self._consumer.state.refusal
        if refusal is None:
            self._refused_s = None
            return
        now_s = time.monotonic()
        self._refused_s = self._refused_s or now_s
        try:
            self._partitions()
        except KafkaException as error:
            if now_s > self._refused_s + patience_s:
                raise AuthenticationError(explain(refusal)) from error
        else:
            self._consumer.state.works()

    def _partitions(self) -> tuple[int, ...]:
        """The topic's partitions; none where it does not exist."""
        topic = self._consumer.list_topics(self.name, timeout=ASK_S).topics[self.name]
        if topic.error is None:
            return tuple(sorted(topic.partitions))
        if topic.error.code() in NO_TOPIC:
            return ()
        raise KafkaException(topic.error)

    def _check(self, error: KafkaException) -> None:
        ending = stream_error(kafka_error(error), self.name)
        if ending is not None:
            raise ending from error

    def _pause(self) -> None:
        if self._closing.wait(RETRY_S):
            raise StreamClosed
