"""Commits positions as soon as they are reached, on a thread of its own.

A commit takes a few milliseconds, and as long as the coordinator is away. Neither the thread that
reads nor the one that processes waits for it: what is reached while a commit is under way goes with
the next one. All commits of a stream go through this one thread, so none overtakes a later one.
"""

import threading
from collections.abc import Mapping

from confluent_kafka import KafkaException, TopicPartition

from consumer.metrics import COMMITS, COMMITS_FAILED
from consumer.progress import Progress
from runtime.kafka import LogConsumer, kafka_error
from runtime.logs import get_logger

RETRY_S = 1.0

log = get_logger(__name__)


class Committer:
    """Commits what `progress` says is due.

    `progress` is shared: it is touched only with `state` held, and `state` is notified when a position
    may have become due.
    """

    def __init__(
        self, consumer: LogConsumer, topic: str, progress: Progress, state: threading.Condition
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._progress = progress
        self._state = state
        self._busy = False
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="trapline-commits", daemon=True)

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def settle(self, timeout_s: float) -> bool:
        """Wait until Kafka has every position that is reached; say whether that came in time."""
        with self._state:
            return self._state.wait_for(
                lambda: not self._busy and not self._progress.to_commit(), timeout=timeout_s
            )

    def end(self, timeout_s: float) -> bool:
        """Try once more to commit what is due, then end; say whether the thread ended in time."""
        with self._state:
            self._ending = True
            self._state.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._ending or self._progress.to_commit())
                ending = self._ending
                due = self._progress.to_commit()
                self._progress.sent(due)
                self._busy = True
            taken = self._commit(due)
            with self._state:
                self._busy = False
                self._progress.committed(taken)
                self._progress.failed(due.keys() - taken.keys())
                self._state.notify_all()
                if ending:
                    return
                if len(taken) < len(due):
                    self._state.wait_for(lambda: self._ending, timeout=RETRY_S)

    def _commit(self, due: Mapping[int, int]) -> Mapping[int, int]:
        """Commit; return what Kafka took.

        A refusal is no loss: what was done is handed out once more, to us or to the new owner. Its usual
        causes are a rebalance under way (the partition has a new owner, or we have a new generation and
        try again) and a coordinator that is away.
        """
        if not due:
            return due
        offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in due.items()]
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False) or []
        except KafkaException as error:
            refused = dict.fromkeys(due, kafka_error(error))
        else:
            refused = {answer.partition: answer.error for answer in answers if answer.error is not None}
        if refused:
            COMMITS_FAILED.inc()
            cause = next(iter(refused.values()))
            log.warning("commit not taken", partitions=sorted(refused), cause=cause.name())
        else:
            COMMITS.inc()
        return {partition: offset for partition, offset in due.items() if partition not in refused}
