"""Entries of the catalogue as they come, for groups that are served while they are published."""

from collections.abc import Callable, Iterator
from typing import Final

from consumer.catalogue import CatalogueRecord
from consumer.catalogue_tail import CatalogueTail
from consumer.group_range import GroupRange
from consumer.history_search import is_meant

_ASK_S: Final = 0.05
"""Between two looks; it is what serving adds to the latency, with as much again for the look."""


def live_records(
    tail: CatalogueTail, where: GroupRange, pause: Callable[[float], bool]
) -> Iterator[CatalogueRecord]:
    """Entries that come, until every partition has shown one that is not before the end of the range.

    Where the caller is slow they wait in Kafka.

    Args:
        tail: of the catalogue.
        where: which are meant.
        pause: waits so many seconds; says whether to stop.

    Raises:
        BrokerUnreachableError, AccessError: Kafka was away for longer than `broker_wait_s`, or refuses.
    """
    left = set(tail.partitions)
    while left and not pause(_ASK_S):
        for record in tail.new():
            if where.to_us is not None and record.timestamp_us >= where.to_us:
                left.discard(record.partition)
            if where.at(record.timestamp_us) and is_meant(record, where):
                yield record
