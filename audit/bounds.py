"""How far the records of one partition go, and what can be judged of them."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(slots=True)
class Bounds:
    """What retention has left, and how far the grouper has come.

    Attributes:
        raw_begin: the oldest raw offset looked at.
        raw_end: one past the newest raw record there was when the round began.
        groups_begin: the oldest groups offset looked at; below it retention may have cut a group.
        catalogue_cut: whether retention has taken catalogue entries.
        rejects_cut: whether retention has taken rejects.
        committed: the grouper's committed offset.
        read_to: one past the highest raw offset it has handled.
        waiting: the raw offsets below `read_to` that wait in open groups, as the grouper says; None: it does
            not say.
        first_group: the groups offset that the first entry read points to; None before there is one.
        first_member: the lowest raw offset that it names.
        first_reject: the raw offset that the first reject of a grouper names; None before there is one.
    """

    raw_begin: int = 0
    raw_end: int = 0
    groups_begin: int = 0
    catalogue_cut: bool = False
    rejects_cut: bool = False
    committed: int = 0
    read_to: int = 0
    waiting: Collection[int] | None = None
    first_group: int | None = None
    first_member: int | None = None
    first_reject: int | None = None

    def entry_gone(self, groups_offset: int) -> bool:
        """Whether retention may have taken the entry of the group at this offset."""
        return self.catalogue_cut and (self.first_group is None or groups_offset < self.first_group)

    def fate_gone(self, raw_offset: int) -> bool:
        """Whether retention may have taken the word of what became of a raw record."""
        if self.rejects_cut and (self.first_reject is None or raw_offset <= self.first_reject):
            return True
        return self.catalogue_cut and (self.first_member is None or raw_offset < self.first_member)
