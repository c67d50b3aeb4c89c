"""Bytes in, frames out: a pure machine with no socket, which any chunking of a stream drives alike.

A pixel is copied once, from the socket into the object that is handed out: a frame's memory is a `bytes`
inside a BytesIO, of which CPython gives out a writable view first and, once that is released, the object
itself. (`bytes(bytearray)` costs 6 ms per 4 MiB in page faults, this 0.2.) The view is always released
before the bytes are handed out, so nobody can write into them.

The work is linear in the bytes that came, whatever they are. The buffer is moved only when half of it was
used up. A byte of a text is read once: a header within which another begins is refused unread, so two
headers never share a text, and a text never holds a header, since every acceptable length has a byte that
is not printable. Of headers that follow closely upon each other only the last in 512 bytes is judged: a
stream of nothing but magics costs 8 ms/MiB, one of small good frames 12 (one after the other it was 600).
"""

from collections import deque
from io import BytesIO
from typing import Final

from schemas.cards import Cards
from schemas.errors import FrameError, HeaderError, RejectReason, ResyncError
from schemas.frame_layout import (
    HEADER_SIZE,
    LENGTHS_END,
    MAGIC,
    MAGIC_BYTES,
    Frame,
    FrameLimits,
    Skipped,
    check_lengths,
    check_pixels,
    encode_frame,
    read_lengths,
)

__all__ = ["HEADER_SIZE", "MAGIC", "Frame", "FrameDecoder", "FrameLimits", "Skipped", "encode_frame"]

# Between frames this much is asked for: enough for a dozen small frames in one system call, and of a large
# frame it is what has to be copied once more.
_READ_SIZE: Final = 256 * 1024
_MIN_ROOM: Final = 64 * 1024


class FrameDecoder:
    """Cuts a stream of bytes into frames, and finds the next one where something else stands between.

    Give bytes with `get_buffer` and `received` (no copy), or with `feed`; then take events with
    `next_event` until it returns None. At the end of the stream call `close`, and take events once more.
    Lengths are checked before memory is given to them. The bytes of all events together are the bytes
    that were given, in their order.

    A frame header that cannot be true (lengths over the limits or other than the FITS header says, a FITS
    header that cannot be read, another header that begins within its 512 bytes) is skipped, and the
    search for the next magic goes on right behind its own, so that no true frame is lost with it. Bytes
    skipped in a row are one event; a run is cut at a magic once it has `max_reject_bytes`, so that a
    server whose every frame is refused is noticed.

    Memory: one frame of `max_frame_bytes`, and three times `max_fits_bytes` for what is not judged yet. It
    grows with the bytes that come, not with what headers claim. At an end of the stream within a frame,
    true frames inside it are copied out: then twice as much.
    """

    def __init__(self, limits: FrameLimits | None = None) -> None:
        self._limits = limits or FrameLimits()
        self._events: deque[Frame | Skipped] = deque()
        # Bytes that are not judged yet: _buffer[_start:_end]. Not written any more once it is closed.
        self._buffer: bytearray | bytes = bytearray(_READ_SIZE)
        self._start = 0
        self._end = 0
        self._at_magic = False  # a magic stands at _start
        self._since_magic = 0  # bytes skipped since the latest magic or frame
        # The run of skipped bytes that is not reported yet.
        self._skipped = bytearray()
        self._skipped_bytes = 0
        self._refusal: tuple[RejectReason, str] | None = None
        # The frame whose pixels are coming in: its memory, and how much of it is filled.
        self._frame: BytesIO | None = None
        self._view = memoryview(b"")
        self._filled = 0
        self._cards = Cards.scan(b"")
        self._pixels_offset = 0
        self._offered: memoryview | None = None
        self._failed = False
        self._closed = False

    @property
    def in_frame(self) -> bool:
        """Whether a frame has begun and is not whole yet; true to the byte once `next_event` gave None."""
        return self._frame is not None or self._end > self._start

    @property
    def skipped_bytes(self) -> int:
        """How many bytes are skipped so far in the run that no event has reported yet."""
        return self._skipped_bytes

    def get_buffer(self) -> memoryview:
        """Where the next bytes go; within a frame's pixels, the rest of that frame's own memory.

        Valid until the next call of `get_buffer`, `received`, `feed` or `close`; using it later raises
        ValueError. Never empty.
        """
        self._prepare()
        if self._frame is not None:
            self._offered = self._view[self._filled :]
        else:
            self._make_room(_MIN_ROOM)
            self._offered = memoryview(self._buffer)[self._end :]
        return self._offered

    def received(self, size: int) -> None:
        """Take over the first `size` bytes of what `get_buffer` gave.

        Raises:
            ValueError: more than it gave, or it was not called.
        """
        if self._offered is None or not 0 <= size <= len(self._offered):
            raise ValueError(f"received({size}) does not follow a get_buffer() of that size")
        self._prepare()
        if self._frame is None:
            self._end += size
        else:
            self._filled += size
            self._finish_frame()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Copy bytes in: for files and tests. Take the events before the next call."""
        self._prepare()
        rest = memoryview(data).cast("B")
        if self._frame is not None:
            size = min(len(rest), len(self._view) - self._filled)
            self._view[self._filled : self._filled + size] = rest[:size]
            self._filled += size
            self._finish_frame()
            rest = rest[size:]
        self._make_room(len(rest))
        memoryview(self._buffer)[self._end : self._end + len(rest)] = rest
        self._end += len(rest)

    def next_event(self) -> Frame | Skipped | None:
        """The next frame or the next skipped bytes; None where more bytes are needed.

        Raises:
            ResyncError: `max_resync_bytes` went by without a magic. What was skipped has been reported;
                the stream is of no more use.
        """
        while not self._events:
            if self._failed and not self._closed:
                raise ResyncError(
                    f"no frame begins within {self._limits.max_resync_bytes} bytes (max_resync_bytes): "
                    "either this is no image stream, or a length was wrong by more than that"
                )
            if self._frame is not None or not self._step():
                return None
        return self._events.popleft()

    def close(self) -> Skipped | None:
        """End the stream: what was incomplete is skipped.

        True frames may stand inside an incomplete one, if its lengths lied. This returns what was skipped
        first, and `next_event` gives the rest; so take events once more after this.
        """
        if not self._closed:
            self._prepare()
            self._closed = True
            self._reopen_frame()
            while self._step():
                pass
            self._report()
        if self._events and isinstance(self._events[0], Skipped):
            return self._events.popleft()  # type: ignore[return-value]  # narrowed just now
        return None

    def _prepare(self) -> None:
        """Take back the view that was given out: the buffer can be moved only without one."""
        if self._closed:
            raise ValueError("the decoder is closed")
        if self._offered is not None:
            self._offered.release()
            self._offered = None

    def _make_room(self, size: int) -> None:
        """See to it that `size` bytes can be written at `_end`.

        What is kept moves down only when at least as much was used up; else the buffer doubles. Many
        headers that each wait for a long text would otherwise move that text for every few bytes.
        """
        capacity = len(self._buffer)
        if self._start == self._end:
            self._start = self._end = 0
        if capacity - self._end >= size:
            return
        kept = self._end - self._start
        if self._start >= kept and capacity - kept >= size:
            memoryview(self._buffer)[:kept] = self._buffer[self._start : self._end]
        else:
            larger = bytearray(max(2 * capacity, kept + size))
            larger[:kept] = memoryview(self._buffer)[self._start : self._end]
            self._buffer = larger
        self._start, self._end = 0, kept

    def _step(self) -> bool:
        """Judge what stands at `_start`; whether anything came of it."""
        if not self._at_magic:
            self._find_magic()
            if not self._at_magic:
                return self._failed and not self._closed
        return self._take_header()

    def _find_magic(self) -> None:
        """Skip up to the next magic, or to what may be the beginning of one."""
        found = self._buffer.find(MAGIC_BYTES, self._start, self._end)
        if found >= 0:
            size = found - self._start
        else:
            size = self._end - self._start - (0 if self._closed else self._partial_magic())
        bound = self._limits.max_resync_bytes - self._since_magic
        if size > bound and not self._closed:
            self._skip(bound)
            self._report()
            self._failed = True
            return
        self._skip(size)
        self._since_magic += size
        if found >= 0:
            self._at_magic = True
            self._since_magic = 0
            if self._skipped_bytes >= self._limits.max_reject_bytes:
                self._report()

    def _partial_magic(self) -> int:
        """How many of the last bytes are the beginning of a magic."""
        tail = bytes(self._buffer[max(self._start, self._end - len(MAGIC_BYTES) + 1) : self._end])
        for size in range(len(tail), 0, -1):
            if MAGIC_BYTES.startswith(tail[-size:]):
                return size
        return 0

    def _take_header(self) -> bool:
        """Judge the frame header at `_start`, and begin its frame; whether anything came of it.

        It is judged as soon as its lengths are there, again when the FITS text is, and never later.
        """
        have = self._end - self._start
        if have < LENGTHS_END:
            return self._closed and self._refuse_incomplete(have)
        fits_bytes, pixels_bytes = read_lengths(self._buffer, self._start)
        try:
            check_lengths(fits_bytes, pixels_bytes, self._limits)
            self._check_padding()
            pixels_offset = HEADER_SIZE + fits_bytes
            if have < pixels_offset:
                return self._closed and self._refuse_incomplete(have)
            with memoryview(self._buffer) as whole:
                cards = Cards.scan(whole[self._start + HEADER_SIZE : self._start + pixels_offset])
            check_pixels(cards, pixels_bytes)
        except (FrameError, HeaderError) as error:
            return self._refuse(error.reason, str(error))
        total = pixels_offset + pixels_bytes
        if self._closed and have < total:
            return self._refuse_incomplete(have)
        self._begin_frame(cards, pixels_offset, total)
        return True

    def _check_padding(self) -> None:
        """Refuse a header within which another one begins: behind its lengths a true one is zeros."""
        found = self._buffer.find(MAGIC_BYTES, self._start + len(MAGIC_BYTES), self._header_end())
        if found >= 0:
            raise FrameError(
                f"the next frame begins {found - self._start} bytes after the beginning of this one, within "
                f"its header of {HEADER_SIZE}",
                reason=RejectReason.INCOMPLETE,
            )

    def _header_end(self) -> int:
        return min(self._start + HEADER_SIZE, self._end)

    def _refuse(self, reason: RejectReason, detail: str) -> bool:
        """Skip the header at `_start`, up to where a true frame may begin.

        That is right behind its magic, or at the last magic within its 512 bytes: the headers between
        would be refused because of that one. What is reported is the same for both, so bytes that come
        later or sooner change nothing; where a run is cut, each magic has to be looked at.
        """
        if self._refusal is None:
            self._refusal = (reason, detail)
        last = self._buffer.rfind(MAGIC_BYTES, self._start + len(MAGIC_BYTES), self._header_end())
        if last >= 0 and self._skipped_bytes + last - self._start <= self._limits.max_reject_bytes:
            self._skip(last - self._start)
            self._find_magic()
        else:
            self._skip(len(MAGIC_BYTES))
            self._at_magic = False
        return True

    def _refuse_incomplete(self, have: int) -> bool:
        return self._refuse(
            RejectReason.INCOMPLETE, f"the stream ended {have} bytes after the beginning of a frame"
        )

    def _begin_frame(self, cards: Cards, pixels_offset: int, total: int) -> None:
        self._report()
        self._at_magic = False
        self._since_magic = 0
        self._frame = BytesIO(bytes(total))
        self._view = self._frame.getbuffer()
        self._cards = cards
        self._pixels_offset = pixels_offset
        self._filled = min(self._end - self._start, total)
        with memoryview(self._buffer) as whole:
            self._view[: self._filled] = whole[self._start : self._start + self._filled]
        self._start += self._filled
        self._finish_frame()

    def _finish_frame(self) -> None:
        """Hand out the frame if it is whole."""
        if self._frame is None or self._filled < len(self._view):
            return
        self._view.release()
        self._events.append(Frame(self._frame.getvalue(), self._cards, self._pixels_offset))
        self._frame = None

    def _reopen_frame(self) -> None:
        """Put an incomplete frame back among the bytes to be judged."""
        if self._frame is not None:
            self._view.release()
            self._buffer = self._frame.getvalue()  # not copied; nothing is written into it any more
            self._start, self._end = 0, self._filled
            self._frame = None

    def _skip(self, size: int) -> None:
        kept = min(size, self._limits.max_reject_bytes - len(self._skipped))
        if kept > 0:
            self._skipped += self._buffer[self._start : self._start + kept]
        self._skipped_bytes += size
        self._start += size

    def _report(self) -> None:
        """Make an event of the run of skipped bytes."""
        if self._skipped_bytes:
            reason, detail = self._refusal or (
                RejectReason.BAD_MAGIC,
                f"{self._skipped_bytes} bytes stand where a frame should begin",
            )
            self._events.append(Skipped(bytes(self._skipped), self._skipped_bytes, reason, detail))
        self._skipped = bytearray()
        self._skipped_bytes = 0
        self._refusal = None
