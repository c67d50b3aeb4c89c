"""Where in the catalogue the entries lie that still matter to the committed offset."""

from collections import deque
from collections.abc import Iterable


class EntryIndex:
    """The latest catalogue entries of one partition with the highest raw offset that each names.

    It answers what the committed offset's metadata must say: the first catalogue offset that may name a
    record at or after the committed offset. That offset only ever moves on, so entries are dropped
    from the front as it passes them.
    """

    def __init__(self, next_offset: int = 0) -> None:
        """Start an index; the catalogue's next entry comes at `next_offset` or after it."""
        self._entries: deque[tuple[int, int]] = deque()
        self._next_offset = next_offset

    def add(self, catalogue_offset: int, highest_raw_offset: int) -> None:
        """Take in an entry, in the order of the catalogue."""
        self._entries.append((catalogue_offset, highest_raw_offset))
        self._next_offset = catalogue_offset + 1

    def first_naming(self, committed_offset: int, new: Iterable[tuple[int, int]] = ()) -> int:
        """Return the first catalogue offset that may name a record at or after the committed offset.

        Args:
            committed_offset: the offset about to be committed; it never goes back.
            new: entries of the transaction at hand, as (catalogue offset, highest raw offset). They are
                looked at and not taken in: the transaction may yet abort.
        """
        while self._entries and self._entries[0][1] < committed_offset:
            self._entries.popleft()
        if self._entries:
            return self._entries[0][0]
        next_offset = self._next_offset
        for catalogue_offset, highest_raw_offset in new:
            if highest_raw_offset >= committed_offset:
                return catalogue_offset
            next_offset = catalogue_offset + 1
        return next_offset
