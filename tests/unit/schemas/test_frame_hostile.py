"""A hostile stream costs time in proportion to its length, and memory not at all."""

import struct
import time
import tracemalloc

import psutil
import pytest

from schemas.frame import FrameDecoder, FrameLimits
from tests.support.frames import HEADER_SIZE, MAGIC_BYTES, T0_US, make_cards, make_frame, pack_frame

KIB = 1024
PLAUSIBLE = MAGIC_BYTES + struct.pack("<II", 64 * KIB, 4)
READABLE = b"COMMENT ".ljust(80)
STREAMS = {
    "magic after magic": MAGIC_BYTES,
    "headers that each ask for 64 KiB of text": PLAUSIBLE,
    "such headers with readable text between": PLAUSIBLE * 30 + READABLE * 80,
    "frames that are one pixel short": pack_frame(make_cards(), bytes(1532)),
    "headers of a frame, one in another": PLAUSIBLE.ljust(HEADER_SIZE - 8, b"\0"),
    "headers whose text ends at once": (MAGIC_BYTES + struct.pack("<II", 64 * KIB, 4)).ljust(600, b" "),
    "headers that can't be true, as far apart as helps": (MAGIC_BYTES + b"\xff" * 8).ljust(
        HEADER_SIZE, b"\0"
    ),
    "beginnings of magics": MAGIC_BYTES[:7],
    "small good frames": make_frame(T0_US, shape=(2, 2)),
}
READS = {"as much as it asks for": 1 << 30, "a few bytes": 24}
SIZES = {"as much as it asks for": 1024 * KIB, "a few bytes": 256 * KIB}


def consume(stream, read, limits=None):
    """CPU seconds, and the events' bytes."""
    decoder = FrameDecoder(limits)
    total = 0
    at = 0
    begin = time.process_time()
    while at < len(stream):
        buffer = decoder.get_buffer()
        size = min(len(buffer), read, len(stream) - at)
        buffer[:size] = stream[at : at + size]
        decoder.received(size)
        at += size
        while (event := decoder.next_event()) is not None:
            total += getattr(event, "total_bytes", len(event.data))
    event = decoder.close()
    while event is not None:
        total += getattr(event, "total_bytes", len(event.data))
        event = decoder.next_event()
    return time.process_time() - begin, total


def repeated(piece, size):
    return (piece * (size // len(piece) + 1))[:size]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("name", STREAMS)
def test_work_is_linear(name, read):
    """Eight times the bytes may cost 24 times the time on a busy machine; quadratic, it would be 64 times."""
    small, large = (repeated(STREAMS[name], size) for size in (SIZES[read] // 8, SIZES[read]))
    small_s = min(consume(small, READS[read])[0] for _ in range(3))
    large_s, total = consume(large, READS[read])
    assert total == len(large)
    assert large_s < 24 * max(small_s, 0.003)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("name", STREAMS)
def test_no_stream_costs_much_more_than_small_frames(name, read):
    """At most 1.5 times as much as it asks for, 3.5 times in a few bytes; once it was 50 times."""
    size = SIZES[read] // 4
    benign = repeated(make_frame(T0_US, shape=(2, 2)), size)
    hostile = repeated(STREAMS[name], size)
    # In turns, so that what else the machine does meets both.
    costs = [[consume(stream, READS[read])[0] for stream in (benign, hostile)] for _ in range(3)]
    benign_s, hostile_s = (min(cost) for cost in zip(*costs, strict=True))
    assert hostile_s < 12 * benign_s


@pytest.mark.parametrize(
    "piece",
    [MAGIC_BYTES + struct.pack("<II", 32 * KIB, 4), MAGIC_BYTES * 4 + b"x" * 200, bytes(KIB)],
    ids=["headers that each ask for 32 KiB of text", "magics", "zeros"],
)
def test_memory_is_bounded(piece):
    stream = repeated(piece, 1024 * KIB)
    tracemalloc.start()
    try:
        _, total = consume(stream, 1 << 30, FrameLimits(max_fits_bytes=32 * KIB))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == len(stream)
    assert peak < 800 * KIB


def test_claims_take_no_memory_until_bytes_come():
    """64 servers that each claim 64 MiB and then say nothing."""
    text = make_cards(shape=(4096, 4000))
    begun = pack_frame(text, b"", pixels_bytes=4 * 4096 * 4000) + bytes(100)
    process = psutil.Process()
    decoders = [FrameDecoder() for _ in range(64)]
    before = process.memory_info().rss
    for decoder in decoders:
        decoder.feed(begun)
        assert decoder.next_event() is None
        assert len(decoder.get_buffer()) == 4 * 4096 * 4000 - 100
    assert process.memory_info().rss - before < 256 * KIB * KIB


def test_a_frame_cut_off_at_the_end_is_not_copied_whole():
    shape = (1024, 1000)
    size = 4 * 1024 * 1000
    begun = pack_frame(make_cards(shape=shape), bytes(size))[:-4]
    decoder = FrameDecoder()
    decoder.feed(begun)
    assert decoder.next_event() is None
    tracemalloc.start()
    try:
        skipped = decoder.close()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert skipped is not None
    assert skipped.total_bytes == len(begun)
    assert peak < size // 4
