"""A timestamp group as users hold it: its images, decoded when asked, and what is missing.

Reading a group decodes nothing: an image keeps the FITS bytes that Kafka gave. `.array` decodes the
pixels with numpy; astropy is imported only where a header or an HDU is asked for, because it takes
longer to import than a group takes to read.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from consumer.assembly import ImageRecord
from schemas.errors import PixelsError, RejectReason
from schemas.fits_image import decode_image

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header, PrimaryHDU

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(timestamp_us: int) -> datetime:
    """Microseconds since 1970 UTC as an aware datetime, exact to the microsecond."""
    return EPOCH + timedelta(microseconds=timestamp_us)


class Image:
    """One image of a group: one source at one timestamp.

    Attributes:
        source: the name of the image server it came from, usually one subband.
        frequency_hz: its frequency in Hz.
        digest: XXH3-128 of the frame as it came from the telescope, `xxh3-128:<32 hex digits>`.
        receive_time_us: when the connector had read the frame's last byte, microseconds since 1970 UTC.
        raw_offset: the offset of that frame in the raw topic's partition of the same number.
        offset: the offset of this image in the groups topic.
        fits: the record's value, a whole FITS file, verbatim; any FITS reader opens it.
        headers: what the record's headers say.
    """

    def __init__(self, record: ImageRecord) -> None:
        headers = record.headers
        self.headers = headers
        self.source: str = headers.source
        self.frequency_hz: float = headers.frequency_hz
        self.digest: str = headers.digest
        self.receive_time_us: int = headers.receive_time_us
        self.raw_offset: int = headers.raw_offset
        self.offset: int = record.offset
        self.fits: bytes = record.value

    def __repr__(self) -> str:
        return f"Image(source={self.source!r}, frequency_hz={self.frequency_hz!r}, offset={self.offset})"

    @property
    def receive_time(self) -> datetime:
        """When the connector had read the frame's last byte, UTC."""
        return utc(self.receive_time_us)

    @property
    def array(self) -> NDArray[np.float32]:
        """The pixels: axes (NAXIS2, NAXIS1), float32 in native byte order, writable.

        Further axes, which the image protocol holds to length 1, are left out here; `.header` and
        `.to_hdu()` keep them. Decoded at the first use, then kept.

        Raises:
            PixelsError: a further axis is longer than 1, so the image is not one plane.
            SchemaError: the record's value is not an image as schemas/ describes it.
        """
        pixels = self._pixels
        planes = pixels.shape[:-2]
        if any(length != 1 for length in planes):
            raise PixelsError(
                f"the image of {self.source} has the axes {pixels.shape}, which is more than one plane: "
                f"take .to_hdu().data, which has them all",
                reason=RejectReason.BAD_AXES,
            )
        return pixels.reshape(pixels.shape[-2:])

    @property
    def header(self) -> "Header":
        """The image's FITS header, every card as it was published; decoded at the first use, then kept."""
        return self._header

    def to_hdu(self) -> "PrimaryHDU":
        """The image as an astropy HDU of its own: header (all axes) and pixels, float32, in memory.

        The pixels are shared with `.array`. CHECKSUM and DATASUM are left out: they hold for the bytes
        of `.fits`, and astropy writes new ones when asked (`writeto(..., checksum=True)`).
        """
        from astropy.io import fits  # noqa: PLC0415 - see the module's docstring

        header = self._header.copy()
        header.remove("CHECKSUM", ignore_missing=True)
        header.remove("DATASUM", ignore_missing=True)
        return fits.PrimaryHDU(data=self._pixels, header=header)

    @cached_property
    def _header_text(self) -> bytes:
        return self._decoded[0]

    @cached_property
    def _pixels(self) -> NDArray[np.float32]:
        return self._decoded[1]

    @cached_property
    def _decoded(self) -> tuple[bytes, NDArray[np.float32]]:
        return decode_image(self.fits)

    @cached_property
    def _header(self) -> "Header":
        from astropy.io.fits import Header  # noqa: PLC0415 - see the module's docstring

        return Header.fromstring(self._header_text.decode("ascii"))


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """The images of one timestamp.

    Attributes:
        timestamp_us: DATE-OBS, microseconds since 1970 UTC.
        images: what is there, ordered by frequency.
        missing: names of the expected sources that are not there.
        expected: how many sources were expected.
        complete: nothing is missing.
        revision: 1 for the first publication of a timestamp; higher where it was repaired later.
        group_id: names this publication among all.
        partition: partition of the groups topic it was read from.
        first_offset: the offset of its first record there.
        last_offset: the offset of its last record; reading on starts right after it.
        out_of_order: in a stream merged by timestamp, an earlier group was waited for in vain and this
            is it: its timestamp is before that of a group delivered already.
    """

    timestamp_us: int
    images: tuple[Image, ...]
    missing: tuple[str, ...]
    expected: int
    complete: bool
    revision: int
    group_id: str
    partition: int
    first_offset: int
    last_offset: int
    out_of_order: bool = False

    @property
    def timestamp(self) -> datetime:
        """DATE-OBS as an aware datetime, UTC."""
        return utc(self.timestamp_us)

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the sources that are there, in the order of `images`."""
        return tuple(image.source for image in self.images)

    @property
    def size_bytes(self) -> int:
        """Bytes of all its FITS values."""
        return sum(len(image.fits) for image in self.images)

    @property
    def received_us(self) -> int:
        """When the connector had read the last byte of its last frame, microseconds since 1970 UTC."""
        return max(image.receive_time_us for image in self.images)

    def only(self, sources: Collection[str]) -> "Group":
        """The group as if these sources alone were expected; without any, the group itself.

        Those that are not there are `missing`, also where nobody expected them.
        """
        if not sources:
            return self
        images = tuple(image for image in self.images if image.source in sources)
        there = {image.source for image in images}
        missing = tuple(source for source in sources if source not in there)
        return replace(self, images=images, missing=missing, expected=len(sources), complete=not missing)

    def to_hdulist(self) -> "HDUList":
        """The group as one FITS file in memory, as consumer.fits_files describes it."""
        from consumer.fits_files import group_hdulist  # noqa: PLC0415 - astropy only where it is used

        return group_hdulist(self)


def group_from(records: Sequence[ImageRecord]) -> Group:
    """The group that is made of these records: all of one group id, as the assembler gives them."""
    head = records[0].headers
    offsets = [record.offset for record in records]
    images = sorted(
        (Image(record) for record in records), key=lambda image: (image.frequency_hz, image.source)
    )
    return Group(
        timestamp_us=head.timestamp_us,
        images=tuple(images),
        missing=head.missing,
        expected=head.expected,
        complete=head.complete,
        revision=head.revision,
        group_id=head.group_id,
        partition=records[0].partition,
        first_offset=min(offsets),
        last_offset=max(offsets),
    )
