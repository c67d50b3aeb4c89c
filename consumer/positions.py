"""Where a stream's start lies in Kafka.

Observation time is found through the catalogue, whose records carry the group's timestamp as their
own: an index by observation time. Kafka's lookup by time is only a lower bound there, because groups
may come late and times may go back; so from where it points, entries are read up to the first that
is not earlier than asked.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from consumer.catalogue import Catalogue
from consumer.errors import StartError
from consumer.metrics import STARTS_TRUNCATED, UNREADABLE
from consumer.start import AtOffset, AtTime, Beginning, End, LastGroups, Start
from runtime.logs import get_logger
from schemas.catalogue import CatalogueEntry
from schemas.errors import SchemaError

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Position:
    """Where reading a partition begins.

    Attributes:
        offset: the offset of the first record to read.
        floating: the oldest record was meant, whichever that is when reading begins.
        not_before_us: groups before this timestamp are passed over until the first that is not.
    """

    offset: int
    floating: bool = False
    not_before_us: int | None = None


Bounds: TypeAlias = Callable[[int], tuple[int, int]]
"""First offset and end (of what is committed) of a partition of the groups topic."""


def find_positions(
    start: Start,
    partitions: Collection[int],
    *,
    bounds: Bounds,
    open_catalogue: Callable[[], Catalogue],
    wanted: Callable[[CatalogueEntry], bool],
) -> dict[int, Position]:
    """Where to begin reading each partition; one that is not to be read is not in it.

    Args:
        start: what the user asked for.
        partitions: the partitions to read.
        bounds: asks the groups topic.
        open_catalogue: gives the catalogue; called, and the result closed, only where it is needed.
        wanted: which groups count among the last ones.

    Raises:
        StartError: the groups topic has no such offset.
        KafkaException: a broker did not answer; the call can be made again.
    """
    # The bounds come first: what is published while the catalogue is read then lies after them.
    if isinstance(start, AtOffset):
        partitions = [partition for partition in partitions if partition in start.offsets]
    of_groups = {partition: bounds(partition) for partition in partitions}
    match start:
        case Beginning():
            return {p: Position(low, floating=True) for p, (low, _) in of_groups.items()}
        case End():
            return {p: Position(end) for p, (_, end) in of_groups.items()}
        case AtOffset(offsets):
            return {p: _at_offset(offsets[p], p, *of_groups[p]) for p in partitions}
        case AtTime(timestamp_us):
            catalogue = open_catalogue()
            try:
                firsts = {p: _first_since(catalogue, p, timestamp_us) for p in partitions}
            finally:
                catalogue.close()
            return {p: _clamped(firsts[p], p, *of_groups[p], not_before_us=timestamp_us) for p in partitions}
        case LastGroups(count):
            catalogue = open_catalogue()
            try:
                firsts = _last_groups(catalogue, partitions, count, wanted)
            finally:
                catalogue.close()
            return {p: _clamped(firsts[p], p, *of_groups[p]) for p in partitions}


def _at_offset(offset: int, partition: int, low: int, end: int) -> Position:
    if not 0 <= offset <= end:
        raise StartError(
            f"offset {offset} is not in partition {partition} of the groups topic: it has {low} to {end}"
        )
    return Position(offset)


def _clamped(
    first: int | None, partition: int, low: int, end: int, *, not_before_us: int | None = None
) -> Position:
    """The position of a group that the catalogue names; retention may have deleted its images."""
    if first is None:
        return Position(end, not_before_us=not_before_us)
    if first < low:
        STARTS_TRUNCATED.inc()
        log.warning(
            "the images of the first groups asked for are deleted already; starting at the oldest there are",
            partition=partition,
            wanted_offset=first,
            oldest_offset=low,
        )
        return Position(low, floating=True, not_before_us=not_before_us)
    return Position(first, not_before_us=not_before_us)


def _entries(catalogue: Catalogue, partition: int) -> Iterator[CatalogueEntry]:
    for record in catalogue.backwards(partition):
        try:
            yield record.entry()
        except SchemaError as error:
            _left_out(partition, record.offset, error)


def _first_since(catalogue: Catalogue, partition: int, timestamp_us: int) -> int | None:
    for record in catalogue.since(partition, timestamp_us):
        try:
            return record.entry().first_offset
        except SchemaError as error:
            _left_out(partition, record.offset, error)
    return None


def _last_groups(
    catalogue: Catalogue, partitions: Collection[int], count: int, wanted: Callable[[CatalogueEntry], bool]
) -> dict[int, int | None]:
    """The first offset of the last `count` groups, by partition: the tails that together have so many.

    Partitions are read one after the other, so each gives its own last `count` first.
    """
    tails: dict[int, list[CatalogueEntry]] = {}
    for partition in partitions:
        tail: list[CatalogueEntry] = []
        if count > 0:
            for entry in _entries(catalogue, partition):
                if wanted(entry):
                    tail.append(entry)
                if len(tail) == count:
                    break
        tails[partition] = tail
    firsts: dict[int, int | None] = dict.fromkeys(partitions)
    for _ in range(count):
        ends = {p: tail[0].timestamp_us for p, tail in tails.items() if tail}
        if not ends:
            break
        latest = max(ends, key=lambda p: ends[p])
        firsts[latest] = tails[latest].pop(0).first_offset
    return firsts


def _left_out(partition: int, offset: int, error: SchemaError) -> None:
    UNREADABLE.labels(topic="catalogue").inc()
    log.warning("catalogue record left out", partition=partition, offset=offset, error=str(error))
