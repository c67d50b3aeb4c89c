"""The order of the pixels in a frame; apart from the pixels themselves, so that settings need no numpy."""

from enum import StrEnum


class PixelOrder(StrEnum):
    """The order of the pixels in a frame, for NAXIS1 and NAXIS2.

    `fits`: NAXIS1 varies fastest, as in a FITS file. `transposed`: NAXIS2 does, as in frames of the old
    emulator, which flattened an array of shape (NAXIS2, NAXIS1) by columns.
    """

    FITS = "fits"
    TRANSPOSED = "transposed"
