"""Keeps what is read ahead within its bounds, by pausing partitions."""

import time
from collections.abc import Iterable

from confluent_kafka import TopicPartition

from consumer.read_ahead import ReadAhead
from runtime.kafka import LogConsumer

PATIENCE_S = 1.0
"""A full queue is waited for so long before partitions are paused. Pausing throws away what librdkafka
fetched ahead (64 MiB), so a user who takes a group every moment should not cause it each time."""
WAIT_S = 0.05  # at a time: commits are to be made meanwhile
RESUME_AT = 0.5  # of the bounds


class Pace:
    """Holds the reading thread back while the queue is full.

    It pauses partitions that have groups queued, never one that has none: a merge by timestamp would
    wait for it in vain. So one group a partition may go beyond the bounds.
    """

    def __init__(self, consumer: LogConsumer, topic: str, read_ahead: ReadAhead) -> None:
        self._consumer = consumer
        self._topic = topic
        self._read_ahead = read_ahead
        self._paused: frozenset[int] = frozenset()
        self._full_since_s: float | None = None

    def forget(self) -> None:
        """There is a new assignment: it is paused nowhere."""
        self._paused = frozenset()

    def may_poll(self) -> bool:
        """Pause or resume what has to be; False: do not poll now, the queue is full for the moment."""
        if not self._read_ahead.is_filled():
            self._full_since_s = None
            if self._paused:
                low = not self._read_ahead.is_filled(RESUME_AT)
                self._resume(self._paused if low else self._paused - self._read_ahead.with_groups())
            return True
        now_s = time.monotonic()
        self._full_since_s = self._full_since_s or now_s
        patient = now_s < self._full_since_s + PATIENCE_S
        if patient and not self._paused and not self._read_ahead.without_groups():
            return self._read_ahead.wait_for_room(WAIT_S)
        with_groups = self._read_ahead.with_groups()
        self._pause(with_groups - self._paused)
        self._resume(self._paused - with_groups)
        return True

    def _pause(self, partitions: Iterable[int]) -> None:
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        if places:
            self._consumer.pause(places)
            self._paused |= {each.partition for each in places}

    def _resume(self, partitions: Iterable[int]) -> None:
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        if places:
            self._consumer.resume(places)
            self._paused -= {each.partition for each in places}
