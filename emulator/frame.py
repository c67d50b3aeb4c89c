"""Frames on their way out: shared pixels, and a head of their own for each timestamp."""

import struct
from dataclasses import dataclass

from emulator.cards import card
from runtime.image_server.script import Receipt, Send
from schemas.cards import CARD_SIZE
from schemas.frame import HEADER_SIZE, MAGIC
from schemas.timestamp import format_timestamp

_DATE_CARD = b"DATE-OBS="


def wire_header(fits_length: int, pixels_length: int, magic: int = MAGIC) -> bytes:
    """The 512 bytes in front of a frame; both lengths in bytes, as they shall be announced."""
    return struct.pack("<QII", magic, fits_length, pixels_length).ljust(HEADER_SIZE, b"\0")


def date_card(timestamp_us: int) -> bytes:
    """The DATE-OBS card of a timestamp."""
    # FITS 4.0, 9.1.1: no 'Z' at the end; TIMESYS says that it is UTC.
    return card("DATE-OBS", format_timestamp(timestamp_us).removesuffix("Z"), "start of the observation")


@dataclass(frozen=True, slots=True)
class Exposure:
    """An image that can be sent under any timestamp.

    Attributes:
        text: the FITS header, 80-character cards; DATE-OBS is among them.
        date_offset: where in `text` the DATE-OBS card begins; None: the text is sent as it is.
        pixels: little-endian float32 as it goes over the wire.
        frequency_hz: of the image; None where the header does not tell.
        timestamp_us: the image's own timestamp, which it keeps; None: it takes that of its step.
    """

    text: bytes
    date_offset: int | None
    pixels: memoryview
    frequency_hz: float | None
    timestamp_us: int | None = None

    def frame(self, source: str, timestamp_us: int) -> "OutgoingFrame":
        """This image as a frame of a source and a timestamp."""
        text = self.text
        if self.date_offset is not None:
            end = self.date_offset + CARD_SIZE
            text = text[: self.date_offset] + date_card(timestamp_us) + text[end:]
        header = wire_header(len(text), self.pixels.nbytes)
        return OutgoingFrame(source, timestamp_us, self.frequency_hz, header, text, self.pixels)


def find_date_card(text: bytes) -> int:
    """Where the DATE-OBS card begins.

    Raises:
        ValueError: there is none.
    """
    for offset in range(0, len(text), CARD_SIZE):
        if text.startswith(_DATE_CARD, offset):
            return offset
    raise ValueError("the header has no DATE-OBS card")


@dataclass(frozen=True, slots=True)
class OutgoingFrame:
    """The bytes of one frame, or of what a misbehaving server sends in its place.

    Attributes:
        source: name of the source that sends it.
        timestamp_us: microseconds since 1970 UTC.
        frequency_hz: None where unknown.
        header: the 512 bytes in front.
        text: the FITS header.
        pixels: the rest.
        fault: why no receiver can make an image of this timestamp of it; None for a good frame.
        oddity: what is unusual about a good frame; None for most.
    """

    source: str
    timestamp_us: int
    frequency_hz: float | None
    header: bytes
    text: bytes
    pixels: memoryview
    fault: str | None = None
    oddity: str | None = None

    @property
    def nbytes(self) -> int:
        """Bytes on the wire."""
        return len(self.header) + len(self.text) + self.pixels.nbytes

    def send(self, receipt: Receipt | None) -> Send:
        """The action that sends it; the pixels are not copied."""
        return Send.of(self.header + self.text, self.pixels, receipt=receipt)
