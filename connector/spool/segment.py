"""A segment: two files, how far they are good, and what of them Kafka has."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connector.records import Record
from connector.spool.index import Title, entry_of

FRAMES_SUFFIX: Final = ".frames"
INDEX_SUFFIX: Final = ".index"
_DIGITS: Final = 20


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two entries of a segment.

    Attributes:
        frames: bytes of frames before it.
        index: bytes of the index before it.
    """

    frames: int
    index: int


class Segment:
    """What is known of a segment.

    Written to by whoever holds the source's spool; `settled` alone by the thread that hears from Kafka,
    which must wait for nobody.

    Attributes:
        number: its place among the source's segments.
        title: whose frames, and how they lie.
        frames_path: the file of frames.
        index_path: the file of the index.
        end: how far both are good; whatever lies behind it was not written to its end.
        read: what lies before it was handed to Kafka's client.
        entries: how many entries there are, as far as the index says.
        handed: how many records were handed over,
        settled: and how many of these Kafka has acknowledged.
        sealed: nothing will be added.
    """

    __slots__ = (
        "end",
        "entries",
        "frames_path",
        "handed",
        "index_path",
        "number",
        "read",
        "sealed",
        "settled",
        "title",
    )

    def __init__(self, folder: Path, number: int, title: Title) -> None:
        """Know of a segment without files yet; its first entry stands behind the title."""
        self.number = number
        self.title = title
        self.frames_path = folder / f"{number:0{_DIGITS}}{FRAMES_SUFFIX}"
        self.index_path = folder / f"{number:0{_DIGITS}}{INDEX_SUFFIX}"
        self.end = self.read = Position(0, len(title.encode()))
        self.entries = 0
        self.handed = 0
        self.settled = 0
        self.sealed = False

    @property
    def bytes(self) -> int:
        """What it takes on disk."""
        return self.end.frames + self.end.index

    @property
    def drained(self) -> bool:
        """Whether all that is in it has been handed over."""
        return self.read == self.end

    @property
    def acknowledged(self) -> bool:
        """Whether Kafka has all that is in it."""
        return self.drained and self.settled == self.handed


class SegmentWriter:
    """Adds to a segment. Each entry's line is written before its frame.

    So a kill between the two leaves a line too much, which is harmless, and never a frame without its time
    of arrival. An entry whose writing failed is written again in the same place.
    """

    def __init__(self, segment: Segment, *, fsync: bool) -> None:
        """Create the files.

        Args:
            segment: without files yet.
            fsync: have each entry on the medium before `append` returns.

        Raises:
            OSError: the disk is full or broken; there may be files without entries.
        """
        self.segment = segment
        self._fsync = fsync
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._frames = os.open(segment.frames_path, flags, 0o640)
        self._index = -1
        try:
            self._index = os.open(segment.index_path, flags, 0o640)
            _write(self._index, segment.title.encode(), 0)
            if fsync:
                _sync_folder(segment.frames_path.parent)
        except BaseException:
            self.close()
            raise

    def append(self, record: Record) -> int:
        """Add a record; the bytes that were written.

        Raises:
            OSError: nothing was added.
        """
        segment = self.segment
        entry, frame = entry_of(record, segment.end.frames)
        line = entry.encode()
        try:
            _write(self._index, line, segment.end.index)
            if frame:
                _write(self._frames, frame, segment.end.frames)
            if self._fsync:
                os.fdatasync(self._index)
                os.fdatasync(self._frames)
        except OSError:
            self._cut()
            raise
        segment.end = Position(segment.end.frames + len(frame), segment.end.index + len(line))
        segment.entries += 1
        return len(frame) + len(line)

    def close(self) -> None:
        """Close the files."""
        os.close(self._frames)
        if self._index >= 0:
            os.close(self._index)

    def _cut(self) -> None:
        """Take back what was half written. If not even that works, the next start does it."""
        try:
            os.ftruncate(self._frames, self.segment.end.frames)
            os.ftruncate(self._index, self.segment.end.index)
        except OSError:
            pass


def _write(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of it: a disk that fills up takes a part first, and then says so."""
    written = os.pwrite(descriptor, data, offset)
    while written < len(data):
        with memoryview(data) as whole:
            written += os.pwrite(descriptor, whole[written:], offset + written)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
