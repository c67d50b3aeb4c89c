"""Which timestamps were published again: what `revisions="last"` has to know before it reads.

A later revision lies behind the earlier one in the groups topic. To leave the earlier one out, a reader must
know of the later one first; the catalogue says so.
"""

from typing import Final

from consumer.catalogue import Catalogue, CatalogueRecord
from consumer.history_search import readable_entry
from consumer.positions import Position

FIRST_PUBLICATION: Final = b'"revision":1,'
"""In an entry as the grouper writes it. One that has it elsewhere is parsed, which takes 20 times as long."""


def newest_revisions(
    catalogue: Catalogue, partition: int, position: Position, to_us: int | None = None
) -> dict[int, int]:
    """The timestamps that were published more than once from a position on, and their newest revision.

    Args:
        catalogue: asked up to its end as it is now.
        partition: of the groups topic.
        position: where reading its groups begins.
        to_us: groups that are not before this observation time are not asked for.

    Raises:
        KafkaException: the broker is away; the call can be made again.
    """
    low, end = catalogue.bounds(partition)
    if not position.floating:
        low = catalogue.halve(partition, low, end, lambda record: _lies_from(record, position.offset))
    newest: dict[int, int] = {}
    for record in catalogue.read(partition, low, end, to_us=to_us):
        if FIRST_PUBLICATION in record.value:
            continue
        entry = readable_entry(record)
        if entry is not None and entry.revision > newest.get(entry.timestamp_us, 1):
            newest[entry.timestamp_us] = entry.revision
    return newest


def _lies_from(record: CatalogueRecord, offset: int) -> bool | None:
    """Whether a group lies at an offset or behind it; None where its entry does not say."""
    entry = readable_entry(record)
    return None if entry is None else entry.first_offset >= offset
