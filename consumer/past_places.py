"""Where the groups of a range are described: places in the catalogue, about 20 bytes a group."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from consumer.catalogue import CatalogueRecord
from consumer.group_range import GroupRange
from consumer.history import History, readable_entry
from consumer.revisions import FIRST_PUBLICATION
from consumer.selection import Revisions


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """One of each a group, all in the same order.

    Attributes:
        times_us: axis (group), int64, observation times in microseconds since 1970 UTC.
        offsets: axis (group), int64, of their entries in the catalogue,
        partitions: and axis (group), int32, the partitions of those.
    """

    times_us: NDArray[np.int64]
    offsets: NDArray[np.int64]
    partitions: NDArray[np.int32]

    def at(self, number: int) -> tuple[int, int]:
        """Partition and offset of one entry."""
        return int(self.partitions[number]), int(self.offsets[number])

    def part(self, chosen: "slice[int | None, int | None, int | None]") -> "Places":
        """Some of them."""
        return Places(self.times_us[chosen], self.offsets[chosen], self.partitions[chosen])


def find_places(history: History, where: GroupRange, revisions: Revisions) -> Places:
    """What the catalogue has in this range, of these publications, in the order of their observation time.

    Raises:
        StreamError: Kafka went away, or refuses to be read.
    """
    times, offsets, partitions, numbers = array("q"), array("q"), array("i"), array("i")
    newest: dict[int, int] = {}  # by timestamp, of those that were published again
    for record in history.find(replace(where, limit=None)):
        number = _revision(record)
        if number > 1:
            if revisions is Revisions.FIRST:
                continue
            newest[record.timestamp_us] = max(number, newest.get(record.timestamp_us, 1))
        times.append(record.timestamp_us)
        offsets.append(record.offset)
        partitions.append(record.partition)
        numbers.append(number)
        if revisions is not Revisions.LAST and len(times) == where.limit:
            break
    times_us = np.array(times, dtype=np.int64)
    meant = np.arange(len(times))
    if revisions is Revisions.LAST and newest:
        meant = np.array(_with_newest(times, numbers, newest), dtype=np.int64)
    meant = meant[: where.limit]
    order = meant[np.argsort(times_us[meant], kind="stable")]
    return Places(
        times_us[order],
        np.array(offsets, dtype=np.int64)[order],
        np.array(partitions, dtype=np.int32)[order],
    )


def _with_newest(times: Sequence[int], numbers: Sequence[int], newest: Mapping[int, int]) -> list[int]:
    """Places of what is handed out: of what was published again the newest, in the place of the first."""
    latest = {at: place for place, at in enumerate(times) if numbers[place] == newest.get(at)}
    pending = dict(latest)
    return [pending.pop(at, place) for place, at in enumerate(times) if at not in latest or at in pending]


def _revision(record: CatalogueRecord) -> int:
    """Which publication of its timestamp an entry is of; 1 also where it is none and can't say."""
    if FIRST_PUBLICATION in record.value:
        return 1
    entry = readable_entry(record)
    return 1 if entry is None else entry.revision
