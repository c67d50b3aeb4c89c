"""One table of frames drives writer and reader; then what the reader does with anything else."""

import mmap
import struct
from itertools import pairwise

import pytest

from schemas.errors import FrameError, RejectReason, ResyncError
from schemas.frame import HEADER_SIZE, MAGIC, Frame, FrameDecoder, FrameLimits, Skipped, encode_frame
from tests.support.frames import (
    MAGIC_BYTES,
    T0_US,
    make_cards,
    make_frame,
    make_pixels,
    pack_frame,
    payload_of,
)

CASES = {
    "two axes": ((16, 24), {}),
    "END and padding": ((16, 24), {"end": True, "padding": True}),
    "four axes": ((1, 1, 16, 24), {}),
    "one pixel": ((1, 1), {}),
    "one row": ((1, 640), {}),
    "larger than what is read at once": ((300, 301), {}),
    "many cards": ((3, 5), {"extra_cards": [b"COMMENT  another card".ljust(80)] * 2000}),
    "no pixels": ((0, 24), {}),
}
TRAILING = {
    "nothing": b"",
    "another frame's beginning": make_frame(T0_US + 1)[:700],
    "half a magic": MAGIC_BYTES[:5],
    "other bytes": b"no frame at all" * 50,
}
GOOD = make_frame(T0_US)


def case(name):
    shape, options = CASES[name]
    cards = make_cards(shape=shape, **options)
    return cards, payload_of(make_pixels(shape))


def drain(decoder):
    events = []
    while (event := decoder.next_event()) is not None:
        events.append(event)
    return events


def finish(decoder):
    skipped = decoder.close()
    return [*([] if skipped is None else [skipped]), *drain(decoder)]


def decode(data, *, chunk=None, limits=None):
    """All events of a stream fed in chunks."""
    decoder = FrameDecoder(limits)
    events = []
    for start in range(0, len(data), chunk or max(1, len(data))):
        decoder.feed(data[start : start + (chunk or len(data))])
        events += drain(decoder)
    return events + finish(decoder)


def plain(events):
    return [
        ("frame", event.data)
        if isinstance(event, Frame)
        else ("skipped", event.data, event.total_bytes, event.reason, event.detail)
        for event in events
    ]


def skipped_reasons(events):
    return [event.reason for event in events if isinstance(event, Skipped)]


def frames(events):
    return [event.data for event in events if isinstance(event, Frame)]


def test_magic_is_the_protocols_number():
    assert MAGIC == 0x47494A53484F4D4F
    assert HEADER_SIZE == 512


@pytest.mark.parametrize("name", CASES)
def test_writer(name):
    cards, payload = case(name)
    written = encode_frame(cards, payload)
    assert written[:16] == struct.pack("<QII", MAGIC, len(cards), len(payload))
    assert written[16:512] == bytes(496)
    assert written[512:] == cards + payload


@pytest.mark.parametrize("chunk", [None, 1], ids=["whole", "one byte at a time"])
@pytest.mark.parametrize("trailing", TRAILING)
@pytest.mark.parametrize("name", CASES)
def test_reader(name, trailing, chunk):
    cards, payload = case(name)
    if chunk and len(payload) > 100_000:
        chunk = 999  # a byte at a time would take a minute here and show nothing more
    data = encode_frame(cards, payload)
    first, *rest = decode(data + TRAILING[trailing], chunk=chunk)
    assert isinstance(first, Frame)
    assert first.data == data
    assert first.cards.text == cards
    assert first.pixels_offset == HEADER_SIZE + len(cards)
    assert sum(event.total_bytes for event in rest) == len(TRAILING[trailing])


def test_writer_takes_any_buffer():
    pixels = make_pixels((4, 6)).astype("<f4")
    text = make_cards(shape=(4, 6))
    assert encode_frame(text, memoryview(pixels)) == encode_frame(text, pixels.tobytes())


def test_pixels_are_received_straight_into_the_frame():
    data = make_frame(T0_US, shape=(512, 512))
    decoder = FrameDecoder()
    given = 0
    sizes = []
    while given < len(data):
        buffer = decoder.get_buffer()
        size = min(len(buffer), len(data) - given)
        sizes.append(len(buffer))
        buffer[:size] = data[given : given + size]
        decoder.received(size)
        given += size
        events = drain(decoder)
    assert frames(events) == [data]
    assert sizes[1] == len(data) - sizes[0]  # the rest of the frame, neither more nor less


def test_a_buffer_given_out_cannot_be_written_after_it_was_taken_back():
    decoder = FrameDecoder()
    decoder.feed(GOOD[:-4])
    assert drain(decoder) == []
    buffer = decoder.get_buffer()
    buffer[:] = GOOD[-4:]
    decoder.received(4)
    (frame,) = drain(decoder)
    with pytest.raises(ValueError, match="released"):
        buffer[0] = 1
    assert frame.data == GOOD


def test_received_must_follow_get_buffer():
    decoder = FrameDecoder()
    with pytest.raises(ValueError, match="get_buffer"):
        decoder.received(1)
    size = len(decoder.get_buffer())
    with pytest.raises(ValueError, match="get_buffer"):
        decoder.received(size + 1)


def test_asking_for_a_buffer_again_takes_the_first_back():
    decoder = FrameDecoder()
    decoder.get_buffer()
    buffer = decoder.get_buffer()
    buffer[: len(GOOD)] = GOOD
    decoder.received(len(GOOD))
    decoder.get_buffer()
    decoder.received(0)
    assert frames(drain(decoder)) == [GOOD]


def test_several_frames_of_one_read():
    stream = b"".join(make_frame(T0_US + number, seed=number) for number in range(20))
    events = decode(stream)
    assert b"".join(frames(events)) == stream
    assert len(events) == 20


RESYNC = {
    "bytes before the first magic": (b"HTTP/1.1 400 Bad Request\r\n\r\n", RejectReason.BAD_MAGIC),
    "wrong magic": (pack_frame(make_cards(), bytes(1536), magic=b"NOTMAGIC"), RejectReason.BAD_MAGIC),
    "half a magic": (MAGIC_BYTES[:4], RejectReason.BAD_MAGIC),
    "a magic that is cut by one": (MAGIC_BYTES[:7], RejectReason.BAD_MAGIC),
    "a magic alone": (MAGIC_BYTES, RejectReason.LENGTHS_REFUSED),
    "length of the FITS text": (
        pack_frame(make_cards(), bytes(1536), fits_bytes=2**32 - 1),
        RejectReason.LENGTHS_REFUSED,
    ),
    "length of the FITS text 0": (pack_frame(b"", bytes(1536)), RejectReason.LENGTHS_REFUSED),
    "length of the pixels": (
        pack_frame(make_cards(), bytes(1536), pixels_bytes=2**32 - 1),
        RejectReason.LENGTHS_REFUSED,
    ),
    "pixels are fewer than NAXISn say": (pack_frame(make_cards(), bytes(1532)), RejectReason.LENGTH_MISMATCH),
    "pixels are more than NAXISn say": (pack_frame(make_cards(), bytes(1540)), RejectReason.LENGTH_MISMATCH),
    "NAXISn would be 2^66 bytes": (
        pack_frame(make_cards(shape=(2**32, 2**32)), bytes(16)),
        RejectReason.LENGTH_MISMATCH,
    ),
    "no NAXIS": (
        pack_frame(make_cards().replace(b"NAXIS ", b"NOAXIS"), bytes(1536)),
        RejectReason.NO_NAXIS,
    ),
    "cut within its header": (GOOD[:40], RejectReason.INCOMPLETE),
    "header unreadable": (
        pack_frame(b"\xff" * 160, bytes(1536)),
        RejectReason.HEADER_UNREADABLE,
    ),
    "header with line breaks": (
        pack_frame(b"\n".join([b"NAXIS   = 0".ljust(80)] * 3), b""),
        RejectReason.HEADER_UNREADABLE,
    ),
}


@pytest.mark.parametrize("chunk", [None, 1, 7], ids=["whole", "one byte", "seven bytes"])
@pytest.mark.parametrize("name", RESYNC)
def test_resynchronises(name, chunk):
    broken, reason = RESYNC[name]
    events = decode(GOOD + broken + GOOD, chunk=chunk)
    assert frames(events) == [GOOD, GOOD]
    assert skipped_reasons(events) == [reason]
    skipped = events[1]
    assert skipped.data == broken
    assert skipped.total_bytes == len(broken)
    assert skipped.detail


def test_true_frame_behind_a_lying_magic_is_not_swallowed():
    claims_much = MAGIC_BYTES + struct.pack("<II", 2880, 4096)
    for broken in (claims_much, MAGIC_BYTES * 3, MAGIC_BYTES + claims_much):
        events = decode(broken + GOOD + GOOD)
        assert frames(events) == [GOOD, GOOD]
        assert events[0].data == broken


def test_skipped_bytes_in_a_row_are_one_event_with_the_first_refusal():
    broken = b"xyz" + RESYNC["length of the pixels"][0] + RESYNC["no NAXIS"][0]
    first, second = decode(broken + GOOD)
    assert first.total_bytes == len(broken)
    assert first.reason is RejectReason.LENGTHS_REFUSED
    assert "max_frame_bytes" in first.detail
    assert second.data == GOOD


@pytest.mark.parametrize("chunk", [None, 1, 7, 600])
def test_a_run_of_magics_is_cut_at_the_same_ones_however_they_come(chunk):
    events = decode(MAGIC_BYTES * 500, chunk=chunk, limits=FrameLimits(max_reject_bytes=300))
    assert [event.total_bytes for event in events] == [304] * 13 + [48]
    assert {len(event.data) for event in events[:-1]} == {300}


def test_kept_bytes_are_capped():
    limits = FrameLimits(max_reject_bytes=100)
    first, second = decode(b"z" * 5000 + GOOD, limits=limits)
    assert (first.data, first.total_bytes) == (b"z" * 100, 5000)
    assert second.data == GOOD


@pytest.mark.parametrize("chunk", [None, 1, 333])
def test_a_server_whose_every_frame_is_refused_is_reported_on_the_way(chunk):
    broken = pack_frame(make_cards(), bytes(1532))
    decoder = FrameDecoder(FrameLimits(max_reject_bytes=len(broken) - 10))
    events = []
    for _ in range(10):
        for start in range(0, len(broken), chunk or len(broken)):
            decoder.feed(broken[start : start + (chunk or len(broken))])
            events += drain(decoder)
    assert [event.total_bytes for event in events] == [len(broken)] * 9
    assert set(skipped_reasons(events)) == {RejectReason.LENGTH_MISMATCH}
    assert 0 < decoder.skipped_bytes <= len(broken)


def test_lengths_are_checked_against_the_limits():
    limits = FrameLimits(max_frame_bytes=len(GOOD))
    assert frames(decode(GOOD, limits=limits)) == [GOOD]
    limits = FrameLimits(max_frame_bytes=len(GOOD) - 1)
    events = decode(GOOD, limits=limits)
    assert skipped_reasons(events) == [RejectReason.LENGTHS_REFUSED]
    limits = FrameLimits(max_fits_bytes=len(make_cards()) - 1)
    assert skipped_reasons(decode(GOOD, limits=limits)) == [RejectReason.LENGTHS_REFUSED]


def test_memory_is_given_only_to_what_the_fits_header_confirms():
    decoder = FrameDecoder()
    liar = pack_frame(make_cards(), b"", pixels_bytes=60 << 20)
    decoder.feed(liar)
    assert drain(decoder) == []
    assert len(decoder.get_buffer()) < 1 << 20


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_fits_bytes", 0),
        ("max_fits_bytes", (16 << 20) + 1),
        ("max_frame_bytes", 512),
        ("max_frame_bytes", 2**32),
        ("max_resync_bytes", 0),
        ("max_reject_bytes", 0),
    ],
)
def test_impossible_limits_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        FrameLimits(**{field: value})


@pytest.mark.parametrize("chunk", [None, 1, 64])
def test_resync_is_given_up_at_its_bound(chunk):
    decoder = FrameDecoder(FrameLimits(max_resync_bytes=1000, max_reject_bytes=50))
    data = GOOD + b"q" * 1500
    events = []
    with pytest.raises(ResyncError, match="max_resync_bytes"):  # noqa: PT012 - the chunk it comes at differs
        for start in range(0, len(data), chunk or len(data)):
            decoder.feed(data[start : start + (chunk or len(data))])
            while (event := decoder.next_event()) is not None:
                events.append(event)
    assert frames(events) == [GOOD]
    assert events[1] == Skipped(b"q" * 50, 1000, RejectReason.BAD_MAGIC, events[1].detail)
    with pytest.raises(ResyncError):
        decoder.next_event()
    rest = finish(decoder)
    fed = len(data) if chunk is None else -(-(len(GOOD) + 1001) // chunk) * chunk
    assert sum(event.total_bytes for event in rest) == min(fed, len(data)) - len(GOOD) - 1000


def test_a_magic_at_the_bound_is_still_found():
    limits = FrameLimits(max_resync_bytes=1000)
    for chunk in (None, 1):
        assert frames(decode(b"q" * 1000 + GOOD, chunk=chunk, limits=limits)) == [GOOD]
    decoder = FrameDecoder(limits)
    decoder.feed(b"q" * 1001 + GOOD)
    assert decoder.next_event().total_bytes == 1000
    with pytest.raises(ResyncError):
        decoder.next_event()


def test_refused_magics_do_not_count_as_a_lost_stream():
    limits = FrameLimits(max_resync_bytes=1000)
    broken = MAGIC_BYTES + b"\xff" * 500
    events = decode(broken * 10 + GOOD, limits=limits)
    assert frames(events) == [GOOD]


def test_in_frame_tells_a_stalled_server_from_a_silent_one():
    decoder = FrameDecoder()
    assert not decoder.in_frame
    for at, following in pairwise((0, 1, 8, 100, 512, 600, len(GOOD) - 1)):
        decoder.feed(GOOD[at:following])
        assert drain(decoder) == []
        assert decoder.in_frame, following
    decoder.feed(GOOD[-1:])
    assert len(drain(decoder)) == 1
    assert not decoder.in_frame
    decoder.feed(b"zzz")
    drain(decoder)
    assert not decoder.in_frame  # three bytes of nothing are no frame
    assert decoder.skipped_bytes == 3


CUTS = {
    "in the magic": 5,
    "in the lengths": 12,
    "in the header": 300,
    "in the FITS text": 700,
    "in the pixels": len(GOOD) - 1,
}


@pytest.mark.parametrize("name", CUTS)
def test_the_end_of_the_stream_reports_what_is_incomplete(name):
    cut = GOOD[: CUTS[name]]
    events = decode(GOOD + cut)
    assert frames(events) == [GOOD]
    assert (events[1].data, events[1].total_bytes) == (cut, len(cut))
    expected = RejectReason.BAD_MAGIC if name == "in the magic" else RejectReason.INCOMPLETE
    assert events[1].reason is expected
    assert len(events) == 2


def test_the_end_of_the_stream_between_frames_reports_nothing():
    decoder = FrameDecoder()
    decoder.feed(GOOD)
    drain(decoder)
    assert decoder.close() is None
    assert decoder.close() is None
    assert decoder.next_event() is None


def test_true_frames_inside_an_incomplete_one_come_out_at_the_end():
    large = make_frame(T0_US, shape=(512, 512))
    waits_for_text = pack_frame(b"", b"", fits_bytes=1 << 20, pixels_bytes=1)
    for beginning in (large[:3000], waits_for_text):
        stream = beginning + GOOD + make_frame(T0_US + 5) + b"end"
        decoder = FrameDecoder()
        decoder.feed(stream)
        assert drain(decoder) == []
        events = finish(decoder)
        assert frames(events) == [GOOD, make_frame(T0_US + 5)]
        assert skipped_reasons(events) == [RejectReason.INCOMPLETE, RejectReason.BAD_MAGIC]
        assert sum(len(event.data) for event in events) == len(stream)


def test_nothing_can_be_given_to_a_closed_decoder():
    decoder = FrameDecoder()
    decoder.close()
    with pytest.raises(ValueError, match="closed"):
        decoder.feed(b"x")
    with pytest.raises(ValueError, match="closed"):
        decoder.get_buffer()


def test_a_length_that_does_not_fit_its_field_cannot_be_written():
    # Mapped, never touched: it takes address space and no memory.
    with (
        mmap.mmap(-1, 2**32) as too_long,
        memoryview(too_long) as pixels,
        pytest.raises(FrameError, match="longer than 2"),
    ):
        encode_frame(b"", pixels)
