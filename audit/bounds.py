"""How far the records of one partition go, and what can be judged of them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

CLOCKS_MS: Final = 60_000
"""How far the clocks of brokers may be apart: raw and rejects of one partition may have other leaders."""


@dataclass(slots=True)
class Bounds:
    """What retention has left, and how far the grouper has come.

    Attributes:
        raw_begin: the oldest raw offset looked at.
        raw_end: one past the newest raw record there was when the round began.
        groups_begin: the oldest groups offset looked at; below it retention may have cut a group.
        catalogue_cut: whether retention has taken catalogue entries.
        rejects_cut: whether retention has taken rejects.
        rejects_kept_ms: since when rejects are kept, milliseconds since 1970: what was taken earlier their
            topic's retention may have removed, and what came later it has not.
        committed: the grouper's committed offset.
        read_to: one past the highest raw offset it has handled.
        waiting: the raw offsets below `read_to` that wait in open groups, as the grouper says; None: it does
            not say.
        first_group: the groups offset that the first entry read points to; None before there is one.
        first_member: the lowest raw offset that it names.
        first_reject: the raw offset that the first reject of a grouper names; None before there is one.
        oldest_reject_ms: when Kafka took the first record of rejects that was read, a connector's too; None
            before there is one.
    """

    raw_begin: int = 0
    raw_end: int = 0
    groups_begin: int = 0
    catalogue_cut: bool = False
    rejects_cut: bool = False
    rejects_kept_ms: int = 0
    committed: int = 0
    read_to: int = 0
    waiting: Collection[int] | None = None
    first_group: int | None = None
    first_member: int | None = None
    first_reject: int | None = None
    oldest_reject_ms: int | None = None

    def entry_gone(self, groups_offset: int) -> bool:
        """Whether retention may have taken the entry of the group at this offset."""
        return self.catalogue_cut and (self.first_group is None or groups_offset < self.first_group)

    def fate_gone(self, raw_offset: int, appended_ms: int) -> bool:
        """Whether retention may have taken the word of what became of a raw record.

        Args:
            raw_offset: its own.
            appended_ms: when Kafka took it.
        """
        if self._reject_gone(raw_offset, appended_ms):
            return True
        return self.catalogue_cut and (self.first_member is None or raw_offset < self.first_member)

    def _reject_gone(self, raw_offset: int, appended_ms: int) -> bool:
        """A reject is younger than its raw record, and retention takes the oldest first."""
        if not self.rejects_cut or (self.first_reject is not None and raw_offset > self.first_reject):
            return False
        left = self.oldest_reject_ms
        return appended_ms - CLOCKS_MS <= (self.rejects_kept_ms if left is None else left)
