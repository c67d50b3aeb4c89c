"""One owned raw partition: its records through the rules, and what is waiting to be published."""

import time
from collections import deque

from confluent_kafka import Message

from grouper import metrics
from grouper.assembler import Assembler
from grouper.encoding import Encoder
from grouper.entry_index import EntryIndex
from grouper.errors import RawGoneError, SessionLostError
from grouper.near_miss import NearMisses
from grouper.publication import Publication, Reject
from grouper.raw_log import RawAgain
from grouper.raw_record import RawHead, decode_record, read_head
from grouper.recovery import Recovered
from grouper.rejection import REASONS, Rejection
from grouper.rules import FIRST_REVISION, ClosedGroup, Rules, Verdict
from runtime.logs import get_logger
from runtime.message_headers import message_headers
from schemas.errors import RejectReason, SchemaError

log = get_logger(__name__)


class Partition:
    """The grouping state of one owned raw partition, from assignment to revocation."""

    def __init__(
        self,
        partition: int,
        rules: Rules,
        recovered: Recovered,
        raw: RawAgain,
        *,
        prefix: str,
        max_frame_bytes: int,
    ) -> None:
        """Go on where an earlier life was.

        Args:
            partition: its number.
            rules: of grouping.
            recovered: what the earlier life left.
            raw: reads the windows of a group again that is to be repaired.
            prefix: of the topics.
            max_frame_bytes: what is larger is no frame.
        """
        self.partition = partition
        self._rejection = Rejection(prefix, partition, max_frame_bytes)
        self.entries: EntryIndex = recovered.entries
        self._closed = recovered.closed
        self._assembler = Assembler(
            rules,
            recovered.closed,
            raw,
            position=recovered.position,
            read_to=recovered.read_to,
            missed=recovered.missed,
            waiting=recovered.waiting,
        )
        self._raw = raw
        self._encoder = Encoder()
        self._pending: deque[ClosedGroup | Reject] = deque()
        self._near_misses = NearMisses()
        self._committed = (recovered.position, recovered.read_to)
        self._committed_s = time.monotonic()
        if recovered.lost_offsets:
            metrics.REJECTS.labels(RejectReason.RAW_GAP.value).inc()
            gap = (recovered.lost_from, recovered.position, recovered.lost_offsets)
            self._pending.append(self._rejection.of_gap(*gap, self._state))

    @property
    def read_to(self) -> int:
        """One past the highest raw offset handled."""
        return self._assembler.read_to

    @property
    def has_pending(self) -> bool:
        """Whether something is closed or rejected and not yet published."""
        return bool(self._pending)

    @property
    def open_groups(self) -> int:
        """How many groups are open."""
        return self._assembler.open_groups

    def quiet_due(self, now_s: float, there_since_s: float) -> bool:
        """Whether rule 4 waits only for the word that nothing is unread."""
        return self._assembler.quiet_due(now_s, there_since_s)

    def close_quiet(self, now_s: float, there_since_s: float) -> None:
        """Close by rule 4; the end offset was asked for after `now_s` and nothing is unread."""
        self._take(self._assembler.close_quiet(now_s, there_since_s))

    def handle(self, message: Message, now_s: float) -> None:
        """Take one raw record in, whatever it is."""
        offset = message.offset()
        _type, log_time_ms = message.timestamp()
        assert offset is not None  # noqa: S101  a consumed record has one; the type covers produced ones too
        replaying, settled = self._assembler.replaying, self._assembler.settled(offset)
        head: RawHead | None = None
        verdict: Verdict | None = None
        try:
            head = read_head(offset, log_time_ms, message.key(), message_headers(message))
            verdict = self._assembler.judge(head)
            if verdict.joins:
                self._assembler.join(decode_record(head, message.value(), self._encoder.start), now_s)
        except SchemaError as error:
            if not settled:
                metrics.WINDOWS.labels(metrics.UNUSABLE).inc()
                self._reject(message, offset, head, (error.reason, str(error)))
        else:
            # What waited in an open group was counted when it came first; but with other settings than
            # then it may be unusable now, and this is where that is said.
            if not settled and not (replaying and verdict.joins):
                metrics.WINDOWS.labels(verdict.value).inc()
                if verdict in REASONS:
                    self._reject(message, offset, head, REASONS[verdict])
        seen = None if verdict is Verdict.DUPLICATE else head
        self._take(self._assembler.passed(offset, log_time_ms, seen))

    def _reject(
        self, message: Message, offset: int, head: RawHead | None, why: tuple[RejectReason, str]
    ) -> None:
        metrics.REJECTS.labels(why[0].value).inc()
        self._pending.append(self._rejection.of_record(message, offset, head, why, self._state))

    @property
    def _state(self) -> tuple[int, dict[str, int]]:
        return self._assembler.read_to, self._assembler.missed

    def _take(self, closed: tuple[ClosedGroup, ...]) -> None:
        for group in closed:
            if group.revision == FIRST_REVISION:
                metrics.NEAR_MISSES.inc(self._near_misses.closed(group))
            self._pending.append(group)

    def _read_again(self, group: ClosedGroup) -> ClosedGroup:
        """A group to be repaired with the members it was published with, read again from raw.

        Raises:
            SessionLostError: raw no longer has them, though it reaches back far enough. The late windows are
                rejected when the partition's state is read anew.
            KafkaException: Kafka did not answer.
        """
        try:
            return group.restored(self._raw.read(group.timestamp_us, group.published))
        except RawGoneError as error:
            raise SessionLostError(self.partition, str(error)) from error

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
        for index, item in enumerate(self._pending):
            if taken and (size >= max_bytes or taken >= max_groups):
                break
            if isinstance(item, ClosedGroup) and item.published:
                # Here and not before, so that memory holds no more of them than a transaction, and one.
                item = self._pending[index] = self._read_again(item)  # noqa: PLW2901
            if taken and size + item.size > max_bytes:
                break
            size += item.size
            taken += 1
            if isinstance(item, ClosedGroup):
                groups.append(item)
            else:
                rejects.append(item)
        return self._publication(tuple(groups), tuple(rejects), tuple(self._pending)[taken:])

    def _publication(
        self,
        groups: tuple[ClosedGroup, ...],
        rejects: tuple[Reject, ...],
        left: tuple[ClosedGroup | Reject, ...],
    ) -> Publication:
        now = self._assembler
        committed_offset, read_to, missed, waiting = (
            now.committed_offset,
            now.read_to,
            now.missed,
            now.waiting,
        )
        if left:
            read_to, missed = left[0].read_to, dict(left[0].missed)
            needed = {offset for item in left for offset in _needed(item)}
            committed_offset = min(committed_offset, read_to, *needed)
            if waiting is not None:
                waiting = frozenset(offset for offset in waiting | needed if offset < read_to)
        return Publication(self.partition, groups, rejects, committed_offset, read_to, missed, waiting)

    def progress(self, now_s: float, interval_s: float) -> Publication | None:
        """Return a transaction that commits the read position alone, where that is due."""
        now = (self._assembler.committed_offset, self._assembler.read_to)
        if self._pending or self._assembler.replaying or now == self._committed:
            return None
        if now_s - self._committed_s < interval_s:
            return None
        return self._publication((), (), ())

    def published(self, publication: Publication, entry_offsets: tuple[int, ...]) -> None:
        """Take note that a transaction is committed."""
        for _ in range(len(publication.groups) + len(publication.rejects)):
            self._pending.popleft()
        now_us = time.time_ns() // 1000
        for group, entry_offset in zip(publication.groups, entry_offsets, strict=True):
            self._closed.published(group.timestamp_us, group.revision, entry_offset)
            self.entries.add(entry_offset, max(member.offset for member in group.members))
            if group.revision > FIRST_REVISION:
                metrics.REPAIRS.inc()
                continue
            metrics.GROUPS.labels(group.closed_by.value).inc()
            metrics.COMPLETE.inc(group.complete)
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

    def close(self) -> None:
        """The partition is not owned any more: end its thread, and take its gauges away."""
        self._encoder.close()
        for gauge in (metrics.OPEN_GROUPS, metrics.OPEN_BYTES, metrics.OLDEST_OPEN, metrics.SILENT):
            gauge.remove(str(self.partition))


def _needed(item: ClosedGroup | Reject) -> tuple[int, ...]:
    """The raw offsets that have to be read again where a crash comes before this is published."""
    if isinstance(item, ClosedGroup):
        return item.joined
    return () if item.headers.raw_offset is None else (item.headers.raw_offset,)
