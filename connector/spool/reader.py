"""Reads a segment: its frames through the decoder, as from a socket, with what the index says of each."""

import os
from dataclasses import dataclass
from typing import Final

from connector.records import Record, RecordMaker
from connector.spool.index import Entry, FrameEntry, RejectEntry, read_entry
from connector.spool.segment import Position, Segment
from schemas.frame import HEADER_SIZE, Frame, FrameDecoder, FrameLimits, Skipped
from schemas.topics import TopicNames

_INDEX_READ: Final = 64 * 1024
_NO_BOUND: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Item:
    """What the segment gives next.

    Attributes:
        record: of a frame or of a reject, as it was made when it was read; or of damaged bytes.
        after: the position behind it.
        damaged_bytes: of it, what can't be trusted or is no frame any more.
    """

    record: Record
    after: Position
    damaged_bytes: int = 0


class SegmentReader:
    """Goes through one segment, as far as it is good at the time; more may be added meanwhile.

    Nothing is taken from memory, so what it gives is what a process after this one would find. A frame
    whose bytes are not those that were written (its digest says so) goes to rejects, and bytes in which no
    frame is found any more likewise.
    """

    def __init__(self, segment: Segment, names: TopicNames, max_future_s: float, limits: FrameLimits) -> None:
        """Open its files, to go on where it was read to.

        Args:
            segment: what is read.
            names: of the topics.
            max_future_s: how far DATE-OBS may be ahead of the time of arrival.
            limits: of frames. No frame that is already here is refused for its size.

        Raises:
            OSError: they can't be opened.
        """
        self._segment = segment
        self._maker = RecordMaker(segment.title, names, max_future_s=max_future_s)
        self._frames = os.open(segment.frames_path, os.O_RDONLY | os.O_CLOEXEC)
        self._index: int | None = None
        try:
            self._index = os.open(segment.index_path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            pass  # the frames say most of it themselves
        except BaseException:
            os.close(self._frames)
            raise
        self._limits = FrameLimits(
            max_fits_bytes=max(limits.max_fits_bytes, FrameLimits().max_fits_bytes),
            max_frame_bytes=max(limits.max_frame_bytes, segment.end.frames, HEADER_SIZE + 1),
            max_resync_bytes=_NO_BOUND,
            max_reject_bytes=limits.max_reject_bytes,
        )
        self._decoder = FrameDecoder(self._limits)
        self._given = segment.read.frames  # to the decoder
        self._at = segment.read.frames  # where the next event begins
        self._event: Frame | Skipped | None = None
        self._closed = False
        # The index from _line_at on, as far as it has been read.
        self._lines = bytearray()
        self._line_at = segment.read.index
        self._entry: Entry | None = None  # what stands there
        # When a frame came of which no line is left: not after the last one was written.
        self._receive_time_us = os.fstat(self._frames).st_mtime_ns // 1000

    def close(self) -> None:
        """Close the files."""
        os.close(self._frames)
        if self._index is not None:
            os.close(self._index)

    def next(self) -> Item | None:
        """The next item; None where there is none up to the segment's present end.

        Raises:
            OSError: the disk can't be read. This reader is of no more use; another one goes on at
                `segment.read`.
        """
        while True:
            event, entry = self._next_event(), self._next_entry()
            if isinstance(entry, RejectEntry) and (event is None or entry.offset <= self._at):
                self._pass_line()
                return Item(self._maker.reject_again(entry.headers, entry.data), self._position)
            if isinstance(event, Skipped):
                return self._damaged(event)
            if isinstance(event, Frame) and (entry is None or entry.offset >= self._at):
                return self._frame(event, entry)
            if entry is None:
                if self._closed:
                    self._segment.read = self._segment.end  # lines that were damaged are of nothing
                return None
            self._pass_line()  # of a frame that is damaged

    @property
    def _position(self) -> Position:
        return Position(self._at, self._line_at)

    def _frame(self, frame: Frame, entry: Entry | None) -> Item:
        known = entry if isinstance(entry, FrameEntry) and entry.offset == self._at else None
        self._event = None
        self._at += len(frame.data)
        if known is None:
            return Item(self._maker.frame(frame, self._receive_time_us), self._position)
        self._pass_line()
        self._receive_time_us = known.receive_time_us
        record = self._maker.frame(frame, known.receive_time_us)
        if record.headers.digest == known.digest:
            return Item(record, self._position)
        record = self._maker.damaged(
            frame.data,
            len(frame.data),
            f"not the frame that was written to {self._segment.frames_path.name} of the spool, whose digest "
            f"was {known.digest}",
            known.receive_time_us,
        )
        return Item(record, self._position, len(frame.data))

    def _damaged(self, skipped: Skipped) -> Item:
        self._event = None
        self._at += skipped.total_bytes
        record = self._maker.damaged(
            skipped.data,
            skipped.total_bytes,
            f"in {self._segment.frames_path.name} of the spool: {skipped.detail}",
            self._receive_time_us,
        )
        return Item(record, self._position, skipped.total_bytes)

    def _next_event(self) -> Frame | Skipped | None:
        while self._event is None:
            self._event = self._decoder.close() if self._closed else None
            self._event = self._event or self._decoder.next_event()
            if self._event is None and not self._read_on():
                return None
        return self._event

    def _read_on(self) -> bool:
        """Give the decoder more; whether there was any, or its end."""
        left = self._segment.end.frames - self._given
        if left > 0:
            with self._decoder.get_buffer()[:left] as part:
                size = os.preadv(self._frames, [part], self._given)
            if size == 0:
                raise OSError(f"{self._segment.frames_path} is shorter than it was")
            self._decoder.received(size)
            self._given += size
            return True
        if self._segment.sealed and not self._closed:
            self._closed = True
            return True
        return False

    def _next_entry(self) -> Entry | None:
        """The entry at `_line_at`; damaged lines are passed over."""
        while self._entry is None and (line := self._next_line()) is not None:
            self._entry = read_entry(line, self._segment.title)
            if self._entry is None:
                self._pass_line()
        return self._entry

    def _next_line(self) -> bytes | None:
        if self._index is None:
            return None
        searched = 0
        while (end := self._lines.find(b"\n", searched)) < 0:
            searched = len(self._lines)
            begin = self._line_at + searched
            wanted = min(_INDEX_READ, self._segment.end.index - begin)
            part = os.pread(self._index, wanted, begin) if wanted > 0 else b""
            if not part:
                return None
            self._lines += part
        return bytes(self._lines[: end + 1])

    def _pass_line(self) -> None:
        size = self._lines.find(b"\n") + 1
        del self._lines[:size]
        self._line_at += size
        self._entry = None
