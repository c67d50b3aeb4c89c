"""Catalogue entries without Kafka, as the grouper writes them."""

from consumer.catalogue import CatalogueRecord
from schemas.catalogue import CatalogueEntry, ClosedBy, Member
from schemas.digest import frame_digest
from schemas.record_headers import group_id
from tests.support.published_groups import SECOND_US, START_US


def entry_at(
    second: float,
    *,
    offset: int = 0,
    revision: int = 1,
    present: tuple[str, ...] = ("sb0", "sb1"),
    expected: tuple[str, ...] = ("sb0", "sb1"),
) -> CatalogueEntry:
    """The entry of a group so many seconds after START_US, its images from `offset` on."""
    at_us = START_US + round(second * SECOND_US)
    missing = tuple(source for source in expected if source not in present)
    return CatalogueEntry(
        timestamp_us=at_us,
        revision=revision,
        group_id=group_id(at_us, revision, offset),
        complete=not missing,
        closed_by=ClosedBy.GRACE if missing else ClosedBy.COMPLETE,
        expected=expected,
        present=present,
        missing=missing,
        members=tuple(
            Member(source, offset + index, frame_digest(source.encode()), 60e6, at_us)
            for index, source in enumerate(present)
        ),
        first_offset=offset,
        last_offset=offset + len(present) - 1,
        committed_offset=offset,
        read_to=offset,
        catalogue_from=0,
    )


def record_of(entry: CatalogueEntry, offset: int = 0, partition: int = 0) -> CatalogueRecord:
    """The entry as a record of the catalogue."""
    return CatalogueRecord(partition, offset, entry.timestamp_us, entry.to_json())
