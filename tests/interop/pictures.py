"""Images to send, and what a FITS reader must find afterwards.

The synthetic ones are odd on purpose, the emulated ones come out of the emulator's sockets. All are of one
timestamp, so that together they are one group.
"""

import struct
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from schemas.pixel_order import PixelOrder
from tests.support.frame_reader import FrameReader
from tests.support.frames import card, iso, make_cards, make_pixels, pack_frame, payload_of
from tests.support.raw_topic import START_US

POINT = (5, 3)
"""Where the images `point-…` have their only bright pixel: NAXIS1, NAXIS2, counted from 1."""
EMULATED = {
    "emulator": ("96x64", PixelOrder.FITS),
    "emulator-transposed": ("96x64", PixelOrder.TRANSPOSED),
    "emulator-1024": ("1024", PixelOrder.FITS),
}
EMULATOR_SEED = 7


@dataclass(frozen=True)
class Picture:
    """An image on its way.

    Attributes:
        frame: as the image server sends it.
        pixel_order: as the source's URL says.
        pixels: what a FITS reader must find: axes (…, NAXIS2, NAXIS1), float32.
        cards: values that must be found in the header.
    """

    frame: bytes
    pixel_order: PixelOrder
    pixels: NDArray[np.float32]
    cards: dict[str, object]


def _picture(
    pixels: NDArray[np.float32], *extra: bytes, order: PixelOrder = PixelOrder.FITS, found=None, **options
) -> Picture:
    options = {"date_obs": iso(START_US), "frequency_hz": 6.0e7, **options}
    text = make_cards(shape=pixels.shape, extra_cards=extra, **options)
    cards = {"TELESCOP": "AARTFAAC", "CRVAL2": 52.5, **(found or {})}
    if options["frequency_hz"] is not None:
        cards["RESTFREQ"] = options["frequency_hz"]  # sent as text
    return Picture(pack_frame(text, payload_of(pixels, order)), order, pixels, cards)


def _point() -> NDArray[np.float32]:
    pixels = np.zeros((7, 11), np.float32)
    pixels[POINT[1] - 1, POINT[0] - 1] = 1.0
    return pixels


def _not_numbers() -> NDArray[np.float32]:
    pixels = make_pixels((6, 8))
    words = pixels.view(np.uint32)
    words[0, :4] = 0x7FC00000, 0xFFC00001, 0x7FC12345, 0xFFFFFFFF  # quiet NaNs of several kinds
    words[1, :4] = 0x7F800000, 0xFF800000, 0x80000000, 0x00000001  # infinities, minus zero, a denormal
    return pixels


def _old_emulator() -> Picture:
    """A header as astropy writes it, END and padding included; NAXIS2 fastest, as the old emulator packed."""
    pixels = make_pixels((20, 12), seed=3)
    header = fits.PrimaryHDU(np.zeros(pixels.shape, np.float32)).header
    values = {
        "DATE-OBS": iso(START_US),
        "RESTFREQ": "6000000.0",
        "RESTBW": 195312.5,
        "BUNIT": "JY/BEAM",
        "TELESCOP": "LOFAR",
        "CTYPE1": "RA---SIN",
        "CRPIX1": 6.5,
        "CDELT1": -0.1,
        "CRVAL1": 350.0,
        "CTYPE2": "DEC--SIN",
        "CRPIX2": 10.5,
        "CDELT2": 0.1,
        "CRVAL2": 52.9,
        "OBSERVER": "D'Arcy",
    }
    header.update(values)
    frame = pack_frame(header.tostring().encode("ascii"), payload_of(pixels, "transposed"))
    return Picture(frame, PixelOrder.TRANSPOSED, pixels, {**values, "RESTFREQ": 6.0e6})


def _axes(*, stokes: bool) -> list[bytes]:
    names = [("FREQ", 6.0e7, "Hz"), ("STOKES", 1.0, "")][: 1 + stokes]
    return [
        line
        for number, (name, value, unit) in enumerate(names, start=3)
        for line in (
            card(f"CTYPE{number}", name),
            card(f"CRPIX{number}", 1.0),
            card(f"CRVAL{number}", value),
            card(f"CDELT{number}", 1.0),
            card(f"CUNIT{number}", unit),
        )
    ]


_STORAGE = [
    card("EXTEND", value=True),
    card("BSCALE", 2.0),
    card("BZERO", 32768.0),
    card("BLANK", -32768),
    card("DATASUM", "1234567890"),
    card("CHECKSUM", "abcdefghijklmnop"),
]
_WORDS = [
    card("OBSERVER", "O'Hara & sons", "quotes are doubled"),
    b"LONGSTRN= 'OGIP 1.0'".ljust(80),
    b"LONGTEXT= 'a string that does not fit into one card, so it&'".ljust(80),
    b"CONTINUE  ' goes on in the next one'".ljust(80),
    b"HIERARCH LOFAR STATION SET = 'LBA_OUTER'".ljust(80),
    b"COMMENT = this is no value".ljust(80),
    b"HISTORY imaged, flagged, and imaged again".ljust(80),
    b" " * 80,
    b"GAIN    = 1.5D-03 / FORTRAN's exponent".ljust(80),
]
_LONG_TEXT = "a string that does not fit into one card, so it goes on in the next one"

SYNTHETIC = {
    "wide": _picture(make_pixels((16, 24))),
    "tall-with-end-and-padding": _picture(make_pixels((24, 10)), end=True, padding=True),
    "transposed": _picture(make_pixels((16, 24), seed=1), order=PixelOrder.TRANSPOSED),
    "one-pixel": _picture(make_pixels((1, 1))),
    "one-row": _picture(make_pixels((1, 720))),  # 2880 bytes: no padding behind the pixels
    "one-column": _picture(make_pixels((31, 1)), order=PixelOrder.TRANSPOSED),
    "three-axes": _picture(make_pixels((1, 6, 8)), *_axes(stokes=False), frequency_hz=None),
    "four-axes": _picture(make_pixels((1, 1, 6, 8)), *_axes(stokes=True)),
    "four-axes-transposed": _picture(
        make_pixels((1, 1, 9, 8), seed=2), *_axes(stokes=True), order=PixelOrder.TRANSPOSED
    ),
    "not-numbers": _picture(_not_numbers()),
    "not-numbers-transposed": _picture(_not_numbers(), order=PixelOrder.TRANSPOSED),
    "storage-cards": _picture(make_pixels((6, 8)), *_STORAGE),
    "wordy": _picture(
        make_pixels((6, 8)),
        *_WORDS,
        found={"OBSERVER": "O'Hara & sons", "LONGTEXT": _LONG_TEXT, "GAIN": 1.5e-3},
    ),
    "old-emulator": _old_emulator(),
    "atomic-time": _picture(
        make_pixels((6, 8)), card("TIMESYS", "TAI"), date_obs="2026-11-23T10:00:37", found={"TIMESYS": "TAI"}
    ),
    # ISO 8601, which the image protocol allows, but no dates of the FITS standard (4.0, section 9.1.1)
    "date-with-z": _picture(
        make_pixels((6, 8)), date_obs="2026-11-23T10:00:00Z", found={"DATE-OBS": "2026-11-23T10:00:00.000000"}
    ),
    "date-with-offset": _picture(
        make_pixels((6, 8)),
        date_obs="2026-11-23T12:00:00+02:00",
        found={"DATE-OBS": "2026-11-23T10:00:00.000000"},
    ),
    "point": _picture(_point()),
    "point-transposed": _picture(_point(), order=PixelOrder.TRANSPOSED),
}


def emulated() -> dict[str, Picture]:
    """A frame of each of the emulators, read off its socket."""
    return {name: _emulated(*how) for name, how in EMULATED.items()}


def _emulated(size: str, order: PixelOrder) -> Picture:
    settings = EmulatorSettings(
        emulator_port=0,
        emulator_sources=1,
        emulator_size=size,
        emulator_rate="max",
        emulator_frames=1,
        emulator_start=iso(START_US),
        emulator_cadence_s=1.0,
        emulator_seed=EMULATOR_SEED,
        emulator_ring=1,
        emulator_pixel_order=order,
    )
    with Emulator(settings) as emulator:
        (source,) = emulator.sources
        with FrameReader(source.host, source.port) as reader:
            (frame,) = reader.wait_for_end()
    text_bytes, pixels_bytes = struct.unpack_from("<II", frame, 8)
    naxis1, _, naxis2 = size.partition("x")
    sent = np.frombuffer(frame, "<f4", offset=512 + text_bytes)
    assert sent.nbytes == pixels_bytes
    columns, rows = int(naxis1), int(naxis2 or naxis1)
    pixels = sent.reshape(columns, rows).T if order is PixelOrder.TRANSPOSED else sent.reshape(rows, columns)
    return Picture(frame, order, pixels, {"TELESCOP": "LOFAR", "INSTRUME": "AARTFAAC", "RESTFREQ": 6.0e6})


NAMES = (*SYNTHETIC, *EMULATED)
