"""How far the records of one partition go, and what can be judged of them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from schemas.catalogue import record_time_ms

CLOCKS_MS: Final = 60_000
"""How far the clocks of brokers may be apart: topics' partitions of one number may have other leaders."""


@dataclass(slots=True)
class Bounds:
    """What retention has left, and how far the grouper has come.

    Attributes:
        raw_begin: the oldest raw offset looked at.
        raw_end: one past the newest raw record there was when the round began.
        groups_begin: the oldest groups offset looked at; below it retention may have cut a group.
        groups_kept_ms: since when groups are kept, as `rejects_kept_ms`.
        catalogue_cut: whether retention has taken catalogue entries.
        catalogue_kept_ms: as `rejects_kept_ms`, but in observation time, which is an entry's time to Kafka.
        rejects_cut: whether retention has taken rejects.
        rejects_kept_ms: since when rejects are kept, milliseconds since 1970: what was taken earlier their
            topic's retention may have removed, and what came later it has not.
        committed: the grouper's committed offset.
        read_to: one past the highest raw offset it has handled.
        waiting: the raw offsets below `read_to` that wait in open groups, as the grouper says; None: it does
            not say.
        first_group: the groups offset that the first entry read points to; None before there is one.
        first_read_to: its own; entries before it are of groups of raw offsets below.
        oldest_group_ms: when Kafka took the first record of groups that was read; None before there is one.
        first_reject: the raw offset that the first reject of a grouper names; None before there is one.
        oldest_reject_ms: when Kafka took the first record of rejects that was read, a connector's too; None
            before there is one.
    """

    raw_begin: int = 0
    raw_end: int = 0
    groups_begin: int = 0
    groups_kept_ms: int = 0
    catalogue_cut: bool = False
    catalogue_kept_ms: int = 0
    rejects_cut: bool = False
    rejects_kept_ms: int = 0
    committed: int = 0
    read_to: int = 0
    waiting: Collection[int] | None = None
    first_group: int | None = None
    first_read_to: int = 0
    oldest_group_ms: int | None = None
    first_reject: int | None = None
    oldest_reject_ms: int | None = None

    def entry_gone(self, groups_offset: int, timestamp_us: int) -> bool:
        """Whether retention may have taken the entry of the group at this offset, of this timestamp."""
        if self.catalogue_cut and self.first_group is not None:
            return groups_offset < self.first_group
        return self._entries_gone(timestamp_us)

    def fate_gone(self, raw_offset: int, appended_ms: int, timestamp_us: int | None) -> bool:
        """Whether retention may have taken the word of what became of a raw record.

        That it is a member both its image and its group's entry say: one of them is enough.

        Args:
            raw_offset: its own.
            appended_ms: when Kafka took it.
            timestamp_us: of the window; None where it has none, and then it can be no member.
        """
        if self._reject_gone(raw_offset, appended_ms):
            return True
        if timestamp_us is None or not self._image_gone(appended_ms):
            return False
        if self.catalogue_cut and self.first_group is not None:
            # Whatever was published before the oldest entry had been read before it.
            return raw_offset < self.first_read_to
        return self._entries_gone(timestamp_us)

    def _entries_gone(self, timestamp_us: int) -> bool:
        """Whether an entry may be gone where none is left: the settings of its topic say."""
        return self.catalogue_cut and record_time_ms(timestamp_us) <= self.catalogue_kept_ms

    def _image_gone(self, appended_ms: int) -> bool:
        """An image is younger than its raw record, and retention takes the oldest first."""
        left = self.oldest_group_ms
        return self.groups_begin > 0 and appended_ms - CLOCKS_MS <= (
            self.groups_kept_ms if left is None else left
        )

    def _reject_gone(self, raw_offset: int, appended_ms: int) -> bool:
        """As of an image."""
        if not self.rejects_cut or (self.first_reject is not None and raw_offset > self.first_reject):
            return False
        left = self.oldest_reject_ms
        return appended_ms - CLOCKS_MS <= (self.rejects_kept_ms if left is None else left)
