"""What a start finds: segments that an earlier run left, and where their last entry was not finished."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connector.spool.index import FrameEntry, Title, read_entry, read_title
from connector.spool.segment import FRAMES_SUFFIX, INDEX_SUFFIX, Position, Segment
from schemas.frame import Frame, FrameDecoder, FrameLimits, Skipped

_NO_BOUND: Final = 1 << 62
_MAX_FRAME_BYTES: Final = 1 << 30  # a torn frame is longer than what is there of it


@dataclass(frozen=True, slots=True)
class Found:
    """What an earlier run left of a source.

    Attributes:
        segments: in order; nothing of them counts as handed over.
        torn: segments whose last frame was not written to its end,
        torn_bytes: and how much of such frames there was. It is cut off.
        untitled: segments whose index does not say whose they are; those who ask know.
    """

    segments: tuple[Segment, ...]
    torn: int
    torn_bytes: int
    untitled: int


def find_segments(folder: Path, title: Title) -> Found:
    """Look into a source's folder; empty segments, and what a cut deletion left, are removed.

    Args:
        folder: of the source.
        title: what counts where an index does not say.

    Raises:
        OSError: the disk can't be read or written.
    """
    for index in folder.glob(f"*{INDEX_SUFFIX}"):
        if not index.with_suffix(FRAMES_SUFFIX).exists():
            index.unlink()  # frames are deleted first, so Kafka has them
    paths = sorted(path for path in folder.glob(f"*{FRAMES_SUFFIX}") if path.stem.isdecimal())
    recovered = [_recover(folder, int(path.stem), title) for path in paths]
    for each in recovered:
        if not each.segment.entries and not each.segment.end.frames:
            each.segment.frames_path.unlink()
            each.segment.index_path.unlink(missing_ok=True)
    return Found(
        tuple(each.segment for each in recovered if each.segment.frames_path.exists()),
        sum(each.torn_bytes > 0 for each in recovered),
        sum(each.torn_bytes for each in recovered),
        sum(not each.titled for each in recovered if each.segment.frames_path.exists()),
    )


@dataclass(frozen=True, slots=True)
class _Recovered:
    segment: Segment
    torn_bytes: int
    titled: bool


def _recover(folder: Path, number: int, title: Title) -> _Recovered:
    lines = _lines(Segment(folder, number, title).index_path)
    written = read_title(lines[0]) if lines else None
    segment = Segment(folder, number, written or title)
    segment.sealed = True
    frames_bytes = segment.frames_path.stat().st_size
    known = _known_end(lines, segment.title, frames_bytes)
    tail = _read_tail(segment.frames_path, known, frames_bytes)
    if tail.torn_bytes:
        os.truncate(segment.frames_path, frames_bytes - tail.torn_bytes)
    _cut_index(segment.index_path, lines, segment.title, frames_bytes - tail.torn_bytes)
    segment.end = Position(frames_bytes - tail.torn_bytes, sum(map(len, lines)))
    segment.read = Position(0, len(lines[0]) if written is not None else 0)
    segment.entries = max(len(lines) - 1, 0) + tail.frames
    return _Recovered(segment, tail.torn_bytes, written is not None)


def _lines(path: Path) -> list[bytes]:
    """The lines; one that was not written to its end is cut off."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
        os.truncate(path, sum(map(len, lines)))
    return lines


def _known_end(lines: list[bytes], title: Title, frames_bytes: int) -> int:
    """Where the last frame ends that has a line and is there whole."""
    for line in reversed(lines):
        entry = read_entry(line, title)
        if isinstance(entry, FrameEntry) and entry.offset + entry.size <= frames_bytes:
            return entry.offset + entry.size
    return 0


def _cut_index(path: Path, lines: list[bytes], title: Title, frames_bytes: int) -> None:
    """Take off the last lines that are of a frame which is not there: a kill came between the two."""
    count = len(lines)
    while count > 1:
        entry = read_entry(lines[count - 1], title)
        if not isinstance(entry, FrameEntry) or entry.offset + entry.size <= frames_bytes:
            break
        count -= 1
    if count < len(lines):
        del lines[count:]
        os.truncate(path, sum(map(len, lines)))


@dataclass(frozen=True, slots=True)
class _Tail:
    frames: int
    torn_bytes: int


def _read_tail(path: Path, begin: int, end: int) -> _Tail:
    """What stands behind the last frame that has a line: frames whose lines are lost, a torn one, damage.

    Damage is left where it is, for whoever reads the segment; only what an unfinished frame left is torn.
    """
    if begin >= end:
        return _Tail(0, 0)
    decoder = FrameDecoder(FrameLimits(max_frame_bytes=_MAX_FRAME_BYTES, max_resync_bytes=_NO_BOUND))
    frames = covered = 0
    with path.open("rb", buffering=0) as file:
        file.seek(begin)
        while size := file.readinto(decoder.get_buffer()):
            decoder.received(size)
            while (event := decoder.next_event()) is not None:
                frames += isinstance(event, Frame)
                covered += _size(event)
    swallowed = False
    event = decoder.close()
    while event is not None:
        swallowed = swallowed or isinstance(event, Frame)
        frames += isinstance(event, Frame)
        event = decoder.next_event()
    return _Tail(frames, 0 if swallowed else end - begin - covered)


def _size(event: Frame | Skipped) -> int:
    return len(event.data) if isinstance(event, Frame) else event.total_bytes
