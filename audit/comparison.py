"""Two sets of groups made from one raw held against each other, pure: catalogue entries in, differences out.

The rules that look at data alone give the same groups in every run. `quiet` looks at a clock and `bound` at
memory, so what differs because of them is told apart: a group that one of them closed, and the groups just
after it, since a source that was missing there counts towards its silence.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from schemas.catalogue import CatalogueEntry, ClosedBy
from schemas.timestamp import format_timestamp

SILENCE_GROUPS: Final = 20
"""So many groups after one that a clock or memory closed, silence may still count otherwise."""
MOST_WAITING: Final = 20_000
"""Entries of one side that may wait for the other's; the oldest is then taken for one that has none."""
_CLOCKED: Final = (ClosedBy.QUIET, ClosedBy.BOUND)


class DifferenceKind(StrEnum):
    """How two sets of groups differ at one timestamp."""

    ONLY_HERE = "only_here"
    ONLY_THERE = "only_there"
    REVISION = "revision"  # one side published it once more
    MEMBERS = "members"  # other windows
    EXPECTED = "expected"  # the same windows, and another idea of what is missing


class NotCompared(StrEnum):
    """Why a group has no counterpart and need not have one."""

    NOT_REACHED = "not_reached"  # the other side has not come to its windows, or holds them open
    RAW_GONE = "raw_gone"  # retention took windows of it, so they could not be grouped again


@dataclass(frozen=True, slots=True)
class GroupFact:
    """One catalogue entry, as far as it is compared.

    Attributes:
        closed_by: the rule that closed it.
        members: (source, digest of its frame), by source.
        expected: the sources it should have had, by name.
        raw_offsets: of its members.
        after_clock: whether one of the groups just before it was closed by a clock or memory.
    """

    timestamp_us: int
    revision: int
    closed_by: ClosedBy
    members: tuple[tuple[str, str], ...]
    expected: tuple[str, ...]
    raw_offsets: tuple[int, ...]
    after_clock: bool

    @property
    def sources(self) -> str:
        """Its members' names."""
        return ",".join(source for source, _ in self.members)


@dataclass(frozen=True, slots=True)
class Difference:
    """One group that differs.

    Attributes:
        kind: how.
        partition: of the topics.
        explained_by: the rule by a clock or memory behind it, or `after` such a rule; None: nothing explains
            it.
        here: as it is in the topics that are audited; None: not there.
        there: as it is in the others.
    """

    kind: DifferenceKind
    partition: int
    timestamp_us: int
    revision: int
    explained_by: str | None
    here: GroupFact | None
    there: GroupFact | None

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "difference": self.kind.value,
            "partition": self.partition,
            "timestamp": format_timestamp(self.timestamp_us),
            "revision": self.revision,
            "explained_by": self.explained_by,
            "here": _as_json(self.here),
            "there": _as_json(self.there),
        }

    def line(self) -> str:
        """For people."""
        what = "differs" if self.explained_by is None else f"explained by {self.explained_by}"
        where = f"{format_timestamp(self.timestamp_us)} revision {self.revision} partition {self.partition}"
        here, there = _words(self.here), _words(self.there)
        return f"{what}: {self.kind.value}: {where} - here {here}; there {there}"


def _as_json(fact: GroupFact | None) -> dict[str, object] | None:
    if fact is None:
        return None
    return {
        "closed_by": fact.closed_by.value,
        "members": dict(fact.members),
        "expected": list(fact.expected),
        "raw_offsets": list(fact.raw_offsets),
    }


def _words(fact: GroupFact | None) -> str:
    if fact is None:
        return "nothing"
    return f"{fact.sources} of {','.join(fact.expected)} ({fact.closed_by.value})"


@dataclass(slots=True)
class Reach:
    """How far one side has come in a partition of raw.

    Attributes:
        read_to: one past the highest raw offset it has handled.
        waiting: the raw offsets below that wait in its open groups; None: not known.
        committed: the first raw offset that its open groups need.
        cut: whether raw began later than the partition's first offset when it was looked at.
    """

    read_to: int = 0
    waiting: Collection[int] | None = None
    committed: int = 0
    cut: bool = False

    def handled(self, raw_offset: int) -> bool:
        """Whether it is published what became of a raw record."""
        if self.waiting is None:
            return raw_offset < self.committed
        return raw_offset < self.read_to and raw_offset not in self.waiting


@dataclass(slots=True)
class _Side:
    reach: Reach
    waiting: OrderedDict[tuple[int, int], GroupFact] = field(default_factory=OrderedDict)
    since_clock: int = SILENCE_GROUPS + 1


class PartitionComparison:
    """Compares one partition of two sets of groups. Entries come in each side's order, the sides in any."""

    def __init__(
        self,
        partition: int,
        here: Reach,
        there: Reach,
        raw_begin: int,
        report: Callable[[Difference], None],
    ) -> None:
        """Begin.

        Args:
            partition: its number.
            here: how far the audited side has come.
            there: how far the other one has.
            raw_begin: the oldest raw offset there is.
            report: told of each difference.
        """
        self.equal = 0
        self.not_compared: dict[NotCompared, int] = dict.fromkeys(NotCompared, 0)
        self._partition = partition
        self._here, self._there = _Side(here), _Side(there)
        self._raw_begin = raw_begin
        self._report = report
        self._clocked: OrderedDict[int, ClosedBy] = OrderedDict()
        for side in (self._here, self._there):
            if side.reach.cut:
                side.since_clock = 0

    def add_here(self, entry: CatalogueEntry) -> None:
        """The next entry of the audited side."""
        self._add(self._here, self._there, entry)

    def add_there(self, entry: CatalogueEntry) -> None:
        """The next entry of the other side."""
        self._add(self._there, self._here, entry)

    def end(self) -> None:
        """There are no more entries: what still waits has no counterpart."""
        for side in (self._here, self._there):
            while side.waiting:
                self._alone(side)

    def _add(self, side: _Side, other: _Side, entry: CatalogueEntry) -> None:
        fact = self._fact(side, entry)
        key = fact.timestamp_us, fact.revision
        counterpart = other.waiting.pop(key, None)
        if counterpart is None:
            side.waiting[key] = fact
            if len(side.waiting) > MOST_WAITING:
                self._alone(side)
            return
        here, there = (fact, counterpart) if side is self._here else (counterpart, fact)
        if here.members != there.members:
            self._differ(DifferenceKind.MEMBERS, here, there)
        elif here.expected != there.expected:
            self._differ(DifferenceKind.EXPECTED, here, there)
        else:
            self.equal += 1

    def _fact(self, side: _Side, entry: CatalogueEntry) -> GroupFact:
        fact = GroupFact(
            timestamp_us=entry.timestamp_us,
            revision=entry.revision,
            closed_by=entry.closed_by,
            members=tuple(sorted((member.source, member.digest) for member in entry.members)),
            expected=tuple(sorted(entry.expected)),
            raw_offsets=tuple(sorted(member.raw_offset for member in entry.members)),
            after_clock=side.since_clock < SILENCE_GROUPS,
        )
        if entry.closed_by in _CLOCKED:
            side.since_clock = 0
            self._clocked[entry.timestamp_us] = entry.closed_by
            while len(self._clocked) > MOST_WAITING:
                self._clocked.popitem(last=False)
        elif entry.revision == 1:
            side.since_clock += 1
        return fact

    def _alone(self, side: _Side) -> None:
        """The oldest entry that waits has no counterpart."""
        _, fact = side.waiting.popitem(last=False)
        here, there, other = (fact, None, self._there) if side is self._here else (None, fact, self._here)
        if not any(other.reach.handled(offset) for offset in fact.raw_offsets):
            self.not_compared[NotCompared.NOT_REACHED] += 1
        elif fact.revision > 1:
            self._differ(DifferenceKind.REVISION, here, there)
        else:
            kind = DifferenceKind.ONLY_THERE if here is None else DifferenceKind.ONLY_HERE
            self._differ(kind, here, there)

    def _differ(self, kind: DifferenceKind, here: GroupFact | None, there: GroupFact | None) -> None:
        facts = tuple(_known(here, there))
        if any(offset < self._raw_begin for fact in facts for offset in fact.raw_offsets):
            self.not_compared[NotCompared.RAW_GONE] += 1
            return
        timestamp_us, revision = facts[0].timestamp_us, facts[0].revision
        self._report(Difference(kind, self._partition, timestamp_us, revision, self._why(facts), here, there))

    def _why(self, facts: Iterable[GroupFact]) -> str | None:
        facts = tuple(facts)
        clocked = self._clocked.get(facts[0].timestamp_us)
        if clocked is not None:
            return clocked.value
        return "after quiet, bound or the begin of raw" if any(fact.after_clock for fact in facts) else None


def _known(*facts: GroupFact | None) -> Iterator[GroupFact]:
    yield from (fact for fact in facts if fact is not None)
