"""The catalogue as an astropy Table: a row a group, and no image is read."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from consumer.catalogue import CatalogueRecord
from consumer.group_range import GroupRange
from consumer.history import readable_entry

if TYPE_CHECKING:
    from astropy.table import Table

_COLUMNS: Final = (
    ("time", "i8"),
    ("group_id", "U64"),
    ("revision", "i4"),
    ("complete", "?"),
    ("closed_by", "U9"),
    ("images", "i4"),
    ("expected", "i4"),
    ("missing", "O"),
    ("received", "i8"),
    ("partition", "i4"),
    ("first_offset", "i8"),
    ("last_offset", "i8"),
    ("has_images", "?"),
)


def catalogue_table(
    records: Iterable[CatalogueRecord], where: GroupRange, oldest: Mapping[int, int]
) -> "Table":
    """The Table that `PastGroups.table` describes.

    Args:
        records: the entries, in order; those that cannot be read are left out.
        where: its sources, if it has any, are what complete, images, expected and missing are about.
        oldest: by partition, the oldest offset that the groups topic still has.
    """
    from astropy.table import Table  # noqa: PLC0415 - astropy only where it is used
    from astropy.time import Time  # noqa: PLC0415 - the same

    rows = [row for record in records if (row := _row(record, where, oldest)) is not None]
    table = Table(rows=rows, names=[name for name, _ in _COLUMNS], dtype=[kind for _, kind in _COLUMNS])
    for name in ("time", "received"):
        times = np.asarray(table[name], dtype=np.int64).astype("datetime64[us]")
        table[name] = Time(times, format="datetime64", scale="utc")
    return table


def _row(record: CatalogueRecord, where: GroupRange, oldest: Mapping[int, int]) -> tuple[Any, ...] | None:
    entry = readable_entry(record)
    if entry is None:
        return None
    members = [each for each in entry.members if not where.sources or each.source in where.sources]
    there = {member.source for member in members}
    missing = tuple(name for name in where.sources if name not in there) if where.sources else entry.missing
    return (
        entry.timestamp_us,
        entry.group_id,
        entry.revision,
        not missing if where.sources else entry.complete,
        entry.closed_by.value,
        len(members),
        len(where.sources or entry.expected),
        ",".join(missing),
        max((member.receive_time_us for member in members), default=entry.timestamp_us),
        record.partition,
        entry.first_offset,
        entry.last_offset,
        entry.first_offset >= oldest[record.partition],
    )
