"""Whether a consumer that hears nothing has lost Kafka for good, and has to be replaced.

librdkafka lets go of each broker that a metadata answer does not name. An answer that names none (of a Kafka
of one node that was suspended, and for a moment counts itself as gone; of several that all were) leaves it
without any; it then neither asks those of bootstrap.servers again nor reports an error, and waits for ever,
though Kafka is there (2.16.0; its source of 2026-07 does the same). Only another client gets out of that.
"""

import time
from typing import Final

from confluent_kafka import KafkaException

from runtime.kafka_clients import LogConsumer

PATIENCE_S: Final = 30.0  # a broker that restarts is back by then; to replace a client costs a second
_ASK_S: Final = 2.0
_TRIES: Final = (
    2  # one of several brokers that does not answer is no reason: the next question may go to another
)


class Contact:
    """What one consumer heard of Kafka, and when."""

    def __init__(self, consumer: LogConsumer) -> None:
        """Begin to wait.

        Args:
            consumer: asked for Kafka's metadata where it was silent for 30 s, which takes 2 s at most.
        """
        self._consumer = consumer
        self._unanswered = 0
        self._heard_s = time.monotonic()

    @property
    def silent_s(self) -> float:
        """Seconds since it was heard last."""
        return time.monotonic() - self._heard_s

    def heard(self) -> None:
        """A record came, or an assignment."""
        self._unanswered = 0
        self._heard_s = time.monotonic()

    def is_lost(self) -> bool:
        """Whether nothing was heard for long, and Kafka does not answer this client either, twice in a row.

        A Kafka that is away looks the same: then another client waits for it.
        """
        if self.silent_s < PATIENCE_S:
            return False
        try:
            self._consumer.list_topics(timeout=_ASK_S)
        except KafkaException:
            self._unanswered += 1
            return self._unanswered >= _TRIES
        self.heard()
        return False
