"""The frame decoder under any stream, in any chunks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle

from schemas import frame
from schemas.errors import RejectReason, ResyncError, SchemaError
from schemas.frame import HEADER_SIZE, Frame, FrameDecoder, FrameLimits, Skipped
from schemas.window import decode_window
from tests.fuzz.verdict import require

# Small enough that an input of a few hundred bytes reaches each of them.
LIMITS = (
    FrameLimits(max_fits_bytes=2048, max_frame_bytes=4096, max_resync_bytes=700, max_reject_bytes=48),
    FrameLimits(max_fits_bytes=700, max_frame_bytes=1500),
)
# The decoder asks for hundreds of KiB at a time. With these, a buffer of an input's size is moved and grown.
_READ_SIZE = 64
_MIN_ROOM = 16
_CONTROL_BYTES = 2
_SINGLE_BYTES = 640


@dataclass
class Reading:
    """What one way of reading a stream gave, and how it ended.

    Attributes:
        events: in their order; those of `close` last.
        before_end: how many of them came before the end of the stream, or before the error.
        given: bytes the decoder was given.
        error: the decoder's own end of the stream.
    """

    events: list[Frame | Skipped] = field(default_factory=list)
    before_end: int = 0
    given: int = 0
    error: ResyncError | None = None


def check_stream(data: bytes) -> None:
    """The first byte chooses the limits, the second the chunks; the rest is the stream."""
    if len(data) < _CONTROL_BYTES:
        return
    limits = LIMITS[data[0] % len(LIMITS)]
    stream = data[_CONTROL_BYTES:]
    first, second = 1 + data[1] % 40, 1 + data[1] // 7
    # A byte at a time takes as long as a hundred other inputs; of a long stream that is too much.
    single = 1 if len(stream) <= _SINGLE_BYTES else 17
    with _small_reads():
        whole = _read(stream, limits, _fed([len(stream)]))
        readings = [
            _read(stream, limits, _fed([second, 300, first])),
            _read(stream, limits, _received([first, second, 300])),
            _read(stream, limits, _received([single])),
        ]
    _require_accounted(whole, stream, limits)
    for reading in readings:
        _require_accounted(reading, stream, limits)
        _require_same(whole, reading)


Giver = Callable[[FrameDecoder, memoryview], int]


def _fed(sizes: list[int]) -> Giver:
    size = cycle(sizes)

    def give(decoder: FrameDecoder, rest: memoryview) -> int:
        piece = rest[: next(size)]
        decoder.feed(piece)
        return len(piece)

    return give


def _received(sizes: list[int]) -> Giver:
    size = cycle(sizes)

    def give(decoder: FrameDecoder, rest: memoryview) -> int:
        buffer = decoder.get_buffer()
        piece = rest[: min(next(size), len(buffer))]
        require(len(buffer) > 0, "get_buffer gave nothing to write into")
        buffer[: len(piece)] = piece
        decoder.received(len(piece))
        return len(piece)

    return give


def _read(stream: bytes, limits: FrameLimits, give: Giver) -> Reading:
    decoder = FrameDecoder(limits)
    reading = Reading()
    rest = memoryview(stream)
    try:
        while rest:
            given = give(decoder, rest)
            reading.given += given
            rest = rest[given:]
            while (event := decoder.next_event()) is not None:
                reading.events.append(event)
            _require_bounded(decoder, limits, given)
    except ResyncError as error:
        reading.error = error
    reading.before_end = len(reading.events)
    last: Frame | Skipped | None = decoder.close()
    while last is not None:
        reading.events.append(last)
        last = decoder.next_event()
    require(decoder.next_event() is None, "an event came after the last one")
    require(not decoder.in_frame, "a frame is open after the end of the stream")
    return reading


def _require_bounded(decoder: FrameDecoder, limits: FrameLimits, given: int) -> None:
    pending = decoder._end - decoder._start
    text = HEADER_SIZE + limits.max_fits_bytes
    require(pending < text, f"{pending} bytes wait to be judged; a header and its text are {text}")
    capacity = len(decoder._buffer)
    room = 4 * (text + given + _READ_SIZE)
    require(capacity <= room, f"the buffer has {capacity} bytes, for {pending} that wait")
    kept = len(decoder._skipped)
    require(kept <= limits.max_reject_bytes, f"{kept} skipped bytes are kept")
    require(len(decoder._view) <= limits.max_frame_bytes if decoder._frame else True, "a frame is too large")


def _require_accounted(reading: Reading, stream: bytes, limits: FrameLimits) -> None:
    """Every byte is in one event, in order, and each event is what its class says."""
    at = 0
    for event in reading.events:
        if isinstance(event, Frame):
            require(stream[at : at + len(event.data)] == event.data, f"the frame at {at} is not verbatim")
            _require_whole(event, limits)
            at += len(event.data)
        else:
            require(event.total_bytes > 0, f"nothing was skipped at {at}")
            kept = min(event.total_bytes, limits.max_reject_bytes)
            require(event.data == stream[at : at + kept], f"what was skipped at {at} is not what is reported")
            require(event.reason in set(RejectReason), f"{event.reason!r} is no reason")
            require(bool(event.detail) and event.detail.isascii() | ("…" in event.detail), "no detail")
            at += event.total_bytes
    require(at == reading.given, f"the events have {at} bytes, {reading.given} were given")
    require(reading.error is not None or at == len(stream), "the stream was not read to its end")


def _require_whole(event: Frame, limits: FrameLimits) -> None:
    require(HEADER_SIZE < event.pixels_offset <= len(event.data) <= limits.max_frame_bytes, "lengths")
    pixels = len(event.data) - event.pixels_offset
    require(event.cards.pixels_bytes == pixels, "the pixels are not as many as NAXISn says")
    try:
        decode_window(event.data)
    except SchemaError as error:
        require(error.reason in set(RejectReason), f"{error.reason!r} is no reason")


def _require_same(whole: Reading, other: Reading) -> None:
    """Chunks change nothing; after a ResyncError they decide how much more was given, and nothing else."""
    require((whole.error is None) == (other.error is None), "chunks decide whether the stream is given up")
    require(str(whole.error) == str(other.error), "chunks decide what the error says")
    if whole.error is None:
        require(_shown(whole.events) == _shown(other.events), "chunks decide the events")
    else:
        before = _shown(whole.events[: whole.before_end])
        require(
            before == _shown(other.events[: other.before_end]), "chunks decide the events before the error"
        )


def _shown(events: list[Frame | Skipped]) -> list[tuple[object, ...]]:
    return [
        (event.data, event.pixels_offset)
        if isinstance(event, Frame)
        else (event.data, event.total_bytes, event.reason, event.detail)
        for event in events
    ]


@contextmanager
def _small_reads() -> Iterator[None]:
    before = frame._READ_SIZE, frame._MIN_ROOM
    frame._READ_SIZE, frame._MIN_ROOM = _READ_SIZE, _MIN_ROOM  # type: ignore[misc]
    try:
        yield
    finally:
        frame._READ_SIZE, frame._MIN_ROOM = before  # type: ignore[misc]
