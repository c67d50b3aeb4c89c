"""The way of one source's records through memory and disk to Kafka, in their order."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connector.back_pressure import BackPressure
from connector.metrics import SourceCounts
from connector.outlet import QUEUE_FULL, Outlet
from connector.records import Record
from connector.seldom import Seldom
from connector.spool.bound import Bound
from connector.spool.metrics import Operation, SpoolCounts
from connector.spool.segment import Segment
from connector.spool.source_spool import SourceSpool
from connector.steps import OnStep, Step
from runtime.logs import get_logger
from schemas.errors import RejectReason
from schemas.record_headers import RejectHeaders

log = get_logger(__name__)

# In a flood the queue is full all the time, for milliseconds: the server may wait as long as that. When
# Kafka is away, this is waited for once, since later frames stand behind the first one on disk.
_SPILL_AFTER_S: Final = 0.2
_RETRY_S: Final = 0.5  # after the disk refused
_ERROR_LINES_S: Final = 10.0
# Handed over in one go from disk; between two of them the source's own thread gets its turn.
_FEED_RECORDS: Final = 64
_FEED_BYTES: Final = 8 * 1024**2

_SPOOL_FULL: Final = "the spool is full (spool_max_bytes; is Kafka away, or too slow?)"
_DISK_REFUSES: Final = "the spool can't be written"


@dataclass(frozen=True, slots=True)
class Ways:
    """What all lanes share.

    Attributes:
        wait_for_room: waits a moment for Kafka; False where it is of no more use, since the process ends.
        bound: of all spools together.
        stopping: set once no more is read.
        wake: called when there is something to be read back from disk.
        on_step: told of the steps of each record.
        through: each record goes to disk first; else only where the queue is full.
    """

    wait_for_room: Callable[[], bool]
    bound: Bound
    stopping: threading.Event
    wake: Callable[[], None]
    on_step: OnStep
    through: bool


class Lane:
    """Takes records from the source's thread (`publish`), and from disk in the feeder's (`feed`, `release`).

    A record overtakes no other: it is handed over from memory only while nothing before it is left on disk.
    What is on disk stays there until Kafka has acknowledged all of its segment.
    """

    def __init__(
        self, folder: Path, spool: SourceSpool, counts: SpoolCounts, outlet: Outlet, ways: Ways
    ) -> None:
        """Take over a source's spool, with what is in it.

        Args:
            folder: of the source, removed in the end if it is empty.
            spool: in it.
            counts: of it.
            outlet: the source's way into Kafka's client.
            ways: what all lanes share.
        """
        self.outlet = outlet
        self.spool = spool
        self._folder = folder
        self._counts = counts
        self._ways = ways
        self._lock = threading.Lock()  # of the spool, and of the outlet's order
        self._reserved: Segment | None = None  # for records in memory alone, if these are the latest
        self._obstacle = QUEUE_FULL
        self._retry_at_s = 0.0  # after the disk refused; of the monotonic clock
        self._read_again_at_s = 0.0
        self._released: list[Segment] = []  # Kafka has them, to be deleted
        self._error_lines = Seldom(_ERROR_LINES_S)

    @property
    def counts(self) -> SourceCounts:
        """Of the source."""
        return self.outlet.counts

    @property
    def waiting_bytes(self) -> int:
        """How much of the source is in memory and not acknowledged."""
        return self.outlet.waiting_bytes

    @property
    def backlog(self) -> bool:
        """Whether anything on disk is to be handed over."""
        with self._lock:
            return self.spool.backlog

    @property
    def busy(self) -> bool:
        """Whether anything is on its way that Kafka has not acknowledged."""
        return self.spool.entries > 0 or self.outlet.waiting_records > 0

    def publish(self, record: Record) -> None:
        """Take a record, and wait as long as it has no place, and then as long as the next would have none.

        Meanwhile nobody reads the socket. When the process ends and even the disk does not take it, the
        record counts as waiting for ever, and the close reports it.
        """
        self._step(Step.BEFORE_APPEND, record)
        if not self._take(record):
            with self._back_pressure() as pressure:
                while pressure.turn(self._ways.wait_for_room, self._obstacle):
                    if self._take(record, pressure.waited_s):
                        break
                else:
                    if not self._take(record, last=True):
                        self.outlet.give_up(record)
                        return
        if not self._next_has_room():
            with self._back_pressure() as pressure:
                while not self._next_has_room() and pressure.turn(self._ways.wait_for_room, _SPOOL_FULL):
                    pass

    def feed(self) -> bool:
        """Hand over some of what is left on disk; whether there was any, and room for it."""
        if time.monotonic() < self._read_again_at_s:
            return False
        left_bytes = _FEED_BYTES
        with self._lock:
            for _ in range(_FEED_RECORDS):
                try:
                    item = self.spool.next()
                except OSError as error:
                    self._read_again_at_s = time.monotonic() + _RETRY_S
                    self._refused(Operation.READ, error)
                    return False
                if item is None or left_bytes <= 0:
                    return left_bytes < _FEED_BYTES
                record, segment, damaged_bytes = item
                if not self.outlet.offer(record, segment):
                    return False
                self.spool.handed()
                self._step(Step.AFTER_PRODUCE, record)
                self._counts.read_records.add()
                if damaged_bytes:
                    self._damaged(record, damaged_bytes)
                left_bytes -= len(record.value)
        return True

    def release(self) -> None:
        """Delete the segments of which Kafka has all. Where that fails, it is tried again."""
        with self._lock:
            self._released += self.spool.take_acknowledged()
        while self._released:
            segment = self._released[0]
            try:
                segment.frames_path.unlink(missing_ok=True)
                self._ways.on_step(Step.RELEASING, self.outlet.source, None)
                segment.index_path.unlink(missing_ok=True)
            except OSError as error:
                self._refused(Operation.DELETE, error)
                return
            del self._released[0]
            self._ways.bound.add(-segment.bytes)

    def close(self, unacknowledged: Sequence[Record]) -> int:
        """After everything has ended: keep on disk what Kafka does not have; how much could not be kept.

        Args:
            unacknowledged: records that were handed over.
        """
        in_memory: dict[Segment, list[Record]] = {}
        for record in sorted(unacknowledged, key=_number):
            keeper = None if record.standing is None else record.standing.keeper
            if isinstance(keeper, Segment) and not keeper.entries:
                in_memory.setdefault(keeper, []).append(record)
        saved = 0
        for segment, records in in_memory.items():
            try:
                written_bytes = self.spool.write_reserved(segment, records)
            except OSError as error:
                self._refused(Operation.WRITE, error)
            else:
                self._wrote(written_bytes, len(records))
                saved += len(records)
        self.spool.close()
        self.release()
        with suppress(OSError):
            self._folder.rmdir()  # if it is empty
        kept = len(unacknowledged) - sum(map(len, in_memory.values())) + saved
        return self.outlet.waiting_records - kept

    def _take(self, record: Record, waited_s: float = 0.0, *, last: bool = False) -> bool:
        """Find a place for a record; False where there is none now, for the reason in `_obstacle`."""
        ways = self._ways
        with self._lock:
            behind = self.spool.backlog
            if not ways.through and not behind:
                if self.outlet.offer(record, self._memory()):
                    self._step(Step.AFTER_PRODUCE, record)
                    return True
                if waited_s < _SPILL_AFTER_S and not last:
                    self._obstacle = QUEUE_FULL
                    return False
            if not (ways.bound.room or ways.stopping.is_set() or last):
                self._obstacle = _SPOOL_FULL
                return False
            segment = self._append(record)
            if segment is None:
                self._obstacle = _DISK_REFUSES
                return False
            self._step(Step.AFTER_APPEND, record)
            if not behind and self.outlet.offer(record, segment):
                self.spool.pass_by()
                self._step(Step.AFTER_PRODUCE, record)
                return True
        ways.wake()
        return True

    def _memory(self) -> Segment:
        """The place on disk that is kept for records in memory, behind all that are on disk by now."""
        if self._reserved is None:
            self._reserved = self.spool.reserve()
        return self._reserved

    def _append(self, record: Record) -> Segment | None:
        if time.monotonic() < self._retry_at_s:
            return None
        try:
            segment, written_bytes = self.spool.append(record)
        except OSError as error:
            self._retry_at_s = time.monotonic() + _RETRY_S
            self._refused(Operation.WRITE, error)
            return None
        self._reserved = None
        self._wrote(written_bytes, 1)
        if self._retry_at_s:
            self._retry_at_s = 0.0
            log.info("the spool can be written again", source=self.outlet.source)
        return segment

    def _next_has_room(self) -> bool:
        ways = self._ways
        if ways.bound.room or ways.stopping.is_set():
            return True
        with self._lock:
            return not ways.through and not self.spool.backlog

    def _back_pressure(self) -> BackPressure:
        outlet = self.outlet
        return BackPressure(outlet.source, outlet.counts, lambda: outlet.waiting_bytes)

    def _step(self, step: Step, record: Record) -> None:
        self._ways.on_step(step, self.outlet.source, record.headers.digest)

    def _wrote(self, size: int, records: int) -> None:
        self._counts.written_bytes.add(size)
        self._counts.written_records.add(records)

    def _refused(self, operation: Operation, error: OSError) -> None:
        self._counts.disk_errors[operation].add()
        untold = self._error_lines.due(time.monotonic())
        if untold is not None:
            log.error(
                "the disk refuses; it is tried again, and nothing is discarded",
                source=self.outlet.source,
                operation=operation.value,
                folder=str(self._folder),
                cause=error.strerror or str(error),
                not_logged_before=untold,
            )

    def _damaged(self, record: Record, size: int) -> None:
        self._counts.damaged_bytes.add(size)
        self.outlet.counts.reject(RejectReason.DAMAGED)
        if isinstance(record.headers, RejectHeaders):
            log.error(
                "the spool gives back other bytes than were written; they are rejected",
                source=self.outlet.source,
                bytes=size,
                detail=record.headers.detail,
            )


def _number(record: Record) -> int:
    return -1 if record.standing is None else record.standing.number
