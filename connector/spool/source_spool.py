"""The spool of one source: records go in at one end and come out at the other, in order."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from connector.records import Record
from connector.spool.bound import Bound
from connector.spool.index import Title
from connector.spool.reader import Item, SegmentReader
from connector.spool.segment import Segment, SegmentWriter
from schemas.frame import FrameLimits
from schemas.topics import TopicNames


class SourceSpool:
    """Segments of one source, oldest first; the last one may be written to.

    Two ways lead to Kafka: a record just appended may be handed over from memory (`pass_by`) as long as
    nothing before it is left; else all come back from disk (`next`, `handed`). Either way the segment counts
    it, and what Kafka has acknowledged is counted in `Segment.settled`; segments of which Kafka has all are
    given out by `take_acknowledged`, to be deleted.

    For one thread at a time, but for `Segment.settled`. It never deletes anything itself.
    """

    def __init__(
        self,
        folder: Path,
        title: Title,
        found: Sequence[Segment],
        *,
        names: TopicNames,
        max_future_s: float,
        limits: FrameLimits,
        segment_bytes: int,
        fsync: bool,
        bound: Bound,
    ) -> None:
        """Take over what an earlier run left; it is counted in the bound.

        Args:
            folder: of the source; exists.
            title: of new segments.
            found: in the folder.
            names: of the topics.
            max_future_s: how far DATE-OBS may be ahead of the time of arrival.
            limits: of frames.
            segment_bytes: a segment this large is not added to.
            fsync: have each record on the medium before `append` returns.
            bound: of all sources.
        """
        self._folder = folder
        self._title = title
        self._names = names
        self._max_future_s = max_future_s
        self._limits = limits
        self._segment_bytes = segment_bytes
        self._fsync = fsync
        self._bound = bound
        self._segments = deque(found)
        self._unread = deque(self._segments)
        self._writer: SegmentWriter | None = None
        self._next_number = self._segments[-1].number + 1 if self._segments else 1
        self._reader: SegmentReader | None = None
        self._item: Item | None = None
        self._bound.add(self.bytes)

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return sum(segment.bytes for segment in list(self._segments))

    @property
    def entries(self) -> int:
        """Records on disk that Kafka has not acknowledged."""
        return sum(max(segment.entries - segment.settled, 0) for segment in list(self._segments))

    @property
    def segments(self) -> int:
        """Segments on disk."""
        return len(self._segments)

    @property
    def backlog(self) -> bool:
        """Whether anything is left that was not handed over."""
        while self._unread and self._unread[0].drained:
            if not self._unread[0].sealed:
                return False
            self._unread.popleft()
            self._close_reader()
        return bool(self._unread)

    def append(self, record: Record) -> tuple[Segment, int]:
        """Add a record at the end; the segment that has it, and the bytes that were written.

        Raises:
            OSError: nothing was added; the disk is full or broken.
        """
        if self._writer is not None and self._writer.segment.bytes >= self._segment_bytes:
            self._seal()
        if self._writer is None:
            segment = Segment(self._folder, self._next_number, self._title)
            self._writer = SegmentWriter(segment, fsync=self._fsync)
            self._next_number += 1
            self._segments.append(segment)
            self._unread.append(segment)
            self._bound.add(segment.bytes)
        size = self._writer.append(record)
        self._bound.add(size)
        return self._writer.segment, size

    def pass_by(self) -> None:
        """The record just appended, before which nothing is left, is handed over from memory."""
        segment = self._segments[-1]
        segment.handed += 1
        segment.read = segment.end
        self._close_reader()  # it would give it once more

    def next(self) -> tuple[Record, Segment, int] | None:
        """The first record that is left, its segment, and how many bytes of it are damaged.

        The same one until `handed` is called; None where there is none.

        Raises:
            OSError: the disk can't be read. Nothing is passed over.
        """
        while self._item is None and self.backlog:
            try:
                if self._reader is None:
                    self._reader = SegmentReader(
                        self._unread[0], self._names, self._max_future_s, self._limits
                    )
                self._item = self._reader.next()
                if self._item is None and not self._unread[0].drained:
                    self._seal()  # damage: only behind its end it is sure that nothing more is a frame
            except OSError:
                self._close_reader()
                raise
        return None if self._item is None else (self._item.record, self._unread[0], self._item.damaged_bytes)

    def handed(self) -> None:
        """The record of `next` is handed over."""
        if self._item is not None:
            self._unread[0].handed += 1
            self._unread[0].read = self._item.after
            self._item = None

    def reserve(self) -> Segment:
        """A segment without files for records that are in memory alone: later ones stand behind it."""
        self._seal()
        segment = Segment(self._folder, self._next_number, self._title)
        self._next_number += 1
        return segment

    def write_reserved(self, segment: Segment, records: Sequence[Record]) -> int:
        """Write records to the place that was kept for them, at a stop; the bytes that were written.

        Raises:
            OSError: the disk is full or broken; some of them may be there.
        """
        writer = SegmentWriter(segment, fsync=self._fsync)
        try:
            return sum(writer.append(record) for record in records)
        finally:
            writer.close()
            segment.sealed = True
            segment.settled = 0  # those that Kafka has acknowledged are not among them
            self._segments.append(segment)
            self._bound.add(segment.bytes)

    def take_acknowledged(self) -> list[Segment]:
        """The segments of which Kafka has all. They count no more; they are to be deleted."""
        active = None if self._writer is None else self._writer.segment
        if active is not None and active.entries and active.acknowledged:
            self._seal()
        acknowledged = [s for s in self._segments if s.sealed and s.acknowledged]
        for segment in acknowledged:
            self._segments.remove(segment)
        if acknowledged and self._unread and self._unread[0] in acknowledged:
            self._unread.popleft()
            self._close_reader()
        return acknowledged

    def close(self) -> None:
        """Close the files; all that is not acknowledged stays."""
        self._seal()
        self._close_reader()

    def _seal(self) -> None:
        if self._writer is not None:
            self._writer.segment.sealed = True
            self._writer.close()
            self._writer = None

    def _close_reader(self) -> None:
        self._item = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None
