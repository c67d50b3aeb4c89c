"""Producing without losing anything, as tight as a loop can be."""

from collections.abc import Sequence

from confluent_kafka import Producer

_ROOM_S = 0.005

Headers = Sequence[tuple[str, str | bytes | None]]


def produce(
    producer: Producer, topic: str, value: bytes | None, key: bytes | None = None, headers: Headers = ()
) -> None:
    """Produce to partition 0; a full queue is waited for.

    Shortly: among several threads another one may hear of the record that made room.
    """
    while True:
        try:
            producer.produce(topic, value, key, partition=0, headers=list(headers))
        except BufferError:
            producer.poll(_ROOM_S)
        else:
            producer.poll(0)
            return
