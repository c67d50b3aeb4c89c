import contextlib

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st

from schemas.cards import Cards
from schemas.errors import FrameError, FrequencyError, HeaderError, RejectReason, SchemaError, TimestampError
from schemas.fits_image import encode_image
from schemas.pixel_order import PixelOrder
from schemas.window import decode_window, window_timestamp
from tests.support.frames import (
    T0_US,
    card,
    hostile_frames,
    make_cards,
    make_frame,
    make_pixels,
    pack_frame,
    payload_of,
)

ORDERS = list(PixelOrder)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", [(16, 24), (1, 16, 24), (1, 1, 3, 40), (1, 7), (7, 1), (1, 1)])
def test_pixels_stand_where_the_fits_standard_says(shape, order):
    pixels = make_pixels(shape)
    window = decode_window(make_frame(T0_US, pixels=pixels, pixel_order=order), order)
    assert window.shape == shape
    assert window.pixels.dtype == np.dtype("<f4")
    assert np.array_equal(window.pixels, pixels)


@pytest.mark.filterwarnings("ignore:'datfix' made the change")  # astropy adds MJD-OBS for itself
@pytest.mark.parametrize("order", ORDERS)
def test_an_asymmetric_image_lands_where_its_wcs_says(order, tmp_path):
    """One bright pixel at a known sky position, in an image that is not square."""
    cards = make_cards(shape=(16, 24), frequency_hz=None, extra_cards=[card("RESTFRQ", 6.0e7)])
    telescope = fits.Header.fromstring(cards.decode())
    wcs = WCS(telescope)
    right_ascension, declination = 118.0, 54.0
    x, y = (round(float(value)) for value in wcs.wcs_world2pix(right_ascension, declination, 0))
    assert x != y
    pixels = np.zeros((16, 24), dtype=np.float32)
    pixels[y, x] = 100.0
    pixels[0, 23] = 7.0  # a corner, so that a mirrored image is noticed too

    window = decode_window(pack_frame(cards, payload_of(pixels, order)), order)
    path = tmp_path / "image.fits"
    path.write_bytes(encode_image(window))

    for image, header in (
        (window.pixels, telescope),
        fits.getdata(path, header=True),
    ):
        row, column = np.unravel_index(np.argmax(image), image.shape)
        found = WCS(header).wcs_pix2world(column, row, 0)
        assert np.allclose([float(value) for value in found], (right_ascension, declination), atol=0.25)
        assert image[0, 23] == 7.0


def test_the_old_emulators_order():
    """It packed `data.flatten('F')` of an array of shape (NAXIS2, NAXIS1)."""
    data = make_pixels((16, 24))
    frame = pack_frame(make_cards(), data.flatten("F").tobytes())
    assert np.array_equal(decode_window(frame, PixelOrder.TRANSPOSED).pixels, data)
    assert not np.array_equal(decode_window(frame, PixelOrder.FITS).pixels, data)


def test_a_transposed_square_image():
    """The real telescope's images are square: their shape does not tell, their pixels do."""
    data = make_pixels((9, 9))
    frame = pack_frame(make_cards(shape=(9, 9)), data.flatten("F").tobytes())
    assert np.array_equal(decode_window(frame, PixelOrder.TRANSPOSED).pixels, data)


def test_what_a_window_holds():
    window = decode_window(make_frame(T0_US + 123_456, frequency_hz=6.25e7))
    assert window.timestamp_us == T0_US + 123_456
    assert window.frequency_hz == 6.25e7
    assert window.pixel_order is PixelOrder.FITS
    assert window.cards.get_str("TELESCOP") == "AARTFAAC"


@pytest.mark.parametrize("order", ORDERS)
def test_pixels_are_a_view(order):
    frame = make_frame(T0_US)
    pixels = decode_window(frame, order).pixels
    assert not pixels.flags.owndata
    assert not pixels.flags.writeable
    assert np.shares_memory(pixels, np.frombuffer(frame, dtype="u1"))


def test_pixels_that_are_not_aligned():
    pixels = make_pixels()
    cards = make_cards() + b"COMMENT x"  # 9 bytes more
    assert np.array_equal(decode_window(pack_frame(cards, payload_of(pixels))).pixels, pixels)


def test_pixels_that_are_no_numbers_are_fine():
    pixels = make_pixels()
    pixels[2, 3], pixels[4, 5], pixels[6, 7] = np.nan, np.inf, -np.inf
    window = decode_window(make_frame(T0_US, pixels=pixels))
    assert window.pixels.tobytes() == pixels.tobytes()


REASONS = {
    "wrong magic": (FrameError, RejectReason.BAD_MAGIC),
    "lengths of 4 GiB": (FrameError, RejectReason.LENGTH_MISMATCH),
    "no FITS header": (HeaderError, RejectReason.NO_NAXIS),
    "pixels shorter than NAXISn": (FrameError, RejectReason.LENGTH_MISMATCH),
    "pixels longer than NAXISn": (FrameError, RejectReason.LENGTH_MISMATCH),
    "header with line breaks": (HeaderError, RejectReason.HEADER_UNREADABLE),
    "header in UTF-8": (HeaderError, RejectReason.HEADER_UNREADABLE),
    "header of noise": (HeaderError, RejectReason.HEADER_UNREADABLE),
    "no NAXIS": (HeaderError, RejectReason.NO_NAXIS),
    "NAXIS2 no number": (HeaderError, RejectReason.BAD_AXES),
    "NAXIS1 negative": (HeaderError, RejectReason.BAD_AXES),
    "one axis": (HeaderError, RejectReason.BAD_AXES),
    "five axes": (HeaderError, RejectReason.BAD_AXES),
    "a cube": (HeaderError, RejectReason.BAD_AXES),
    "zero-size image": (HeaderError, RejectReason.EMPTY_IMAGE),
    "no DATE-OBS": (TimestampError, RejectReason.NO_DATE_OBS),
    "DATE-OBS no date": (TimestampError, RejectReason.BAD_DATE_OBS),
    "DATE-OBS in a leap second": (TimestampError, RejectReason.BAD_DATE_OBS),
    "DATE-OBS before 1970": (TimestampError, RejectReason.BAD_DATE_OBS),
    "TIMESYS unknown": (TimestampError, RejectReason.TIME_SYSTEM),
    "no frequency": (FrequencyError, RejectReason.NO_FREQUENCY),
    "frequency 0": (FrequencyError, RejectReason.BAD_FREQUENCY),
    "frequency no number": (FrequencyError, RejectReason.BAD_FREQUENCY),
    "string not closed": (HeaderError, RejectReason.HEADER_UNREADABLE),
}


@pytest.mark.parametrize("name", hostile_frames())
def test_hostile_frames_are_refused_with_their_reason(name):
    error_class, reason = REASONS[name]
    with pytest.raises(error_class) as error:
        decode_window(hostile_frames()[name])
    assert error.value.reason is reason
    assert len(str(error.value)) < 400


@given(st.binary(max_size=700), st.sampled_from(ORDERS))
def test_any_bytes_raise_documented_errors_only(data, order):
    with pytest.raises(SchemaError):
        decode_window(data, order)


@given(st.data())
def test_a_damaged_frame_raises_documented_errors_only(data):
    frame = bytearray(make_frame(T0_US, shape=(2, 3)))
    for _ in range(data.draw(st.integers(1, 6))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(frame)))
    with contextlib.suppress(SchemaError):
        decode_window(bytes(frame[:cut] if data.draw(st.booleans()) else frame))


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"date_obs": "2026-11-23T10:00:00.5Z"}, T0_US + 500_000),
        ({"date_obs": "2026-11-23"}, T0_US - 36_000_000_000),
    ],
)
def test_window_timestamp(cards, expected):
    assert window_timestamp(Cards.scan(make_cards(**cards))) == expected


def test_window_timestamp_obeys_timesys():
    text = make_cards(date_obs="2026-11-23T10:00:37", extra_cards=[b"TIMESYS = 'TAI     '".ljust(80)])
    assert window_timestamp(Cards.scan(text)) == T0_US
