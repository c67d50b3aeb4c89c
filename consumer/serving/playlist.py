"""Which publication of a timestamp is played, and when: pure, over entries of the catalogue.

A late image makes the grouper publish its group again, behind others. `last` plays the newest publication in
the place of the first, so that every timestamp comes once, whole, and in the order of time. `first` plays
what was published first, as a reader would have got it live. `all` plays each where it lies.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from consumer.catalogue import CatalogueRecord
from consumer.history_search import readable_entry
from consumer.metrics import PASSED_OVER
from consumer.selection import PassedOver, Revisions
from schemas.catalogue import CatalogueEntry

Place: TypeAlias = tuple[int, int]
"""Partition and offset of an entry in the catalogue."""


@dataclass(frozen=True, slots=True)
class Item:
    """A group to be played.

    Attributes:
        partition: where it lies,
        next_offset: and one past its last image in the groups topic: from there on playing is resumed.
        record: what is played, which may be a later publication,
        entry: parsed.
    """

    partition: int
    next_offset: int
    record: CatalogueRecord
    entry: CatalogueEntry


def playlist(
    records: Iterable[CatalogueRecord],
    revisions: Revisions,
    newest: Mapping[int, Place],
    look_up: Callable[[Place], CatalogueRecord | None],
    *,
    resumed: bool = False,
) -> Iterator[Item]:
    """What is to be played, in order.

    Args:
        records: the entries meant, in the order of the log.
        revisions: which publications.
        newest: by timestamp, where the newest publication of those lies that were published again.
        look_up: the entry that lies there.
        resumed: the records begin in the middle: a publication whose first one is not among them was played
            before.
    """
    pending = dict(newest)
    for record in records:
        entry = readable_entry(record)
        if entry is None:
            continue
        next_offset = entry.last_offset + 1
        if revisions is Revisions.ALL:
            yield Item(record.partition, next_offset, record, entry)
            continue
        place = pending.get(record.timestamp_us) if revisions is Revisions.LAST else None
        if entry.revision > 1 and (resumed or place != (record.partition, record.offset)):
            PASSED_OVER.labels(reason=PassedOver.REVISION).inc()
            continue
        if place is not None:
            del pending[record.timestamp_us]
            newer = look_up(place)
            newer_entry = None if newer is None else readable_entry(newer)
            if newer is not None and newer_entry is not None:
                yield Item(record.partition, next_offset, newer, newer_entry)
                continue
        yield Item(record.partition, next_offset, record, entry)
