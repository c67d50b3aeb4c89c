"""Memory of closed groups: which timestamps a partition has closed, and what was in them.

It is a function of the catalogue partition alone, so a restart restores it exactly.
"""

import heapq
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from schemas.catalogue import Member

RECENT_GROUPS = 1_024
"""Groups that are kept as they were published; about 2 KB each, with six members."""


@dataclass(frozen=True, slots=True)
class PublishedGroup:
    """A closed group in its latest revision.

    Attributes:
        revision: from 1.
        expected: the sources it should have had.
        members: what it holds.
    """

    revision: int
    expected: tuple[str, ...]
    members: tuple[Member, ...]


class EntryReader(Protocol):
    """Reads a closed group back; the grouper's from Kafka, the tests' from a list."""

    def read(self, catalogue_offset: int) -> PublishedGroup | None:
        """Return what the entry at an offset says, None where the catalogue no longer holds it."""


class ClosedGroups:
    """The last `remember` closed timestamps of one partition, each with its latest entry's offset.

    Timestamps alone are kept (8 bytes of meaning each); an entry is read back from the catalogue when a
    window of a closed group turns up. What this life has published latest is kept: with two connectors on
    the same sources each group's windows come once more right behind it, and Kafka would be asked each time.
    """

    def __init__(self, remember: int, reader: EntryReader) -> None:
        self._remember = remember
        self._reader = reader
        self._offsets: OrderedDict[int, int] = OrderedDict()
        self._pending: dict[int, PublishedGroup] = {}
        self._recent: OrderedDict[int, PublishedGroup] = OrderedDict()
        self._oldest_first: list[int] = []
        self._forgot = False

    def __len__(self) -> int:
        return len(self._offsets)

    def __contains__(self, timestamp_us: int) -> bool:
        return timestamp_us in self._offsets or timestamp_us in self._pending

    def restore(self, timestamp_us: int, catalogue_offset: int) -> None:
        """Remember a group found in the catalogue, in its order; the latest revision counts."""
        self._add(timestamp_us, catalogue_offset)

    def truncated(self) -> None:
        """Say that the catalogue once held, or may have held, groups that are not remembered here."""
        self._forgot = True

    def close(self, timestamp_us: int, group: PublishedGroup) -> None:
        """Remember a group that is closed and not yet published: its catalogue offset is not known."""
        self._pending[timestamp_us] = group

    def published(self, timestamp_us: int, revision: int, catalogue_offset: int) -> None:
        """Give a closed group the offset its catalogue entry got."""
        if self._pending[timestamp_us].revision == revision:  # else the next revision waits already
            self._recent[timestamp_us] = self._pending.pop(timestamp_us)
            self._recent.move_to_end(timestamp_us)
            while len(self._recent) > RECENT_GROUPS:
                self._recent.popitem(last=False)
        self._add(timestamp_us, catalogue_offset)

    def latest(self, timestamp_us: int) -> PublishedGroup | None:
        """What a closed group holds; None where retention has taken its catalogue entry."""
        known = self._pending.get(timestamp_us) or self._recent.get(timestamp_us)
        if known is not None:
            return known
        return self._reader.read(self._offsets[timestamp_us])

    def is_older(self, timestamp_us: int) -> bool:
        """Whether a timestamp is older than anything remembered, so that nobody can tell if it was closed."""
        if not self._forgot:
            return False
        heap = self._oldest_first
        while heap and heap[0] not in self._offsets:
            heapq.heappop(heap)
        # With nothing remembered, all of the catalogue being gone, nothing is older: else no window could
        # ever be grouped again.
        return bool(heap) and timestamp_us < heap[0]

    def _add(self, timestamp_us: int, catalogue_offset: int) -> None:
        if timestamp_us in self._offsets:
            self._offsets[timestamp_us] = catalogue_offset
            self._offsets.move_to_end(timestamp_us)
            return
        self._offsets[timestamp_us] = catalogue_offset
        heapq.heappush(self._oldest_first, timestamp_us)
        while len(self._offsets) > self._remember:
            forgotten, _ = self._offsets.popitem(last=False)
            self._recent.pop(forgotten, None)
            self._forgot = True
