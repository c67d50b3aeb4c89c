"""A frame decoded: the telescope's header and the pixels, in the order of its WCS."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.cards import Cards
from schemas.errors import FrameError, RejectReason, TimestampError
from schemas.frame_layout import HEADER_SIZE, LENGTHS_END, check_pixels, read_lengths
from schemas.frequency import frequency_hz
from schemas.pixel_order import PixelOrder
from schemas.timestamp import parse_date_obs


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A frame decoded.

    Attributes:
        timestamp_us: DATE-OBS, microseconds since 1970 UTC.
        shape: (NAXISn, …, NAXIS2, NAXIS1); all but the last two are 1.
        frequency_hz: in Hz.
        cards: the FITS header as the telescope wrote it.
        pixels: float32, little-endian, of `shape`: pixels[..., y, x] is FITS pixel (x + 1, y + 1) whatever
            the order in the frame. A read-only view of the frame; not contiguous where it was transposed.
        pixel_order: the order in the frame.
    """

    timestamp_us: int
    shape: tuple[int, ...]
    frequency_hz: float
    cards: Cards
    pixels: NDArray[np.float32]
    pixel_order: PixelOrder


def window_timestamp(cards: Cards) -> int:
    """DATE-OBS in the time system of TIMESYS: microseconds since 1970 UTC.

    Raises:
        TimestampError: reason `no_date_obs`, `bad_date_obs` or `time_system`.
        HeaderError: a string without its closing quote.
    """
    date_obs = cards.get_str("DATE-OBS")
    if not date_obs:
        raise TimestampError("the header has no DATE-OBS", reason=RejectReason.NO_DATE_OBS)
    return parse_date_obs(date_obs, cards.get_str("TIMESYS"))


def decode_window(frame: bytes, pixel_order: PixelOrder = PixelOrder.FITS) -> Window:
    """Decode a verbatim frame. The pixels are not copied.

    Args:
        frame: exactly one frame.
        pixel_order: as the source's URL says.

    Raises:
        FrameError: the lengths do not fit the frame or its FITS header.
        HeaderError: the FITS header or its axes cannot be used.
        TimestampError: DATE-OBS or TIMESYS cannot.
        FrequencyError: there is no usable frequency.
    """
    if len(frame) < LENGTHS_END:
        raise FrameError(f"a frame has at least {HEADER_SIZE} bytes, this has {len(frame)}")
    fits_bytes, pixels_bytes = read_lengths(frame)
    pixels_offset = HEADER_SIZE + fits_bytes
    if len(frame) != pixels_offset + pixels_bytes:
        raise FrameError(
            f"the frame has {len(frame)} bytes, but its header says {pixels_offset + pixels_bytes}"
        )
    cards = Cards.scan(memoryview(frame)[HEADER_SIZE:pixels_offset])
    check_pixels(cards, pixels_bytes)
    shape = cards.shape
    pixels = np.frombuffer(frame, dtype="<f4", offset=pixels_offset)
    if pixel_order is PixelOrder.TRANSPOSED:
        pixels = pixels.reshape(*shape[:-2], shape[-1], shape[-2]).swapaxes(-1, -2)
    else:
        pixels = pixels.reshape(shape)
    return Window(window_timestamp(cards), shape, frequency_hz(cards), cards, pixels, pixel_order)
