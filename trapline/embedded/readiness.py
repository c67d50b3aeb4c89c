"""When a broker is ready: when it does for a client what a client will ask of it."""

import contextlib
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

# Left behind in Kafka's own topics as a name without a meaning.
_PROBE = "trapline-ready-probe"
_ATTEMPT_S = 1.0


_QUIET: dict[str, Any] = {
    # It will not be there at once: look often, and don't tell.
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 100,
    "retry.backoff.ms": 20,
    "log_level": 0,
    "error_cb": lambda _error: None,
}


def wait_until_listed(
    bootstrap_servers: str, numbers: AbstractSet[int], deadline: float, check: Callable[[], None]
) -> bool:
    """Wait until these nodes are in the cluster's metadata; False if they were not in time.

    Until all are there, a topic with as many copies cannot be made.

    Args:
        bootstrap_servers: who is asked.
        numbers: of the nodes.
        deadline: on time.monotonic().
        check: as below.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, **_QUIET})

    def attempt(left_s: float) -> None:
        if not numbers <= admin.list_topics(timeout=left_s).brokers.keys():
            raise KafkaException(KafkaError(KafkaError.BROKER_NOT_AVAILABLE))

    return _succeeds(attempt, deadline, check)


def wait_until_ready(bootstrap_servers: str, deadline: float, check: Callable[[], None]) -> bool:
    """Wait until metadata, consumer groups and transactions work; False if they did not in time.

    The first request for a coordinator makes Kafka create its topic. Done here, nobody else's first
    request waits for it or fails.

    Args:
        bootstrap_servers: of the broker.
        deadline: on time.monotonic().
        check: called between attempts; raises if waiting makes no sense any more.
    """
    config: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, **_QUIET}
    admin = AdminClient(config)
    if not _succeeds(lambda left_s: admin.list_topics(timeout=left_s), deadline, check):
        return False
    # Not AdminClient.list_consumer_group_offsets: librdkafka crashes when the coordinator is not there yet
    # (librdkafka#5040).
    consumer = Consumer({**config, "group.id": _PROBE})
    producer = Producer({**config, "transactional.id": _PROBE})
    try:
        # Kafka makes both of its topics at the same time if this request is on its way before the next one.
        with contextlib.suppress(KafkaException):
            producer.init_transactions(0.01)
        partition = [TopicPartition(_PROBE, 0)]
        return _succeeds(
            lambda left_s: consumer.committed(partition, timeout=left_s), deadline, check
        ) and _succeeds(producer.init_transactions, deadline, check)
    finally:
        consumer.close()


def _succeeds(attempt: Callable[[float], object], deadline: float, check: Callable[[], None]) -> bool:
    while True:
        check()
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        try:
            attempt(min(left_s, _ATTEMPT_S))
        except KafkaException:
            time.sleep(0.02)
        else:
            return True
