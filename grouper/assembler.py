"""The rules of grouping, pure: records of one raw partition in, closed groups out.

No Kafka, no clock, no thread: the time since a record was received is an argument. The rules are those
of docs/grouping.md, in this order, for each partition:

1. complete: every expected source is present.
2. overtaken: every missing source that is not silent has shown a later timestamp at an offset after
   the group's first record, and `reorder_grace_s` of log time have passed since it did.
3. grace: log time has passed the group's first record by `grace_s`.
4. quiet: the grouper's own clock has passed it by `grace_s` + 1 s, and nothing is unread.

Where a bound on open groups is reached, the oldest closes. With `auto` sources and no group closed yet nobody
knows who is expected: rules 1 and 2 wait.

Repair: a late window opens its group once more, for the next revision, which lacks only what the last one
does not have. The same rules close it, so windows that come late together are one revision.

Restart: the offsets below `read_to` were handled in an earlier life, whose closings are in the
catalogue, in the same transaction as `read_to`. So what is still open was closed by no rule up to
there, and records below `read_to` only rejoin their groups: no rule is evaluated for them, nothing is
rejected or counted again, no source's silence is changed. At `read_to` the state is that of the
earlier life, and the rules go on; where its last transaction had no room for all that one record closed,
with the closing that comes next. Whatever the restart points are, rules 1 to 3 close the same groups
with the same members. Which records wait in open groups is part of the committed offset: with other settings
than before, one that is not usable any more is known from one that was rejected.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from grouper.attendance import Attendance
from grouper.log_time import LogTime
from grouper.memory import ClosedGroups, PublishedGroup
from grouper.raw_record import RawHead, RawRecord
from grouper.rules import FIRST_REVISION, ClosedGroup, Rules, Verdict
from schemas.catalogue import ClosedBy

QUIET_MARGIN_S = 1.0  # rule 4 waits this much longer than rule 3, so that data decides where data comes


class RawReach(Protocol):
    """Says how far back raw reaches; the grouper's asks Kafka, the tests' a number."""

    def holds(self, timestamp_us: int, first_offset: int) -> bool:
        """Whether the windows of a group, the first of which lies there, can be read again."""


@dataclass(slots=True)
class _OpenGroup:
    timestamp_us: int
    first_offset: int
    opened_log_ms: int
    received_s: float
    published: PublishedGroup | None  # the revision before the one that is open
    members: dict[str, RawRecord] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)  # in this revision or the one before
    overtaken_log_ms: dict[str, int] = field(default_factory=dict)  # by source: when it first moved on
    size: int = 0


class Assembler:
    """Assembles the groups of one raw partition. Feed it every record, in offset order.

    `judge` says what becomes of a record by its key and headers alone; only a record judged MEMBER or
    REPAIR has to be decoded and given to `join`, so that a repeat costs no decoding and a member that turns
    out to be unusable changes nothing. `passed` then moves the position on and evaluates the rules.
    """

    def __init__(
        self,
        rules: Rules,
        closed: ClosedGroups,
        raw: RawReach,
        *,
        position: int,
        read_to: int,
        missed: Mapping[str, int] | None = None,
        waiting: Collection[int] | None = None,
    ) -> None:
        """Go on where an earlier life was.

        Args:
            rules: the knobs.
            closed: the memory of closed groups.
            raw: how far back raw reaches, for repairs.
            position: the raw offset to be fed next.
            read_to: one past the highest raw offset handled in earlier lives.
            missed: for each source that the latest closed groups lack, how many.
            waiting: the offsets below `read_to` that waited in open groups; None: not known.
        """
        self._rules = rules
        self._closed = closed
        self._raw = raw
        self._position = position
        self._resume_at = read_to
        self._rejoining = None if waiting is None else frozenset(waiting)
        self._attendance = Attendance(rules.expected, rules.silent_after, missed, history=len(closed) > 0)
        self._open: dict[int, _OpenGroup] = {}
        self._open_bytes = 0
        self._log_time = LogTime(rules.longest_step_s * 1000)

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
    def waiting(self) -> frozenset[int] | None:
        """The offsets below `read_to` that wait in open groups; None where an earlier life did not say."""
        ahead: frozenset[int] | None = frozenset()
        if self.replaying:
            ahead = self._rejoining
        if ahead is None:
            return None
        joined = (member.offset for group in self._open.values() for member in group.members.values())
        return frozenset(joined).union(offset for offset in ahead if offset >= self._position)

    @property
    def missed(self) -> dict[str, int]:
        """For each source that the latest closed groups lack: how many."""
        return self._attendance.snapshot()

    @property
    def silent_sources(self) -> tuple[str, ...]:
        """The sources that are not waited for."""
        return tuple(source for source in self._attendance.expected if self._attendance.is_silent(source))

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

    def settled(self, offset: int) -> bool:
        """Whether what became of a record is published or counted: an earlier life did it."""
        if offset >= self._resume_at:
            return False
        return self._rejoining is None or offset not in self._rejoining

    def judge(self, head: RawHead) -> Verdict:
        """Say what becomes of a record, without changing anything.

        Of a record that is `settled` only DUPLICATE is of interest, which `passed` wants to know; and, where
        an earlier life did not say which records wait, the joining ones.

        Raises:
            KafkaException: raw or the catalogue could not be asked.
        """
        verdict = self._judge(head)
        known = self._rejoining is not None and self.settled(head.offset)
        return Verdict.HANDLED if known and verdict is not Verdict.DUPLICATE else verdict

    def _judge(self, head: RawHead) -> Verdict:
        source, timestamp_us = head.headers.source, head.timestamp_us
        if not self._attendance.may_join(source):
            return Verdict.UNKNOWN
        group = self._open.get(timestamp_us)
        if group is not None:
            return _verdict_of_open(head, group)
        if timestamp_us in self._closed:
            return self._verdict_of_closed(head)
        if self._closed.is_older(timestamp_us) and not self._rules.group_older:
            return Verdict.OLDER
        return Verdict.MEMBER

    def _verdict_of_closed(self, head: RawHead) -> Verdict:
        published = self._closed.latest(head.timestamp_us)
        if published is None:
            # Its catalogue entry is gone by retention: that it was closed is all that is known.
            return Verdict.OLDER
        verdict = _against_published(head, published)
        if verdict is not None:
            return verdict
        if not self._rules.repair_late:
            return Verdict.LATE
        first_offset = min(member.raw_offset for member in published.members)
        return Verdict.REPAIR if self._raw.holds(head.timestamp_us, first_offset) else Verdict.BEYOND_REPAIR

    def join(self, record: RawRecord, now_s: float) -> None:
        """Add a record that was judged MEMBER or REPAIR to its group, which it may open.

        Args:
            record: the decoded record.
            now_s: the grouper's monotonic clock, seconds; rule 4 counts from the group's first.
        """
        group = self._open.get(record.timestamp_us)
        if group is None:
            published = None
            if record.timestamp_us in self._closed:
                published = self._closed.latest(record.timestamp_us)
            opened_log_ms = self._log_time.at(record.log_time_ms)
            group = _OpenGroup(record.timestamp_us, record.offset, opened_log_ms, now_s, published)
            if published is not None:
                group.present.update(member.source for member in published.members)
            self._open[record.timestamp_us] = group
        group.members[record.source] = record
        group.present.add(record.source)
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
        self._log_time.passed(log_time_ms)
        replayed = self.replaying
        self._position = offset + 1
        if seen is not None:
            self._saw(seen, replayed=replayed)
        # Where the last record of an earlier life is passed, the rules go on: what they had closed there
        # and a transaction did not take any more is closed again.
        return () if self.replaying else tuple(self._close_by_rules())

    def _saw(self, seen: RawHead, *, replayed: bool) -> None:
        # Every open group but its own began at an earlier offset: what is seen now comes behind it.
        source = seen.headers.source
        for group in self._open.values():
            if group.timestamp_us < seen.timestamp_us:
                group.overtaken_log_ms.setdefault(source, self._log_time.elapsed_ms)
        if not replayed:
            self._attendance.shown(source)

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
        if self._attendance.known:
            missing = self._waited_for(group)
            if not missing:
                return ClosedBy.COMPLETE
            if all(self._overtook(group, source) or self._attendance.is_silent(source) for source in missing):
                return ClosedBy.OVERTAKEN
        if self._log_time.elapsed_ms - group.opened_log_ms >= self._rules.grace_s * 1000:
            return ClosedBy.GRACE
        return None

    def _waited_for(self, group: _OpenGroup) -> list[str]:
        """The expected sources that a group lacks; of a repair, what the group was published without."""
        missing = [source for source in self._attendance.expected if source not in group.present]
        if group.published is None:
            return missing
        return [source for source in missing if source in group.published.expected]

    def _overtook(self, group: _OpenGroup, source: str) -> bool:
        # Counted for each source from its own first later record, and not from when the rule would have
        # closed the group: that depends on silences past, which nobody knows after a restart.
        since_ms = group.overtaken_log_ms.get(source)
        if since_ms is None:
            return False
        return self._log_time.elapsed_ms - since_ms >= self._rules.reorder_grace_s * 1000

    def _over_bounds(self) -> bool:
        rules = self._rules
        return len(self._open) > rules.max_open_groups or self._open_bytes > rules.max_open_bytes

    def quiet_due(self, now_s: float, there_since_s: float = float("-inf")) -> bool:
        """Whether rule 4 would close a group at this time, were nothing unread.

        Args:
            now_s: the grouper's monotonic clock, seconds.
            there_since_s: since when Kafka has been there without a break; while it is away nothing can come.
        """
        return not self.replaying and bool(self._quiet(now_s, there_since_s))

    def close_quiet(self, now_s: float, there_since_s: float = float("-inf")) -> tuple[ClosedGroup, ...]:
        """Close by rule 4.

        Call it only after a query of the end offset, made later than `now_s`, says that nothing is unread.
        """
        quiet = self._quiet(now_s, there_since_s)
        closed = [self._close(timestamp_us, ClosedBy.QUIET) for timestamp_us in quiet]
        return (*closed, *self._close_by_rules())

    def _quiet(self, now_s: float, there_since_s: float) -> list[int]:
        wait_s = self._rules.grace_s + QUIET_MARGIN_S
        groups = self._open.values()
        return sorted(g.timestamp_us for g in groups if now_s - max(g.received_s, there_since_s) >= wait_s)

    def _close(self, timestamp_us: int, closed_by: ClosedBy) -> ClosedGroup:
        missed = self._attendance.snapshot()
        group = self._open.pop(timestamp_us)
        self._open_bytes -= group.size
        before = group.published
        expected = self._attendance.expected if before is None else before.expected
        if not group.present.issubset(expected):
            # `auto` learns of a source by its window; a late one may be of a source that is new since.
            expected = self._attendance.in_order((*expected, *group.present))
        records = tuple(group.members[source] for source in expected if source in group.members)
        revision = FIRST_REVISION if before is None else before.revision + 1
        published = () if before is None else before.members
        if before is None:
            self._attendance.closed(group.present)
        members = (*(record.member() for record in records), *published)
        self._closed.close(timestamp_us, PublishedGroup(revision, expected, members))
        return ClosedGroup(
            timestamp_us=timestamp_us,
            revision=revision,
            members=records,
            published=published,
            expected=expected,
            missing=tuple(source for source in expected if source not in group.present),
            closed_by=closed_by,
            first_offset=group.first_offset,
            joined=tuple(record.offset for record in records),
            read_to=self.read_to,
            missed=missed,
        )


def _verdict_of_open(head: RawHead, group: _OpenGroup) -> Verdict:
    member = group.members.get(head.headers.source)
    if member is not None:
        return Verdict.DUPLICATE if member.digest == head.headers.digest else Verdict.CONFLICT
    if group.published is None:
        return Verdict.MEMBER
    return _against_published(head, group.published) or Verdict.REPAIR


def _against_published(head: RawHead, published: PublishedGroup) -> Verdict | None:
    """What a window is to a group that holds its source's already; None where it lacks it."""
    for member in published.members:
        if member.source == head.headers.source:
            if member.raw_offset == head.offset:
                # An earlier life's, or its group went out in a transaction of its own before the
                # offset passed this record.
                return Verdict.HANDLED
            return Verdict.DUPLICATE if member.digest == head.headers.digest else Verdict.CONFLICT
    return None
