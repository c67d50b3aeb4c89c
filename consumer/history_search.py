"""Where in the catalogue the groups of a range can lie, by partition."""

from array import array
from collections.abc import Iterable, Mapping
from functools import partial

from consumer.catalogue import Catalogue, CatalogueRecord
from consumer.errors import StartError
from consumer.group_range import GroupRange
from consumer.groups_topic import GroupsTopic
from consumer.metrics import UNREADABLE
from consumer.start import AtOffset, LastGroups
from runtime.logs import get_logger
from schemas.catalogue import CatalogueEntry
from schemas.errors import SchemaError

log = get_logger(__name__)


class Search:
    """Asks the catalogue, and the groups topic for its bounds.

    Its methods raise KafkaException where Kafka does not answer.
    """

    def __init__(self, catalogue: Catalogue, groups: GroupsTopic, partitions: Iterable[int]) -> None:
        self._catalogue = catalogue
        self._groups = groups
        self._partitions = tuple(partitions)

    def starts(self, where: GroupRange, ends: Mapping[int, int]) -> dict[int, int]:
        """In each partition that is meant, an offset of the catalogue before which no group is meant."""
        starts = {}
        match where.place:
            case LastGroups(count):
                return self._last(where, ends, count)
            case AtOffset(offsets):
                for partition, offset in offsets.items():
                    self._check_offset(partition, offset)
                    starts[partition] = self.first_at(partition, offset)
            case _:
                starts = dict.fromkeys(self._partitions, 0)
        for partition, start in tuple(starts.items()):
            first = self._first(partition, where.from_us)
            if first is None:
                del starts[partition]
            else:
                starts[partition] = max(start, first)
        return starts

    def first_at(self, partition: int, groups_offset: int, *, after: int = 0) -> int:
        """An offset of the catalogue before which, and after `after`, all images lie below this offset.

        Raises:
            KafkaException: Kafka did not answer.
        """
        low, end = self._catalogue.bounds(partition)
        return self._catalogue.halve(partition, max(low, after), end, partial(_lies_at, groups_offset))

    def _first(self, partition: int, from_us: int | None) -> int | None:
        low, _ = self._catalogue.bounds(partition)
        first = low if from_us is None else self._catalogue.not_before(partition, from_us)
        return None if first is None else max(low, first)

    def _check_offset(self, partition: int, offset: int) -> None:
        name = self._groups.name
        if partition not in self._partitions:
            raise StartError(
                f"{name} has no partition {partition}: it has {len(self._partitions)}, numbered from 0"
            )
        low, end = self._groups.bounds(partition)
        if offset > end:
            raise StartError(
                f"offset {offset} is not in partition {partition} of {name}: it has {low} to {end}"
            )

    def _last(self, where: GroupRange, ends: Mapping[int, int], count: int) -> dict[int, int]:
        """Where the last `count` groups begin, by partition: its tails that together have so many.

        Of each partition the last `count` are looked at, 16 bytes each: which partition has how many of
        them is known at the end.
        """
        tails: dict[int, tuple[array[int], array[int]]] = {}
        for partition in self._partitions:
            times, offsets = array("q"), array("q")
            first = self._first(partition, where.from_us)
            tails[partition] = times, offsets
            if first is None:
                continue
            for record in self._catalogue.backwards(
                partition, first, ends[partition], from_us=where.from_us, to_us=where.to_us
            ):
                if is_meant(record, where):
                    times.append(record.timestamp_us)
                    offsets.append(record.offset)
                    if len(times) == count:
                        break
        taken = dict.fromkeys(self._partitions, 0)
        for _ in range(count):
            heads = {p: times[taken[p]] for p, (times, _) in tails.items() if taken[p] < len(times)}
            if not heads:
                break
            taken[max(heads, key=lambda p: heads[p])] += 1
        return {p: tails[p][1][number - 1] for p, number in taken.items() if number}


def is_meant(record: CatalogueRecord, where: GroupRange) -> bool:
    """Whether the entry has the sources that are asked for; its time is not looked at."""
    if not where.sources and not where.complete_only:
        return True
    try:
        present, complete = record.presence()
    except SchemaError as error:
        _left_out(record, error)
        return False
    return where.has(present, complete=complete)


def readable_entry(record: CatalogueRecord) -> CatalogueEntry | None:
    """What the record says; None, counted, where it is no entry."""
    try:
        return record.entry()
    except SchemaError as error:
        _left_out(record, error)
        return None


def _left_out(record: CatalogueRecord, error: SchemaError) -> None:
    UNREADABLE.labels(topic="catalogue").inc()
    log.warning(
        "catalogue record left out", partition=record.partition, offset=record.offset, error=str(error)
    )


def _lies_at(groups_offset: int, record: CatalogueRecord) -> bool | None:
    """Whether the entry's images lie at or after this offset of the groups topic."""
    try:
        return record.entry().first_offset >= groups_offset
    except SchemaError:
        return None
