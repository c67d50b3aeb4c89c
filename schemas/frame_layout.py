"""The image protocol: a frame's header, how a frame is written, and the parts of what was read.

A frame is a header of 512 bytes, the FITS header as text, the pixels. The header is little-endian: uint64
magic, uint32 length of the FITS text, uint32 length of the pixels, zeros up to 512.
"""

import struct
from dataclasses import dataclass
from typing import Final

from schemas.cards import Cards
from schemas.errors import FrameError, RejectReason

MAGIC: Final = 0x47494A53484F4D4F
MAGIC_BYTES: Final = MAGIC.to_bytes(8, "little")
HEADER_SIZE: Final = 512

_FIELDS: Final = struct.Struct("<QII")
LENGTHS_END: Final = _FIELDS.size
_MIB: Final = 1 << 20
_LENGTH_MAX: Final = 2**32 - 1
# Up to here a length field has a byte that no FITS text may hold, so a text never contains a header. The
# decoder's work stays linear because of it: see FrameDecoder._take_header.
_MAX_FITS_BYTES: Final = 16 * _MIB


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """What a frame may claim before memory is given to it.

    Attributes:
        max_fits_bytes: the FITS text; at most 16 MiB.
        max_frame_bytes: header, FITS text and pixels together.
        max_resync_bytes: how far the next magic may be.
        max_reject_bytes: how many of the skipped bytes are kept.
    """

    max_fits_bytes: int = _MIB
    max_frame_bytes: int = 64 * _MIB
    max_resync_bytes: int = 128 * _MIB
    max_reject_bytes: int = 64 * 1024

    def __post_init__(self) -> None:
        """Refuse limits that no frame could meet.

        Raises:
            ValueError: names the limit.
        """
        if not 0 < self.max_fits_bytes <= _MAX_FITS_BYTES:
            raise ValueError(f"max_fits_bytes is {self.max_fits_bytes}, not 1 to {_MAX_FITS_BYTES}")
        if not HEADER_SIZE < self.max_frame_bytes <= _LENGTH_MAX:
            raise ValueError(f"max_frame_bytes is {self.max_frame_bytes}, not {HEADER_SIZE + 1} to 2^32 - 1")
        if self.max_resync_bytes <= 0:
            raise ValueError(f"max_resync_bytes is {self.max_resync_bytes}, not positive")
        if self.max_reject_bytes <= 0:
            raise ValueError(f"max_reject_bytes is {self.max_reject_bytes}, not positive")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame whose lengths agree with its FITS header.

    Attributes:
        data: the whole frame, verbatim.
        cards: its FITS header.
        pixels_offset: where the pixels begin in `data`.
    """

    data: bytes
    cards: Cards
    pixels_offset: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """Bytes that are no frame.

    Attributes:
        data: the bytes, or the first `max_reject_bytes` of them.
        total_bytes: how many they were.
        reason: why the first frame header among them was refused; `bad_magic` where there was none.
        detail: the same for people.
    """

    data: bytes
    total_bytes: int
    reason: RejectReason
    detail: str


def encode_frame(fits_text: bytes, pixels: bytes | memoryview) -> bytes:
    """Write a frame.

    Args:
        fits_text: cards of 80 characters without line breaks.
        pixels: little-endian float32 in FITS order; any contiguous buffer.

    Raises:
        FrameError: a length does not fit its field.
    """
    payload = memoryview(pixels).cast("B")
    if len(fits_text) > _LENGTH_MAX or len(payload) > _LENGTH_MAX:
        raise FrameError("the FITS text or the pixels are longer than 2^32 - 1 bytes")
    header = _FIELDS.pack(MAGIC, len(fits_text), len(payload)).ljust(HEADER_SIZE, b"\0")
    return b"".join((header, fits_text, payload))


def read_lengths(header: bytes | bytearray | memoryview, offset: int = 0) -> tuple[int, int]:
    """The lengths of FITS text and pixels in a frame header of which at least 16 bytes are there.

    Raises:
        FrameError: it does not begin with the magic; reason `bad_magic`.
    """
    magic, fits_bytes, pixels_bytes = _FIELDS.unpack_from(header, offset)
    if magic != MAGIC:
        raise FrameError(
            f"a frame begins with the magic 0x{MAGIC:016x}, not 0x{magic:016x}", reason=RejectReason.BAD_MAGIC
        )
    return fits_bytes, pixels_bytes


def check_lengths(fits_bytes: int, pixels_bytes: int, limits: FrameLimits) -> None:
    """Check what a frame header claims, before any memory is given to it.

    Raises:
        FrameError: reason `lengths_refused`.
    """
    if not 0 < fits_bytes <= limits.max_fits_bytes:
        raise FrameError(
            f"a frame claims a FITS header of {fits_bytes} bytes; 1 to {limits.max_fits_bytes} are allowed",
            reason=RejectReason.LENGTHS_REFUSED,
        )
    total = HEADER_SIZE + fits_bytes + pixels_bytes
    if total > limits.max_frame_bytes:
        raise FrameError(
            f"a frame claims {total} bytes; max_frame_bytes allows {limits.max_frame_bytes}",
            reason=RejectReason.LENGTHS_REFUSED,
        )


def check_pixels(cards: Cards, pixels_bytes: int) -> None:
    """Check a frame's length of pixels against its FITS header.

    Raises:
        HeaderError: the header does not say how many pixels there are.
        FrameError: it says something else; reason `length_mismatch`.
    """
    announced = cards.pixels_bytes
    if announced != pixels_bytes:
        raise FrameError(
            f"a frame claims {pixels_bytes} bytes of pixels, but NAXISn, …, NAXIS1 = {cards.axes} "
            f"are {announced} bytes",
            reason=RejectReason.LENGTH_MISMATCH,
        )
