"""What the rules of grouping are told, and what they say: the words between assembler and partition."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from grouper.raw_record import RawRecord
from schemas.catalogue import ClosedBy, Member

FIRST_REVISION = 1


@dataclass(frozen=True, slots=True)
class Rules:
    """The knobs of grouping for one partition.

    Attributes:
        expected: the names of the sources of a complete group, in the order they are published in; None:
            `auto`, the members of the last groups.
        grace_s: seconds of log time that a group waits for a missing source.
        reorder_grace_s: seconds of log time between a source's later timestamp and rule 2 counting it.
            Of two connectors on one source, one can be ahead of the other, and lack what the other has.
        silent_after: closed groups in a row without a source until it is not waited for.
        max_open_groups: groups open at the same time.
        max_open_bytes: bytes of images held by open groups.
        group_older: group a window older than anything remembered, instead of rejecting it.
        repair_late: publish a group again with its late windows, instead of rejecting them.
    """

    expected: tuple[str, ...] | None
    grace_s: float = 5.0
    reorder_grace_s: float = 0.0
    silent_after: int = 3
    max_open_groups: int = 256
    max_open_bytes: int = 2 * 1024**3
    group_older: bool = False
    repair_late: bool = False

    @property
    def longest_step_s(self) -> float:
        """What one step of log time counts at most: docs/decisions/0008-log-time.md."""
        return self.grace_s / 2


class Verdict(Enum):
    """What became of one raw record. Each record has exactly one."""

    MEMBER = "member"  # joined a group
    REPAIR = "repair"  # late; joined the next revision of its group
    DUPLICATE = "duplicate"  # the same bytes are a member already
    CONFLICT = "conflict"  # other bytes of this source and timestamp are a member: rejected
    LATE = "late"  # its group is closed and lacks it: rejected
    BEYOND_REPAIR = "beyond_repair"  # late, and raw no longer holds its group's other windows: rejected
    OLDER = "older"  # older than anything remembered: rejected
    UNKNOWN = "unknown"  # not one of the expected sources: rejected
    HANDLED = "handled"  # what became of it was published in an earlier life

    @property
    def joins(self) -> bool:
        """Whether the record has to be decoded, and given to `Assembler.join`."""
        return self in (Verdict.MEMBER, Verdict.REPAIR)


@dataclass(frozen=True, slots=True)
class ClosedGroup:
    """A group that a rule has closed, ready to be published.

    Attributes:
        members: one record a source, in the order of `expected`. Of a repaired group the late ones alone,
            until `restored` adds those that are published already.
        published: the members of the revision before, which are to be read again from raw.
        first_offset: of the first record that joined; the committed offset may not pass it before this is
            published.
        joined: the raw offsets of the records that joined.
        read_to: where a restart goes on that knows of all that was closed before this group, and not of
            this group: one past the record that closed it.
        missed: for each source that the groups closed before this one lack, how many.
    """

    timestamp_us: int
    revision: int
    members: tuple[RawRecord, ...]
    published: tuple[Member, ...]
    expected: tuple[str, ...]
    missing: tuple[str, ...]
    closed_by: ClosedBy
    first_offset: int
    joined: tuple[int, ...]
    read_to: int
    missed: Mapping[str, int]

    @property
    def complete(self) -> bool:
        """Whether every expected source is present."""
        return not self.missing

    @property
    def size(self) -> int:
        """Bytes of images."""
        return sum(member.size for member in self.members)

    @property
    def first_raw_offset(self) -> int:
        """The raw offset of its first window, which its id names; the same in every revision."""
        return min(member.offset for member in self.members)

    def restored(self, published: tuple[RawRecord, ...]) -> "ClosedGroup":
        """This group with the members of the revision before, read again."""
        place = {source: index for index, source in enumerate(self.expected)}
        members = sorted((*self.members, *published), key=lambda member: place[member.source])
        return replace(self, members=tuple(members), published=())
