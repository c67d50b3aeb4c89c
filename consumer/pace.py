"""Keeps what is read ahead within its bounds: by waiting, and where that takes long by pausing.

Pausing is dear. It throws away what librdkafka fetched ahead, and a resumed partition has to wait until
the broker answers the fetch that is under way, up to 0.5 s. So the reading thread first stops polling:
librdkafka then holds back by itself. It must poll again within `max.poll.interval.ms`, and soon, or a
rebalance waits for us; then partitions are paused.
"""

import time
from collections.abc import Iterable

from confluent_kafka import TopicPartition

from consumer.read_ahead import ReadAhead
from runtime.kafka import LogConsumer

PATIENCE_S = 1.0  # without polling, since the user took the last group
WAIT_S = 0.05  # at a time: commits are to be made meanwhile
RESUME_AT = 0.5  # of the bounds


class Pace:
    """Holds the reading thread back while enough is queued.

    A merge by timestamp may need a group of one partition while those of others fill the queue. Then
    polling goes on, and a partition is paused once it has its share of twice the bounds: no partition
    starves, and no more than that is queued, plus a group a partition.
    """

    def __init__(self, consumer: LogConsumer, topic: str, read_ahead: ReadAhead) -> None:
        self._consumer = consumer
        self._topic = topic
        self._read_ahead = read_ahead
        self._paused: frozenset[int] = frozenset()
        self._retired: frozenset[int] = frozenset()
        self._full_since_s: float | None = None

    @property
    def paused(self) -> frozenset[int]:
        """The partitions that are paused."""
        return self._paused

    def forget(self) -> None:
        """There is a new assignment: it is paused nowhere."""
        self._paused = self._retired = frozenset()

    def retire(self, partitions: Iterable[int]) -> None:
        """Nothing more is wanted of these partitions of the assignment: their records are not fetched."""
        ended = frozenset(partitions)
        self._pause(ended - self._paused)
        self._retired |= ended

    def may_poll(self, partitions: int) -> bool:
        """Pause and resume what has to be; False: not now, ask again at once.

        Args:
            partitions: how many are read.
        """
        if not self._read_ahead.is_filled():
            self._full_since_s = None
            if self._paused and not self._read_ahead.is_filled(RESUME_AT):
                self._resume(self._paused)
            return True
        now_s = time.monotonic()
        self._full_since_s = self._full_since_s or now_s
        starving = self._read_ahead.starving()
        if starving:
            self._pause(self._read_ahead.above_share(partitions) - self._paused)
            self._resume(self._paused & starving)
        elif now_s < max(self._full_since_s, self._read_ahead.taken_s) + PATIENCE_S:
            self._read_ahead.wait_for_room(WAIT_S)
            return False
        else:
            self._pause(self._read_ahead.with_groups() - self._paused)
        return True

    def _pause(self, partitions: Iterable[int]) -> None:
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        if places:
            self._consumer.pause(places)
            self._paused |= {each.partition for each in places}

    def _resume(self, partitions: Iterable[int]) -> None:
        places = [TopicPartition(self._topic, each) for each in partitions if each not in self._retired]
        if places:
            self._consumer.resume(places)
            self._paused -= {each.partition for each in places}
