"""The tests' frames are built without schemas/; here the two are held against each other."""

import numpy as np
import pytest

from schemas.frame import Frame, FrameDecoder, Skipped, encode_frame
from schemas.pixel_order import PixelOrder
from schemas.timestamp import format_timestamp
from schemas.window import decode_window
from tests.support.frames import T0_US, hostile_frames, make_cards, make_frame, make_pixels, pack_frame


def test_t0():
    assert format_timestamp(T0_US) == "2026-11-23T10:00:00.000000Z"


@pytest.mark.parametrize("order", list(PixelOrder))
def test_a_good_frame_is_one(order):
    frame = make_frame(T0_US + 7, seed=3, frequency_hz=6.1e7, pixel_order=order)
    window = decode_window(frame, order)
    assert (window.timestamp_us, window.frequency_hz) == (T0_US + 7, 6.1e7)
    assert np.array_equal(window.pixels, make_pixels(seed=3))


def test_frames_are_written_as_the_code_writes_them():
    pixels = make_pixels().tobytes()
    assert pack_frame(make_cards(), pixels) == encode_frame(make_cards(), pixels)


@pytest.mark.parametrize("name", hostile_frames())
def test_a_hostile_frame_is_one_event(name):
    """Well-framed ones come out whole, so that they can be rejected whole; the others are skipped bytes."""
    data = hostile_frames()[name]
    decoder = FrameDecoder()
    decoder.feed(data)
    event = decoder.next_event() or decoder.close()
    assert isinstance(event, Frame | Skipped)
    assert event.data == data
    assert decoder.next_event() is None
