"""The raw records of one partition that wait for their fate."""

from collections import defaultdict
from collections.abc import Callable, Collection

from audit.bounds import Bounds
from audit.facts import WindowFact
from audit.findings import FindingKind
from audit.history import History
from audit.recorder import Recorder
from audit.tally import Tally


class Windows:
    """Windows without a fate: by raw offset, and by timestamp.

    Attributes:
        next_offset: one past the last raw record read.
        expected: every source that a catalogue entry expected.
    """

    def __init__(self, bounds: Bounds, history: History, recorder: Recorder, tally: Tally) -> None:
        self.next_offset = 0
        self.expected: set[str] = set()
        self._bounds = bounds
        self._history = history
        self._recorder = recorder
        self._tally = tally
        self._waiting: dict[int, WindowFact] = {}
        self._by_time: defaultdict[int, set[int]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, offset: int) -> bool:
        return offset in self._waiting

    def get(self, offset: int) -> WindowFact | None:
        """The waiting window at a raw offset."""
        return self._waiting.get(offset)

    def add(self, fact: WindowFact) -> None:
        """Take in the next raw record."""
        self.next_offset = fact.offset + 1
        self._tally.windows += 1
        if fact.source is not None and fact.timestamp_us is not None:
            self._tally.saw(fact.source, fact.timestamp_us)
        self._waiting[fact.offset] = fact
        if fact.timestamp_us is not None:
            self._by_time[fact.timestamp_us].add(fact.offset)

    def settle(self, offset: int) -> WindowFact | None:
        """Take out a window that has found its fate."""
        fact = self._waiting.pop(offset, None)
        if fact is not None and fact.timestamp_us is not None:
            same_time = self._by_time[fact.timestamp_us]
            same_time.discard(offset)
            if not same_time:
                del self._by_time[fact.timestamp_us]
        return fact

    def settle_same(self, timestamp_us: int, source: str, digest: bytes) -> bool:
        """Settle a window by what it is instead of where it lies; say whether it was there."""
        for offset in self._by_time.get(timestamp_us, ()):
            fact = self._waiting[offset]
            if fact.source == source and fact.digest == digest:
                self.settle(offset)
                self._tally.members += 1
                return True
        return False

    def settle_duplicates(self, timestamp_us: int, but: Callable[[int], bool]) -> None:
        """Settle the duplicates of a group that was just read.

        Args:
            timestamp_us: of the group.
            but: whether a raw offset is named by an image.
        """
        for offset in sorted(self._by_time.get(timestamp_us, ())):
            if not but(offset):
                self.settle_duplicate(self._waiting[offset])

    def settle_duplicate(self, fact: WindowFact) -> bool:
        """Settle a window whose bytes are a member already; say whether it was one."""
        if fact.timestamp_us is None or fact.source is None:
            return False
        past = self._history.get(fact.timestamp_us)
        member = past.members.get(fact.source) if past else None
        if member is None or member.raw_offset == fact.offset or member.digest != fact.digest:
            return False
        self.settle(fact.offset)
        self._tally.duplicates += 1
        if not fact.digest_true:
            self._recorder.find(
                FindingKind.DIGEST,
                f"it was dropped for the member at raw offset {member.raw_offset}, whose digest is in its "
                "header; its bytes have another one",
                timestamp_us=fact.timestamp_us,
                source=fact.source,
                offsets=(("raw", fact.offset),),
            )
        return True

    def judge(self, committed: int, read_to: int, waiting: Collection[int] | None) -> None:
        """Judge the windows below `read_to`, behind which everything was read.

        Args:
            committed: the grouper's committed offset.
            read_to: as committed with it.
            waiting: the offsets between the two that wait in open groups, late ones among them that will
                be in a further revision; None: not known.
        """
        for fact in [fact for offset, fact in self._waiting.items() if offset < read_to]:
            if fact.offset not in self._waiting or self.settle_duplicate(fact):
                continue
            if fact.offset < committed or not self._may_wait(fact, waiting):
                self._judge(fact, committed)

    def _may_wait(self, fact: WindowFact, waiting: Collection[int] | None) -> bool:
        """Whether a window may be in an open group, or be a repeat of one that is."""
        if waiting is None:
            return fact.problem is None
        if fact.offset in waiting:
            return True
        same = (self._waiting[offset] for offset in self._by_time.get(fact.timestamp_us or 0, ()))
        return any(
            other.offset in waiting and (other.source, other.digest) == (fact.source, fact.digest)
            for other in same
        )

    def _judge(self, fact: WindowFact, committed: int) -> None:
        past = None if fact.timestamp_us is None else self._history.get(fact.timestamp_us)
        if past is None and fact.problem is None and fact.offset >= committed:
            return  # its group is open
        self.settle(fact.offset)
        forgotten = fact.timestamp_us is not None and self._history.forgotten(fact.timestamp_us)
        if (past is None and forgotten) or self._bounds.fate_gone(
            fact.offset, fact.appended_ms, fact.timestamp_us
        ):
            self._tally.gone += 1
            return
        stranger = fact.source is not None and bool(self.expected) and fact.source not in self.expected
        kind = FindingKind.REJECT_MISSING
        if fact.problem is not None:
            why = f"it cannot be used ({fact.problem.detail}), and no reject says so"
        elif stranger:
            why = "its source is none that groups expect, and no reject says so"
        elif past is None:
            kind = FindingKind.COMMITTED_TOO_FAR
            why = f"offset {committed} is committed, and it is in no group, no duplicate and no reject"
        elif fact.source in past.members:
            why = "it has other bytes than the member, and no reject says so"
        elif fact.offset < past.read_to:
            kind = FindingKind.MEMBER_DROPPED
            why = "it was read when its group was published, and is neither in it nor in rejects"
        else:
            why = "it came when its group was closed, and no reject says so"
        self._recorder.find(
            kind, why, timestamp_us=fact.timestamp_us, source=fact.source, offsets=(("raw", fact.offset),)
        )
