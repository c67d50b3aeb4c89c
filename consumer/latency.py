"""From the last frame read to the group in Kafka: how long each of some groups took.

The catalogue does not say when a group was published: its records carry observation time, which is what
makes them an index. The images do: the groups topic has the broker's append time. So the last image of a
group is looked up, and its append time is held against when the connector had read the last of its frames.
What a reader waits beyond that is the commit of the transaction, some milliseconds. Two clocks are in this
figure, the connector's and the broker's; `trapline doctor` compares them.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaException

from consumer.errors import BrokerUnreachableError
from consumer.kafka_errors import stream_error
from consumer.settings import ConsumerSettings
from consumer.statistics import Sampled
from runtime.kafka import explain, kafka_error
from runtime.peek import Peek, append_time_us

MAX_BYTES: Final = 512 * 1024 * 1024
"""Of images that are fetched for this; with larger images fewer groups are looked up, whichever they are."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """What was found.

    Attributes:
        seconds: of each group that was looked up.
        gone: how many could not be, because retention has deleted their images.
    """

    seconds: tuple[float, ...]
    gone: int = 0


class LatencyMeter:
    """Looks groups up in the groups topic."""

    def __init__(self, settings: ConsumerSettings) -> None:
        """Connect."""
        self._topic = settings.topics.groups
        self._peek = Peek(settings, settings.broker_wait_s)

    def close(self) -> None:
        """Let go of Kafka."""
        self._peek.close()

    def measure(self, sample: Iterable[Sampled]) -> Latencies:
        """How long each of these took, in any order.

        Raises:
            BrokerUnreachableError, AccessError: Kafka went away, or refuses to be read.
        """
        seconds, gone, size = [], 0, 0
        bounds: dict[int, tuple[int, int]] = {}
        try:
            for group in _shuffled(sample):
                if group.partition not in bounds:
                    bounds[group.partition] = self._peek.bounds(self._topic, group.partition)
                low, end = bounds[group.partition]
                if not low <= group.last_offset < end:  # to look there would cost a reset each
                    gone += 1
                    continue
                message = self._peek.first(self._topic, group.partition, group.last_offset)
                if message is None or message.offset() != group.last_offset:
                    gone += 1
                    continue
                seconds.append((append_time_us(message) - group.received_us) / 1e6)
                size += len(message.value() or b"")
                if size > MAX_BYTES:
                    break
        except KafkaException as error:
            cause = kafka_error(error)
            raise stream_error(cause, self._topic) or BrokerUnreachableError(explain(cause)) from error
        return Latencies(tuple(seconds), gone)


def _shuffled(sample: Iterable[Sampled]) -> Sequence[Sampled]:
    """In an order in which any first part is of the whole range; the same each time."""
    groups = sorted(sample, key=lambda each: (each.partition, each.last_offset))
    random.Random(len(groups)).shuffle(groups)  # noqa: S311 - no secret
    return groups
