"""One owned raw partition: its records through the rules, and what is waiting to be published."""

import time
from collections import deque

from confluent_kafka import Message

from grouper import metrics
from grouper.assembler import Assembler, ClosedGroup, Rules, Verdict
from grouper.entry_index import EntryIndex
from grouper.near_miss import NearMisses
from grouper.publication import Publication, Reject
from grouper.raw_record import RawHead, decode_record, read_head
from grouper.recovery import Recovered
from runtime.logs import get_logger
from runtime.message_headers import message_headers
from schemas.errors import RejectReason, SchemaError
from schemas.record_headers import RejectHeaders

log = get_logger(__name__)

_REASONS = {
    Verdict.CONFLICT: (
        RejectReason.CONFLICT,
        "another frame of this source and timestamp is a member of the group already",
    ),
    Verdict.LATE: (RejectReason.LATE, "its group was closed before it came; see the catalogue entry"),
    Verdict.OLDER: (
        RejectReason.OLDER,
        (
            "older than anything remembered, so it may have been grouped before; raise `remember`, or set "
            "`older: group`, or use a topic prefix of its own for a historical run"
        ),
    ),
    Verdict.UNKNOWN: (
        RejectReason.UNKNOWN_SOURCE,
        "its source is not one of the configured sources; add it to TRAPLINE_SOURCES of the grouper",
    ),
}


_MAX_REJECT_KEY = 1024  # bytes; ours have 27


class Partition:
    """The grouping state of one owned raw partition, from assignment to revocation."""

    def __init__(
        self, partition: int, prefix: str, rules: Rules, recovered: Recovered, max_frame_bytes: int
    ) -> None:
        self.partition = partition
        self._max_frame_bytes = max_frame_bytes
        self.entries: EntryIndex = recovered.entries
        self._prefix = prefix
        self._closed = recovered.closed
        self._assembler = Assembler(
            rules,
            recovered.closed,
            position=recovered.position,
            read_to=recovered.read_to,
            missed=recovered.missed,
        )
        self._pending: deque[ClosedGroup | Reject] = deque()
        self._near_misses = NearMisses()
        self._committed = (recovered.position, recovered.read_to)
        self._committed_s = time.monotonic()
        if recovered.lost_offsets:
            self._reject_gap(recovered)

    @property
    def read_to(self) -> int:
        """One past the highest raw offset handled."""
        return self._assembler.read_to

    @property
    def has_pending(self) -> bool:
        """Whether something is closed or rejected and not yet published."""
        return bool(self._pending)

    def quiet_due(self, now_s: float) -> bool:
        """Whether rule 4 waits only for the word that nothing is unread."""
        return self._assembler.quiet_due(now_s)

    def close_quiet(self, now_s: float) -> None:
        """Close by rule 4; the end offset was asked for after `now_s` and nothing is unread."""
        self._take(self._assembler.close_quiet(now_s))

    def handle(self, message: Message, now_s: float) -> None:
        """Take one raw record in, whatever it is."""
        offset = message.offset()
        _type, log_time_ms = message.timestamp()
        assert offset is not None  # noqa: S101  a consumed record has one; the type covers produced ones too
        replaying = self._assembler.replaying
        head: RawHead | None = None
        verdict: Verdict | None = None
        try:
            head = read_head(offset, log_time_ms, message.key(), message_headers(message))
            verdict = self._assembler.judge(head)
            if verdict is Verdict.MEMBER:
                self._assembler.join(decode_record(head, message.value()), now_s)
        except SchemaError as error:
            if not replaying:
                metrics.WINDOWS.labels(metrics.UNUSABLE).inc()
                self._reject(message, offset, head, error.reason, str(error))
        else:
            if not replaying:
                metrics.WINDOWS.labels(verdict.value).inc()
                if verdict in _REASONS:
                    self._reject(message, offset, head, *_REASONS[verdict])
        seen = None if verdict is Verdict.DUPLICATE else head
        self._take(self._assembler.passed(offset, log_time_ms, seen))

    def _reject(
        self, message: Message, offset: int, head: RawHead | None, reason: RejectReason, detail: str
    ) -> None:
        metrics.REJECTS.labels(reason.value).inc()
        key, value = message.key(), message.value() or b""
        headers = RejectHeaders(
            prefix=self._prefix,
            stage="grouper",
            source=head.headers.source if head else None,
            timestamp_us=head.timestamp_us if head else None,
            reason=reason,
            detail=detail,
            receive_time_us=head.headers.receive_time_us if head else time.time_ns() // 1000,
            total_bytes=len(value),
            truncated=len(value) > self._max_frame_bytes,
            digest=head.headers.digest if head else None,
            raw_partition=self.partition,
            raw_offset=offset,
        )
        # A frame is kept whole. What is larger is none, and with our headers could be more than the topic
        # takes: then no transaction would ever get past it.
        if key is not None and len(key) > _MAX_REJECT_KEY:
            key = None
        kept = value[: self._max_frame_bytes]
        self._pending.append(Reject(key, kept, headers, offset, self._assembler.missed))

    def _reject_gap(self, recovered: Recovered) -> None:
        metrics.REJECTS.labels(RejectReason.RAW_GAP.value).inc()
        headers = RejectHeaders(
            prefix=self._prefix,
            stage="grouper",
            source=None,
            timestamp_us=None,
            reason=RejectReason.RAW_GAP,
            detail=f"retention removed raw records from offset {recovered.lost_from} to "
            f"{recovered.position - 1}; up to {recovered.lost_offsets} of them are in no group",
            receive_time_us=time.time_ns() // 1000,
            total_bytes=0,
            truncated=False,
            raw_partition=self.partition,
            raw_offset=recovered.lost_from,
        )
        self._pending.append(Reject(None, b"", headers, self._assembler.read_to, self._assembler.missed))

    def _take(self, closed: tuple[ClosedGroup, ...]) -> None:
        for group in closed:
            metrics.NEAR_MISSES.inc(self._near_misses.closed(group))
            self._pending.append(group)

    def publication(self, max_bytes: int, max_groups: int) -> Publication | None:
        """Return the next transaction's worth, None where nothing is pending.

        What doesn't fit stays pending, and offset, `read_to` and silence of this transaction are those
        from before it: a restart closes or rejects it again, and nothing else.
        """
        if not self._pending:
            return None
        groups: list[ClosedGroup] = []
        rejects: list[Reject] = []
        size = taken = 0
        for item in self._pending:
            if taken and (size + item.size > max_bytes or taken >= max_groups):
                break
            size += item.size
            taken += 1
            (groups if isinstance(item, ClosedGroup) else rejects).append(item)  # type: ignore[arg-type]
        left = list(self._pending)[taken:]
        committed_offset, read_to, missed = (
            self._assembler.committed_offset,
            self._assembler.read_to,
            self._assembler.missed,
        )
        if left:
            read_to, missed = left[0].read_to, dict(left[0].missed)
            firsts = (item.first_offset for item in left if isinstance(item, ClosedGroup))
            committed_offset = min(committed_offset, read_to, *firsts)
        return Publication(self.partition, tuple(groups), tuple(rejects), committed_offset, read_to, missed)

    def progress(self, now_s: float, interval_s: float) -> Publication | None:
        """Return a transaction that commits the read position alone, where that is due."""
        now = (self._assembler.committed_offset, self._assembler.read_to)
        if self._pending or self._assembler.replaying or now == self._committed:
            return None
        if now_s - self._committed_s < interval_s:
            return None
        return Publication(self.partition, (), (), *now, self._assembler.missed)

    def published(self, publication: Publication, entry_offsets: tuple[int, ...]) -> None:
        """Take note that a transaction is committed."""
        for _ in range(len(publication.groups) + len(publication.rejects)):
            self._pending.popleft()
        now_us = time.time_ns() // 1000
        for group, entry_offset in zip(publication.groups, entry_offsets, strict=True):
            self._closed.published(group.timestamp_us, entry_offset)
            self.entries.add(entry_offset, max(member.offset for member in group.members))
            metrics.GROUPS.labels(group.closed_by.value).inc()
            for source in group.missing:
                metrics.MISSING.labels(source).inc()
            last_us = max(member.receive_time_us for member in group.members)
            metrics.LATENCY.observe(max(0, now_us - last_us) / 1e6)
        self._committed = (publication.committed_offset, publication.read_to)
        self._committed_s = time.monotonic()

    def show(self, now_s: float) -> None:
        """Bring the gauges up to date."""
        label = str(self.partition)
        metrics.OPEN_GROUPS.labels(label).set(self._assembler.open_groups)
        metrics.OPEN_BYTES.labels(label).set(self._assembler.open_bytes)
        metrics.OLDEST_OPEN.labels(label).set(self._assembler.oldest_open_s(now_s))
        metrics.SILENT.labels(label).set(len(self._assembler.silent_sources))

    def hide(self) -> None:
        """Take the gauges of a partition that is not owned any more away."""
        for gauge in (metrics.OPEN_GROUPS, metrics.OPEN_BYTES, metrics.OLDEST_OPEN, metrics.SILENT):
            gauge.remove(str(self.partition))
