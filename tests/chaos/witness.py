"""A read_committed reader beside everything: which group was to be seen when.

It goes straight to the brokers, shares no code with the pipeline, and is nobody's victim.
"""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from schemas.timestamp import parse_key


@dataclass(frozen=True, slots=True)
class Seen:
    """A whole group.

    Attributes:
        timestamp_us: of the observation.
        partition: of groups.
        complete: it lacks no source.
        seen_s: when it was read, seconds since 1970; the observation's clock is the same machine's.
    """

    timestamp_us: int
    partition: int
    complete: bool
    seen_s: float


class Witness:
    """Reads all partitions of groups from their beginning, in a thread, until closed."""

    def __init__(self, bootstrap_servers: str, topic: str, partitions: int) -> None:
        self.seen: list[Seen] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"{topic}.witness",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "reconnect.backoff.max.ms": 1000,
                "fetch.wait.max.ms": 50,
                "log_level": 0,
                "error_cb": lambda _error: None,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._read, name="witness", daemon=True)
        self._thread.start()

    def timestamps(self) -> set[int]:
        return {each.timestamp_us for each in list(self.seen)}

    def partitions_since(self, timestamp_us: int, *, complete: bool = False) -> set[int]:
        """Where groups, or complete ones, that were observed after that time have been seen."""
        return {
            each.partition
            for each in list(self.seen)
            if each.timestamp_us > timestamp_us and each.complete >= complete
        }

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        parts: dict[str, int] = defaultdict(int)
        while not self._closing.is_set():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            headers = dict(message.headers() or [])
            group = headers["ce_groupid"].decode()
            parts[group] += 1
            if parts[group] == int(headers["ce_groupsize"]):
                timestamp_us = parse_key(message.key())
                complete = not headers["ce_groupmissing"]
                self.seen.append(Seen(timestamp_us, message.partition() or 0, complete, time.time()))
