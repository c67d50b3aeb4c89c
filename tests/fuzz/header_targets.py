"""FITS headers, windows, images and times under any bytes."""

from contextlib import suppress

import numpy as np

from schemas.cards import CARD_SIZE, Cards
from schemas.errors import SchemaError
from schemas.fits_image import FITS_BLOCK, decode_image, encode_image
from schemas.frame_layout import encode_frame
from schemas.frequency import frequency_hz
from schemas.pixel_order import PixelOrder
from schemas.timestamp import format_timestamp, parse_date_obs, parse_key, parse_timestamp
from schemas.window import decode_window, window_timestamp
from tests.fuzz.verdict import require

_MOST_PIXELS_BYTES = 4096


def check_cards(data: bytes) -> None:
    """The input is a header text."""
    try:
        cards = Cards.scan(data)
    except SchemaError:
        return
    require(cards.text == data, "the text is not verbatim")
    every = cards.cards()
    require(all(len(card) == CARD_SIZE for card in every), "a card has no 80 characters")
    require(b"".join(every)[: cards.end] == data[: cards.end], "the cards are not the text")
    for keyword, at in cards.positions.items():
        require(at % CARD_SIZE == 0 and data[at : at + 8] == keyword, f"{keyword!r} is not at {at}")
        name = keyword.decode("ascii").rstrip(" ")
        for read in (cards.get_str, cards.get_int, cards.get_float):
            with suppress(SchemaError):
                read(name)
    for whole in ("axes", "shape", "pixels_bytes"):
        with suppress(SchemaError):
            getattr(cards, whole)
    with suppress(SchemaError):
        require(frequency_hz(cards) > 0, "a frequency is not above 0")
    with suppress(SchemaError):
        require(parse_timestamp(format_timestamp(window_timestamp(cards))) >= 0, "a time before 1970")


def check_window(data: bytes) -> None:
    """The input is a header text whose pixels are made to fit, or, after a zero byte, a verbatim frame."""
    if data.startswith(b"\0"):
        frame = data[1:]
    else:
        try:
            size = Cards.scan(data).pixels_bytes
        except SchemaError:
            return
        pixels = np.arange(min(size, _MOST_PIXELS_BYTES), dtype=np.uint32).astype(np.uint8).tobytes()
        frame = encode_frame(data, pixels)
    for order in PixelOrder:
        try:
            window = decode_window(frame, order)
        except SchemaError:
            continue
        # The grouper encodes inside a transaction what it decoded before: here nothing may fail.
        image = encode_image(window)
        require(len(image) % FITS_BLOCK == 0, "the FITS file has no whole blocks")
        header, read = decode_image(image)
        require(read.shape == window.shape, f"axes {read.shape} became of {window.shape}")
        require(
            read.view(np.uint32).tobytes() == np.ascontiguousarray(window.pixels).view("<u4").tobytes(),
            "the pixels have changed",
        )
        again = Cards.scan(header)
        require(frequency_hz(again) == window.frequency_hz, "the frequency has changed")
        require(window_timestamp(again) == window.timestamp_us, "DATE-OBS has changed")


def check_image(data: bytes) -> None:
    """The input is a value of the groups topic."""
    with suppress(SchemaError):
        header, pixels = decode_image(data)
        require(len(header) + pixels.nbytes <= len(data), "there are more pixels than bytes")


def check_time(data: bytes) -> None:
    """The input is a DATE-OBS and, after a line break, a TIMESYS; the whole of it also a record's key."""
    with suppress(SchemaError):
        key = parse_key(data)
        require(format_timestamp(key).encode() == data, "a key has two spellings")
    text = data.decode("ascii", "replace")
    date_obs, line_break, timesys = text.partition("\n")
    with suppress(SchemaError):
        timestamp_us = parse_date_obs(date_obs, timesys if line_break else None)
        shown = format_timestamp(timestamp_us)
        require(parse_timestamp(shown) == timestamp_us, "a time is not written as it was read")
        require(parse_date_obs(shown) == timestamp_us, "DATE-OBS does not read what we write")
