"""The rules of grouping, pure: records of one raw partition in, closed groups out.

No Kafka, no clock, no thread: the time since a record was received is an argument. The rules are those
of the design, in this order, for each partition:

1. complete: every expected source is present.
2. overtaken: every missing source that is not silent has shown a later timestamp at an offset after
   the group's first record, and `reorder_grace_s` of log time have passed since it did.
3. grace: log time has passed the group's first record by `grace_s`.
4. quiet: the grouper's own clock has passed it by `grace_s` + 1 s, and nothing is unread.

Where a bound on open groups is reached, the oldest closes.

Restart: the offsets below `read_to` were handled in an earlier life, whose closings are in the
catalogue, in the same transaction as `read_to`. So what is still open was closed by no rule up to
there, and records below `read_to` only rejoin their groups: no rule is evaluated for them, nothing is
rejected or counted again, no source's silence is changed. At `read_to` the state is that of the
earlier life, and the rules go on; where its last transaction had no room for all that one record closed,
with the closing that comes next. Whatever the restart points are, rules 1 to 3 close the same groups
with the same members.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from grouper.memory import ClosedGroups
from grouper.raw_record import RawHead, RawRecord
from grouper.silence import Silence
from schemas.catalogue import ClosedBy

QUIET_MARGIN_S = 1.0  # rule 4 waits this much longer than rule 3, so that data decides where data comes


@dataclass(frozen=True, slots=True)
class Rules:
    """The knobs of grouping for one partition.

    Attributes:
        expected: the names of the sources of a complete group, in the order they are published in.
        grace_s: seconds of log time that a group waits for a missing source.
        reorder_grace_s: seconds of log time between a source's later timestamp and rule 2 counting it.
            Of two connectors on one source, one can be ahead of the other, and lack what the other has.
        silent_after: closed groups in a row without a source until it is not waited for.
        max_open_groups: groups open at the same time.
        max_open_bytes: bytes of images held by open groups.
        group_older: group a window older than anything remembered, instead of rejecting it.
    """

    expected: tuple[str, ...]
    grace_s: float = 5.0
    reorder_grace_s: float = 0.0
    silent_after: int = 3
    max_open_groups: int = 256
    max_open_bytes: int = 2 * 1024**3
    group_older: bool = False


class Verdict(Enum):
    """What became of one raw record. Each record has exactly one."""

    MEMBER = "member"  # joined a group
    DUPLICATE = "duplicate"  # the same bytes are a member already
    CONFLICT = "conflict"  # other bytes of this source and timestamp are a member: rejected
    LATE = "late"  # its group is closed and lacks it: rejected
    OLDER = "older"  # older than anything remembered: rejected
    UNKNOWN = "unknown"  # not one of the expected sources: rejected
    HANDLED = "handled"  # a member of a group that is published already, read again after a restart


@dataclass(frozen=True, slots=True)
class ClosedGroup:
    """A group that a rule has closed, ready to be published.

    Attributes:
        members: one record a source, in the order of `expected`.
        read_to: where a restart goes on that knows of all that was closed before this group, and not of
            this group: one past the record that closed it.
        missed: for each source that the groups closed before this one lack, how many.
    """

    timestamp_us: int
    members: tuple[RawRecord, ...]
    expected: tuple[str, ...]
    missing: tuple[str, ...]
    closed_by: ClosedBy
    first_offset: int
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


@dataclass(slots=True)
class _OpenGroup:
    timestamp_us: int
    first_offset: int
    opened_log_ms: int
    received_s: float
    members: dict[str, RawRecord] = field(default_factory=dict)
    overtaken_log_ms: dict[str, int] = field(default_factory=dict)  # by source: when it first moved on
    size: int = 0


class Assembler:
    """Assembles the groups of one raw partition. Feed it every record, in offset order.

    `judge` says what becomes of a record by its key and headers alone; only a record judged MEMBER has
    to be decoded and given to `join`, so that a repeat costs no decoding and a member that turns out
    to be unusable changes nothing. `passed` then moves the position on and evaluates the rules.
    """

    def __init__(
        self,
        rules: Rules,
        closed: ClosedGroups,
        *,
        position: int,
        read_to: int,
        missed: Mapping[str, int] | None = None,
    ) -> None:
        self._rules = rules
        self._expected = frozenset(rules.expected)
        self._closed = closed
        self._position = position
        self._resume_at = read_to
        self._silence = Silence(rules.silent_after, missed)
        self._open: dict[int, _OpenGroup] = {}
        self._open_bytes = 0
        self._last_log_time_ms: int | None = None
        self._elapsed_log_ms = 0

    @property
    def read_to(self) -> int:
        """One past the highest raw offset handled, over all lives of this partition's groupers."""
        return max(self._position, self._resume_at)

    @property
    def replaying(self) -> bool:
        """Whether the next record was handled before a restart."""
        return self._position < self._resume_at

    @property
    def committed_offset(self) -> int:
        """The first raw offset that open groups still need; the next one to read where nothing is open.

        While records of an earlier life are read again this is not `read_to`: a group that was open then
        may have its first record still ahead.
        """
        return min((group.first_offset for group in self._open.values()), default=self._position)

    @property
    def missed(self) -> dict[str, int]:
        """For each source that the latest closed groups lack: how many, up to `silent_after`."""
        return self._silence.snapshot()

    @property
    def silent_sources(self) -> tuple[str, ...]:
        """The sources that are not waited for."""
        return tuple(source for source in self._rules.expected if self._silence.is_silent(source))

    @property
    def open_groups(self) -> int:
        """How many groups are open."""
        return len(self._open)

    @property
    def open_bytes(self) -> int:
        """Bytes of images that open groups hold."""
        return self._open_bytes

    def oldest_open_s(self, now_s: float) -> float:
        """Seconds since the oldest open group's first record was received; 0 where none is open."""
        return max((now_s - group.received_s for group in self._open.values()), default=0.0)

    def judge(self, head: RawHead) -> Verdict:
        """Say what becomes of a record, without changing anything.

        While `replaying` the verdict was counted, and a reject published, in an earlier life: only
        MEMBER asks for anything then.
        """
        source, digest = head.headers.source, head.headers.digest
        if source not in self._expected:
            return Verdict.UNKNOWN
        group = self._open.get(head.timestamp_us)
        if group is not None:
            member = group.members.get(source)
            if member is None:
                return Verdict.MEMBER
            return Verdict.DUPLICATE if member.digest == digest else Verdict.CONFLICT
        if head.timestamp_us in self._closed:
            return self._verdict_of_closed(head, source, digest)
        if self._closed.is_older(head.timestamp_us) and not self._rules.group_older:
            return Verdict.OLDER
        return Verdict.MEMBER

    def _verdict_of_closed(self, head: RawHead, source: str, digest: str) -> Verdict:
        members = self._closed.members(head.timestamp_us)
        if members is None:
            # Its catalogue entry is gone by retention: that it was closed is all that is known.
            return Verdict.OLDER
        for member in members:
            if member.source == source:
                if member.raw_offset == head.offset:
                    # An earlier life's, or its group went out in a transaction of its own before the
                    # offset passed this record.
                    return Verdict.HANDLED
                return Verdict.DUPLICATE if member.digest == digest else Verdict.CONFLICT
        return Verdict.LATE

    def join(self, record: RawRecord, now_s: float) -> None:
        """Add a record that was judged MEMBER to its group, which it may open.

        Args:
            record: the decoded record.
            now_s: the grouper's monotonic clock, seconds; rule 4 counts from the group's first.
        """
        group = self._open.get(record.timestamp_us)
        if group is None:
            group = _OpenGroup(record.timestamp_us, record.offset, self._log_ms(record.log_time_ms), now_s)
            self._open[record.timestamp_us] = group
        group.members[record.source] = record
        group.size += record.size
        self._open_bytes += record.size

    def passed(self, offset: int, log_time_ms: int, seen: RawHead | None) -> tuple[ClosedGroup, ...]:
        """Move on past a raw record, whatever became of it, and close what the rules close.

        Args:
            offset: the record's raw offset.
            log_time_ms: its append time.
            seen: its key and headers; None where they could not be read, and for a DUPLICATE, which
                says nothing new of its source: sent twice or once, the same groups come out.

        Returns:
            The closed groups, in the order they were closed in.
        """
        self._elapsed_log_ms = self._log_ms(log_time_ms)
        self._last_log_time_ms = log_time_ms
        replayed = self.replaying
        self._position = offset + 1
        if seen is not None and seen.headers.source in self._expected:
            self._saw(seen, replayed=replayed)
        # Where the last record of an earlier life is passed, the rules go on: what they had closed there
        # and a transaction did not take any more is closed again.
        return () if self.replaying else tuple(self._close_by_rules())

    def _saw(self, seen: RawHead, *, replayed: bool) -> None:
        # Every open group but its own began at an earlier offset: what is seen now comes behind it.
        source = seen.headers.source
        for group in self._open.values():
            if group.timestamp_us < seen.timestamp_us:
                group.overtaken_log_ms.setdefault(source, self._elapsed_log_ms)
        if not replayed:
            self._silence.shown(source)

    def _log_ms(self, log_time_ms: int) -> int:
        # Append times can step back at a leader change: only the steps forward are time that passed.
        if self._last_log_time_ms is None:
            return self._elapsed_log_ms
        return self._elapsed_log_ms + max(0, log_time_ms - self._last_log_time_ms)

    def _close_by_rules(self) -> Iterator[ClosedGroup]:
        # A closing can make a source silent, and with it another group's wait pointless: look again, from
        # the first group on, so that what closes next depends on nothing but the state. A restart between
        # two of these closings then goes on with the same one.
        while (due := self._due()) is not None:
            yield self._close(*due)
        while self._open and self._over_bounds():
            oldest = min(self._open.values(), key=lambda group: group.first_offset)
            yield self._close(oldest.timestamp_us, ClosedBy.BOUND)

    def _due(self) -> tuple[int, ClosedBy] | None:
        """The first group, by time, that a rule closes."""
        for timestamp_us in sorted(self._open):
            closed_by = self._rule(self._open[timestamp_us])
            if closed_by is not None:
                return timestamp_us, closed_by
        return None

    def _rule(self, group: _OpenGroup) -> ClosedBy | None:
        if len(group.members) == len(self._expected):
            return ClosedBy.COMPLETE
        if all(
            source in group.members or self._overtook(group, source) or self._silence.is_silent(source)
            for source in self._rules.expected
        ):
            return ClosedBy.OVERTAKEN
        if self._elapsed_log_ms - group.opened_log_ms >= self._rules.grace_s * 1000:
            return ClosedBy.GRACE
        return None

    def _overtook(self, group: _OpenGroup, source: str) -> bool:
        # Counted for each source from its own first later record, and not from when the rule would have
        # closed the group: that depends on silences past, which nobody knows after a restart.
        since_ms = group.overtaken_log_ms.get(source)
        return since_ms is not None and self._elapsed_log_ms - since_ms >= self._rules.reorder_grace_s * 1000

    def _over_bounds(self) -> bool:
        rules = self._rules
        return len(self._open) > rules.max_open_groups or self._open_bytes > rules.max_open_bytes

    def quiet_due(self, now_s: float) -> bool:
        """Whether rule 4 would close a group at this time, were nothing unread."""
        wait_s = self._rules.grace_s + QUIET_MARGIN_S
        return not self.replaying and any(now_s - g.received_s >= wait_s for g in self._open.values())

    def close_quiet(self, now_s: float) -> tuple[ClosedGroup, ...]:
        """Close by rule 4.

        Call it only after a query of the end offset, made later than `now_s`, says that nothing is unread.
        """
        wait_s = self._rules.grace_s + QUIET_MARGIN_S
        due = [g.timestamp_us for g in self._open.values() if now_s - g.received_s >= wait_s]
        closed = [self._close(timestamp_us, ClosedBy.QUIET) for timestamp_us in sorted(due)]
        return (*closed, *self._close_by_rules())

    def _close(self, timestamp_us: int, closed_by: ClosedBy) -> ClosedGroup:
        missed = self._silence.snapshot()
        group = self._open.pop(timestamp_us)
        self._open_bytes -= group.size
        present = tuple(source for source in self._rules.expected if source in group.members)
        missing = tuple(source for source in self._rules.expected if source not in group.members)
        records = tuple(group.members[source] for source in present)
        self._silence.closed(present, missing)
        self._closed.close(timestamp_us, tuple(record.member() for record in records))
        return ClosedGroup(
            timestamp_us=timestamp_us,
            members=records,
            expected=self._rules.expected,
            missing=missing,
            closed_by=closed_by,
            first_offset=group.first_offset,
            read_to=self.read_to,
            missed=missed,
        )
