"""Producing without losing anything, as tight as a loop can be."""

from collections.abc import Sequence

from confluent_kafka import Producer

Headers = Sequence[tuple[str, str | bytes | None]]


def produce(
    producer: Producer, topic: str, value: bytes | None, key: bytes | None = None, headers: Headers = ()
) -> None:
    """Produce to partition 0; a full queue is waited for."""
    while True:
        try:
            producer.produce(topic, value, key, partition=0, headers=list(headers))
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return
