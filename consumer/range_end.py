"""Where a stream with an end, `--to`, has seen all of its range.

Times go back in the log where runs overlap, and each partition has its own pace: the first group that is not
before the end says nothing of the groups behind it. The catalogue does: it names the last group of the range
that is there, in each partition. So a partition has ended

- once it is read up to that group, and
- unless the range was past already when reading began: once it has shown a group that is not before the end.
  Until then more is to come.

The catalogue is asked when the answer may be needed, and not before the first group is handed out: to be sure
that there is no further one takes a look at all later keys.
"""

from collections import deque
from collections.abc import Iterable
from contextlib import closing

from confluent_kafka import KafkaException

from consumer.catalogue import Catalogue
from consumer.group_range import GroupRange
from consumer.history_search import readable_entry
from consumer.kafka_errors import NO_TOPIC
from runtime.kafka import kafka_error

_LOOKED_AT = 64  # entries, for one that can be read


class RangeEnd:
    """The end of a range in one partition, as a reader comes to it.

    Attributes:
        passed: a group that is not before the end was seen.
        known: the catalogue was asked.
    """

    def __init__(self, to_us: int, *, past: bool) -> None:
        """Nothing was read yet.

        Args:
            to_us: the first observation time that is not meant; microseconds since 1970 UTC.
            past: nothing more of the range is to come.
        """
        self.passed = False
        self.known = False
        self._to_us = to_us
        self._past = past
        self._offset = 0

    def lies_before(self, timestamp_us: int) -> bool:
        """Whether a group that was read now is not meant any more."""
        beyond = timestamp_us >= self._to_us
        self.passed = self.passed or beyond
        return beyond

    def learn(self, offset: int | None) -> None:
        """Take the answer.

        Args:
            offset: one past the last group of the range; None: there is no catalogue. Then the first group
                that is not before the end is taken for it.
        """
        self.known = True
        self._offset = offset or 0
        self._past = self._past and offset is not None

    def is_reached(self, next_offset: int) -> bool:
        """Whether a reader that has read up to this offset has seen all."""
        return self.known and (self._past or self.passed) and next_offset >= self._offset


def is_past(where: GroupRange, now_us: int) -> bool:
    """Whether a range ends in the past, and something of it may be in Kafka already."""
    return where.to_us is not None and where.to_us <= now_us and not where.from_now_on


def find_range_ends(
    catalogue: Catalogue, where: GroupRange, partitions: Iterable[int], *, may_be_missing: bool
) -> dict[int, int | None]:
    """One past the last image of the last group of a range, by partition, as the catalogue has it now.

    Args:
        catalogue: asked up to its end.
        where: the range.
        partitions: of the groups topic.
        may_be_missing: whether to believe a broker that knows no catalogue: one that just started knows none
            for a moment.

    Returns:
        The offsets; 0 where no group of the range is there, None where there is no catalogue, as with a
        topic that was replayed to by its name.

    Raises:
        KafkaException: the broker is away; the call can be made again.
    """
    try:
        return {partition: _one_past_the_last(catalogue, partition, where) for partition in partitions}
    except KafkaException as error:
        if not may_be_missing or kafka_error(error).code() not in NO_TOPIC:
            raise
        return dict.fromkeys(partitions)


def _one_past_the_last(catalogue: Catalogue, partition: int, where: GroupRange) -> int:
    low, end = catalogue.bounds(partition)
    start = low if where.from_us is None else catalogue.not_before(partition, where.from_us)
    if start is None:
        return 0
    found = catalogue.read(partition, max(low, start), end, from_us=where.from_us, to_us=where.to_us)
    with closing(found) as records:
        last = deque(records, _LOOKED_AT)
    entries = (readable_entry(record) for record in reversed(last))
    return next((entry.last_offset + 1 for entry in entries if entry is not None), 0)
