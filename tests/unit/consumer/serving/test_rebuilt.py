import numpy as np
import pytest

from consumer.serving.rebuilt import rebuilt_frame
from schemas.digest import frame_digest
from schemas.errors import SchemaError
from schemas.fits_image import encode_image
from schemas.frame import encode_frame
from schemas.pixel_order import PixelOrder
from schemas.window import decode_window
from tests.support.published_groups import START_US, frame_of


@pytest.mark.parametrize("order", PixelOrder)
def test_the_same_image_and_grouped_again_the_same_fits_value(order):
    window = decode_window(frame_of(START_US, "sb0"), order)
    fits = encode_image(window)
    again = decode_window(rebuilt_frame(fits, order), order)
    np.testing.assert_array_equal(again.pixels, window.pixels)
    assert (again.timestamp_us, again.frequency_hz) == (window.timestamp_us, window.frequency_hz)
    assert encode_image(again) == fits


def test_the_bits_of_a_nan_are_kept():
    frame = frame_of(START_US, "sb0")
    words = np.frombuffer(frame[-6 * 8 * 4 :], dtype="<u4").copy()
    words[5] = 0x7FC0_1234
    text = frame[512 : -6 * 8 * 4]
    window = decode_window(encode_frame(text, words.tobytes()))
    assert rebuilt_frame(encode_image(window), PixelOrder.FITS).endswith(words.tobytes())


def test_its_digest_is_another_one():
    frame = frame_of(START_US, "sb0")
    rebuilt = rebuilt_frame(encode_image(decode_window(frame)), PixelOrder.FITS)
    assert frame_digest(rebuilt) != frame_digest(frame)


def test_what_is_no_image_is_refused():
    with pytest.raises(SchemaError):
        rebuilt_frame(b"not an image", PixelOrder.FITS)
