"""What rejects say of raw: each of a grouper's names the raw record that it is."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from audit.bounds import Bounds
from audit.facts import WindowFact
from audit.findings import FindingKind
from audit.history import History
from audit.inspection import digest_bytes
from audit.recorder import Recorder
from audit.tally import Tally
from audit.windows import Windows
from schemas.errors import RejectReason
from schemas.record_headers import RejectHeaders

_REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True)
class SeenReject:
    """A reject where it lies: its offset in rejects, its headers, the round in which it was read."""

    offset: int
    headers: RejectHeaders
    seen: int


class Rejects:
    """The rejects of one partition: those that wait for their raw record, and what was rejected."""

    def __init__(
        self,
        partition: int,
        *,
        bounds: Bounds,
        history: History,
        windows: Windows,
        recorder: Recorder,
        tally: Tally,
    ) -> None:
        self._partition = partition
        self._bounds = bounds
        self._history = history
        self._windows = windows
        self._recorder = recorder
        self._tally = tally
        self._ahead: dict[int, SeenReject] = {}
        self._rejected: OrderedDict[int, None] = OrderedDict()

    def add(self, offset: int, headers: RejectHeaders, round_number: int) -> None:
        """A record of rejects, in their order."""
        self._tally.rejects[headers.reason.value] += 1
        if headers.stage != "grouper" or headers.reason is RejectReason.RAW_GAP:
            return
        raw_offset = headers.raw_offset
        if raw_offset is None:
            self._find(FindingKind.UNREADABLE, "the grouper's reject names no raw offset", offset, headers)
            return
        if headers.raw_partition != self._partition:
            detail = f"the reject names raw partition {headers.raw_partition}"
            self._find(FindingKind.PARTITION, detail, offset, headers)
            return
        if self._bounds.first_reject is None:
            self._bounds.first_reject = raw_offset
        reject = SeenReject(offset, headers, round_number)
        fact = self._windows.get(raw_offset)
        if fact is not None:
            self._settle(fact, reject)
        elif raw_offset in self._rejected:
            self._recorder.two_fates(
                raw_offset, headers.timestamp_us, headers.source, "the raw record is in rejects twice"
            )
        elif raw_offset >= self._windows.next_offset:
            self._ahead[raw_offset] = reject
        elif self._is_member(raw_offset, headers):
            self._two_fates(raw_offset, headers)

    def window(self, fact: WindowFact, *, is_member: bool) -> bool:
        """Hold the next raw record against the reject that waits for it; say whether there is one."""
        reject = self._ahead.pop(fact.offset, None)
        if reject is None:
            return False
        if is_member:
            self._two_fates(fact.offset, reject.headers)
        else:
            self._settle(fact, reject)
        return True

    def drop_gone(self) -> None:
        """Forget the rejects of raw records that retention has taken."""
        for offset in [offset for offset in self._ahead if offset < self._bounds.raw_begin]:
            del self._ahead[offset]

    def judge(self, before_round: int) -> None:
        """Judge what waits since an earlier round."""
        self.drop_gone()
        for raw_offset, reject in list(self._ahead.items()):
            if reject.seen < before_round and raw_offset >= self._bounds.raw_end:
                del self._ahead[raw_offset]
                detail = f"the reject names raw offset {raw_offset}; raw ends at {self._bounds.raw_end}"
                self._find(FindingKind.REJECT_WITHOUT_RAW, detail, reject.offset, reject.headers)

    def _is_member(self, raw_offset: int, headers: RejectHeaders) -> bool:
        if headers.timestamp_us is None or headers.source is None:
            return False
        past = self._history.get(headers.timestamp_us)
        member = past.members.get(headers.source) if past else None
        return member is not None and member.raw_offset == raw_offset

    def _settle(self, fact: WindowFact, reject: SeenReject) -> None:
        self._windows.settle(fact.offset)
        self._tally.rejected += 1
        self._rejected[fact.offset] = None
        while len(self._rejected) > _REMEMBERED:
            self._rejected.popitem(last=False)
        named = reject.headers.digest
        if named is not None and digest_bytes(named) != fact.digest:
            detail = f"the reject's digest is not that of raw offset {fact.offset}, which it names"
            self._find(FindingKind.REJECT_WITHOUT_RAW, detail, reject.offset, reject.headers)

    def _two_fates(self, raw_offset: int, headers: RejectHeaders) -> None:
        self._recorder.two_fates(
            raw_offset, headers.timestamp_us, headers.source, "the raw record is a member, and in rejects"
        )

    def _find(self, kind: FindingKind, detail: str, offset: int, headers: RejectHeaders) -> None:
        self._recorder.find(
            kind,
            detail,
            timestamp_us=headers.timestamp_us,
            source=headers.source,
            offsets=(("rejects", offset),),
        )
