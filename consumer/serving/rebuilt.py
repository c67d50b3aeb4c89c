"""A frame made anew of an image in the groups topic, where raw has let go of the verbatim one. Pure."""

import numpy as np

from schemas.fits_image import decode_image
from schemas.frame import encode_frame
from schemas.pixel_order import PixelOrder


def rebuilt_frame(fits: bytes, pixel_order: PixelOrder) -> bytes:
    """The frame of a FITS value: its header text as it is, its pixels as they go over the wire.

    The image is the same, pixel for pixel; the frame is not, since the grouper has made the structural
    cards true: grouped again it gives the same FITS value, and it has another digest.

    Args:
        fits: a value of the groups topic.
        pixel_order: that of the source's other frames.

    Raises:
        SchemaError: it is no image as schemas/ describes it.
        FrameError: it is too long for a frame.
    """
    text, pixels = decode_image(fits)
    if pixel_order is PixelOrder.TRANSPOSED:
        pixels = pixels.swapaxes(-1, -2)
    return encode_frame(text, np.ascontiguousarray(pixels, dtype="<f4").data)
