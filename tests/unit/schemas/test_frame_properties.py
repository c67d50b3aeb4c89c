"""Whatever is sent, and however it is cut up, the same events come out and every byte is in one of them."""

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ResyncError
from schemas.frame import Frame, FrameDecoder, FrameLimits
from tests.support.frames import MAGIC_BYTES, T0_US, hostile_frames, make_cards, make_frame, pack_frame

LIMITS = FrameLimits(
    max_fits_bytes=8192, max_frame_bytes=20_000, max_resync_bytes=6_000, max_reject_bytes=300
)
ENDLESS = FrameLimits(
    max_fits_bytes=8192, max_frame_bytes=20_000, max_resync_bytes=1 << 30, max_reject_bytes=300
)
GOOD = [make_frame(T0_US + n, shape=(n % 7 + 1, 5), seed=n) for n in range(5)]
BROKEN = [*hostile_frames().values(), pack_frame(b"", b"", fits_bytes=4000, pixels_bytes=100)]

good = st.sampled_from(GOOD)
garbage = st.one_of(
    st.binary(max_size=60),
    st.integers(1, 8).map(lambda size: MAGIC_BYTES[:size]),
    st.lists(st.sampled_from([MAGIC_BYTES, MAGIC_BYTES[:3], b"OM", b"\0" * 8]), max_size=20).map(b"".join),
    st.tuples(st.integers(0, 9000), st.integers(0, 20_000)).map(
        lambda lengths: MAGIC_BYTES + struct.pack("<II", *lengths)
    ),
    st.integers(100, 9000).map(lambda size: b"." * size),
    st.just(make_cards()),
)
broken = st.sampled_from(BROKEN)
cut = st.tuples(good, st.integers(0, 2000)).map(lambda pair: pair[0][: pair[1]])
streams = st.lists(st.one_of(good, garbage, broken, cut), max_size=8).map(b"".join)
chunkings = st.lists(st.integers(1, 3000), min_size=1, max_size=30)


def events_of(stream, sizes, *, limits, by_buffer=False):
    """Events of a stream in chunks of these sizes, over and over; 'resync' where it was given up."""
    decoder = FrameDecoder(limits)
    events = []
    at = 0
    turn = 0
    try:
        while at < len(stream):
            size = min(sizes[turn % len(sizes)], len(stream) - at)
            turn += 1
            if by_buffer:
                buffer = decoder.get_buffer()
                size = min(size, len(buffer))
                buffer[:size] = stream[at : at + size]
                decoder.received(size)
            else:
                decoder.feed(stream[at : at + size])
            at += size
            while (event := decoder.next_event()) is not None:
                events.append(described(event))
    except ResyncError:
        return [*events, "resync"]
    skipped = decoder.close()
    if skipped is not None:
        events.append(described(skipped))
    while (event := decoder.next_event()) is not None:
        events.append(described(event))
    return events


def described(event):
    if isinstance(event, Frame):
        return "frame", event.data, event.pixels_offset
    return "skipped", event.data, event.total_bytes, event.reason, event.detail


@settings(max_examples=300, deadline=None)
@given(streams, chunkings)
def test_any_chunking_gives_the_same_events(stream, sizes):
    whole = events_of(stream, [max(1, len(stream))], limits=LIMITS)
    assert events_of(stream, sizes, limits=LIMITS) == whole
    assert events_of(stream, sizes, limits=LIMITS, by_buffer=True) == whole


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(good, garbage, broken, cut), max_size=3).map(b"".join))
def test_one_byte_at_a_time_gives_the_same_events(stream):
    whole = events_of(stream, [max(1, len(stream))], limits=LIMITS)
    assert events_of(stream, [1], limits=LIMITS) == whole


@settings(max_examples=200, deadline=None)
@given(streams, chunkings)
def test_every_byte_is_in_one_event(stream, sizes):
    events = events_of(stream, sizes, limits=ENDLESS)
    assert sum(len(event[1]) if event[0] == "frame" else event[2] for event in events) == len(stream)
    at = 0
    for event in events:
        size = len(event[1]) if event[0] == "frame" else event[2]
        assert stream[at : at + size].startswith(event[1])
        at += size


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(good, garbage, broken), max_size=10), chunkings)
def test_no_true_frame_is_lost_among_broken_ones(pieces, sizes):
    events = events_of(b"".join(pieces), sizes, limits=ENDLESS)
    found = [event[1] for event in events if event[0] == "frame" and event[1] in GOOD]
    assert found == [piece for piece in pieces if piece in GOOD]
