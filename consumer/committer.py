"""Commits positions soon after they are reached, on the thread that reads.

Not on one of its own: since 2.16 confluent-kafka lets one thread at a time into a consumer, and a thread
that polls all the time keeps the others out for good. A commit takes about 3 ms, so it is made at most
every 100 ms: at full speed that costs 3 % of the reading thread's time, and a group that takes longer
than that to process is committed at once.
"""

import time
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from consumer.kafka_errors import stream_error
from consumer.metrics import COMMITS, COMMITS_FAILED
from consumer.read_ahead import ReadAhead
from runtime.kafka import LogConsumer, kafka_error
from runtime.logs import get_logger

INTERVAL_S = 0.1
RETRY_S = 1.0

log = get_logger(__name__)


class Committer:
    """Commits what the user has done."""

    def __init__(
        self,
        consumer: LogConsumer,
        topic: str,
        group_id: str,
        read_ahead: ReadAhead,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._group_id = group_id
        self._read_ahead = read_ahead
        self._clock = clock
        self._not_before_s = 0.0

    def commit_due(self) -> None:
        """Commit what is due, unless the last commit was a moment ago.

        Raises:
            StreamError: Kafka refuses for good.
        """
        if self._clock() >= self._not_before_s:
            self.commit_now()

    def commit_now(self) -> None:
        """Commit what is due.

        A refusal is no loss: what was done is handed out once more, to us or to the new owner. Its usual
        causes are a rebalance under way (the partition has a new owner, or we have a new generation and
        try again) and a coordinator that is away; librdkafka then gives up after about 6 s.

        Raises:
            StreamError: Kafka refuses for good.
        """
        due = self._read_ahead.due()
        if not due:
            return
        refused = self._commit(due)
        self._read_ahead.committed(
            {partition: offset for partition, offset in due.items() if partition not in refused}
        )
        self._not_before_s = self._clock() + (RETRY_S if refused else INTERVAL_S)
        for error in refused.values():
            ending = stream_error(error, f"consumer group {self._group_id}")
            if ending is not None:
                raise ending

    def _commit(self, due: Mapping[int, int]) -> dict[int, KafkaError]:
        """Commit; return what Kafka did not take, and why."""
        offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in due.items()]
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False) or []
        except KafkaException as error:
            refused = dict.fromkeys(due, kafka_error(error))
        else:
            refused = {each.partition: each.error for each in answers if each.error is not None}
        if refused:
            COMMITS_FAILED.inc()
            cause = next(iter(refused.values()))
            log.warning("commit not taken", partitions=sorted(refused), cause=cause.name())
        else:
            COMMITS.inc()
        return refused
