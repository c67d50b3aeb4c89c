"""Frames of the image protocol for tests: good ones, and ones that lie.

They are built from the protocol's description with struct and numpy, not with schemas/, so that a mistake
there is not repeated here.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

MAGIC_BYTES = struct.pack("<Q", 0x47494A53484F4D4F)
HEADER_SIZE = 512
T0_US = 1_795_428_000_000_000
"""2026-11-23T10:00:00Z, microseconds since 1970 UTC."""


def card(keyword: str, value: object, comment: str = "") -> bytes:
    """One card of 80 characters; strings quoted, numbers and logicals right-aligned to column 30."""
    if isinstance(value, bool):
        text = ("T" if value else "F").rjust(20)
    elif isinstance(value, str):
        text = "'" + value.replace("'", "''").ljust(8) + "'"
    elif isinstance(value, float):
        text = f"{value:.12G}".rjust(20)
    else:
        text = str(value).rjust(20)
    line = f"{keyword:<8}= {text}" + (f" / {comment}" if comment else "")
    assert len(line) <= 80, line
    return line.ljust(80).encode("ascii")


def iso(timestamp_us: int) -> str:
    """A timestamp as DATE-OBS text with microseconds."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=timestamp_us)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def make_cards(
    *,
    date_obs: str | None = "2026-11-23T10:00:00.000000",
    shape: Sequence[int] = (16, 24),
    frequency_hz: float | None = 6.0e7,
    extra_cards: Sequence[bytes] = (),
    end: bool = False,
    padding: bool = False,
) -> bytes:
    """The FITS header text of an image with a WCS, as an image server writes it.

    Args:
        date_obs: DATE-OBS as it is; None leaves the card out.
        shape: numpy order, (…, NAXIS2, NAXIS1).
        frequency_hz: RESTFREQ, a string as the old emulator writes it; None leaves the card out.
        extra_cards: whole cards of 80 bytes, put last.
        end: write END.
        padding: pad to 2880.
    """
    axes = tuple(reversed(shape))
    cards = [card("SIMPLE", value=True), card("BITPIX", -32), card("NAXIS", len(axes))]
    cards += [card(f"NAXIS{number}", length) for number, length in enumerate(axes, start=1)]
    if date_obs is not None:
        cards.append(card("DATE-OBS", date_obs))
    if frequency_hz is not None:
        cards.append(card("RESTFREQ", repr(float(frequency_hz))))
    cards += [
        card("TELESCOP", "AARTFAAC"),
        card("CTYPE1", "RA---SIN"),
        card("CRVAL1", 120.0),
        card("CRPIX1", 7.0),
        card("CDELT1", -0.25),
        card("CUNIT1", "deg"),
        card("CTYPE2", "DEC--SIN"),
        card("CRVAL2", 52.5),
        card("CRPIX2", 5.0),
        card("CDELT2", 0.25),
        card("CUNIT2", "deg"),
        *extra_cards,
    ]
    text = b"".join(cards)
    if end or padding:
        text += b"END".ljust(80)
    if padding:
        text += b" " * (-len(text) % 2880)
    return text


def make_pixels(shape: Sequence[int] = (16, 24), seed: int = 0) -> NDArray[np.float32]:
    """Noise: float32, of that shape."""
    return np.random.default_rng(seed).standard_normal(tuple(shape), dtype=np.float32)


def pack_frame(
    fits_text: bytes,
    payload: bytes,
    *,
    fits_bytes: int | None = None,
    pixels_bytes: int | None = None,
    magic: bytes = MAGIC_BYTES,
) -> bytes:
    """Header, FITS text, pixels; the header can lie about the lengths and the magic."""
    header = magic + struct.pack(
        "<II",
        len(fits_text) if fits_bytes is None else fits_bytes,
        len(payload) if pixels_bytes is None else pixels_bytes,
    )
    return header.ljust(HEADER_SIZE, b"\0") + fits_text + payload


def make_frame(
    timestamp_us: int,
    *,
    shape: Sequence[int] = (16, 24),
    frequency_hz: float = 6.0e7,
    seed: int = 0,
    pixel_order: str = "fits",
    extra_cards: Sequence[bytes] = (),
    pixels: NDArray[np.float32] | None = None,
) -> bytes:
    """A good frame.

    Args:
        timestamp_us: DATE-OBS, microseconds since 1970 UTC.
        shape: (…, NAXIS2, NAXIS1); that of `pixels`, if they are given.
        frequency_hz: as a string card, RESTFREQ.
        seed: of the noise.
        pixel_order: 'fits', or 'transposed': NAXIS2 fastest, as the old emulator packs.
        extra_cards: whole cards of 80 bytes, put last.
        pixels: instead of noise.
    """
    image = make_pixels(shape, seed) if pixels is None else pixels
    cards = make_cards(
        date_obs=iso(timestamp_us), shape=image.shape, frequency_hz=frequency_hz, extra_cards=extra_cards
    )
    return pack_frame(cards, payload_of(image, pixel_order))


def payload_of(image: NDArray[np.float32], pixel_order: str = "fits") -> bytes:
    """The pixels as they are sent; image[y, x] is FITS pixel (x + 1, y + 1)."""
    if pixel_order == "transposed":
        image = image.swapaxes(-1, -2)
    return np.ascontiguousarray(image, dtype="<f4").tobytes()


def hostile_frames() -> dict[str, bytes]:
    """Whole frames that cannot be used, by what is wrong; each is as long as its lengths say or shorter."""
    good = make_cards()
    payload = payload_of(make_pixels())

    def with_cards(**changes: object) -> bytes:
        shape = changes.get("shape", (16, 24))
        assert isinstance(shape, tuple)
        size = 4 * int(np.prod(shape))
        return pack_frame(make_cards(**changes), bytes(size))  # type: ignore[arg-type]

    return {
        "wrong magic": pack_frame(good, payload, magic=b"NOTMAGIC"),
        "lengths of 4 GiB": pack_frame(good, payload, fits_bytes=2**32 - 1, pixels_bytes=2**32 - 1),
        "no FITS header": pack_frame(b"", payload),
        "pixels shorter than NAXISn": pack_frame(good, payload[:-4]),
        "pixels longer than NAXISn": pack_frame(good, payload + bytes(4)),
        "header with line breaks": pack_frame(good.replace(b" " * 80, b"\n" * 80)[:-1] + b"\n", payload),
        "header in UTF-8": pack_frame(
            make_cards(extra_cards=[card("OBSERVER", "x")])[:-80] + b"\xc3" * 80, payload
        ),
        "header of noise": pack_frame(bytes(range(256)) * 5, payload),
        "no NAXIS": pack_frame(good.replace(b"NAXIS   =", b"NOAXIS  ="), payload),
        "NAXIS2 no number": pack_frame(
            good.replace(b"NAXIS2  =                   16", b"NAXIS2  =                many"), payload
        ),
        "NAXIS1 negative": pack_frame(
            good.replace(b"NAXIS1  =                   24", b"NAXIS1  =                  -24"), payload
        ),
        "one axis": with_cards(shape=(384,)),
        "five axes": with_cards(shape=(1, 1, 1, 16, 24)),
        "a cube": with_cards(shape=(2, 16, 24)),
        "zero-size image": with_cards(shape=(0, 24)),
        "no DATE-OBS": with_cards(date_obs=None),
        "DATE-OBS no date": with_cards(date_obs="yesterday"),
        "DATE-OBS in a leap second": with_cards(date_obs="2016-12-31T23:59:60.5"),
        "DATE-OBS before 1970": with_cards(date_obs="1969-12-31T23:59:59"),
        "TIMESYS unknown": with_cards(extra_cards=(card("TIMESYS", "TDB"),)),
        "no frequency": with_cards(frequency_hz=None),
        "frequency 0": with_cards(frequency_hz=0.0),
        "frequency no number": with_cards(frequency_hz=None, extra_cards=(card("RESTFRQ", "sixty MHz"),)),
        "string not closed": pack_frame(
            good.replace(b"'2026-11-23T10:00:00.000000'", b"'2026-11-23T10:00:00.000000 "), payload
        ),
    }
