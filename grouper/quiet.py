"""Rule 4 on a live Kafka: a stream that has stopped, told from a Kafka that is away.

While Kafka is away nothing can come, so that time says nothing about the sources: the wait starts anew when
it is back. Else the first thing that a grouper did after an outage would be to close every group that was
under way, just before the connector brings what it holds.
"""

import time

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from grouper.partition import Partition
from runtime.kafka import LogConsumer, true_end_offset
from runtime.logs import get_logger

log = get_logger(__name__)

_QUERY_S = 0.5  # at most one end-offset query a partition in this time
_SLOW_S = 2.0  # an answer that took longer may have waited for a broker that was away


class QuietWatch:
    """Closes by rule 4 what is due, partition by partition."""

    def __init__(self, raw_topic: str) -> None:
        self._raw_topic = raw_topic
        self._there_since_s = float("-inf")
        self._asked_s: dict[int, float] = {}

    def on_error(self, error: KafkaError) -> None:
        """The consumer's error callback."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  its public name
            self._there_since_s = time.monotonic()

    def look(self, consumer: LogConsumer, number: int, state: Partition) -> None:
        """Close a partition's quiet groups, if Kafka says that nothing is unread."""
        now_s = time.monotonic()
        if now_s - self._asked_s.get(number, float("-inf")) < _QUERY_S:
            return
        if not state.quiet_due(now_s, self._there_since_s):
            return
        self._asked_s[number] = now_s
        partition = TopicPartition(self._raw_topic, number)
        try:
            # Asked after now_s: what was appended by then is below this end.
            end = true_end_offset(consumer, partition)
            (at,) = consumer.position([partition])
        except KafkaException as error:
            self._there_since_s = time.monotonic()
            log.warning("the end of raw can't be asked for", partition=number, cause=str(error))
            return
        if time.monotonic() - now_s > _SLOW_S:
            self._there_since_s = time.monotonic()
        elif max(at.offset, state.read_to) >= end:
            state.close_quiet(now_s, self._there_since_s)
