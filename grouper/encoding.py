"""Windows into FITS files, on a thread beside the loop.

An image is encoded while its group waits for others, and while Kafka takes those before it: numpy lets other
threads run. Once that is done the frame is let go, so an open group holds each image once.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeAlias

from schemas.fits_image import encode_image
from schemas.window import Window

Encoded: TypeAlias = Callable[[], bytes]
"""Returns the FITS file, waiting for it where it is under way."""

# To hand an image over costs about 0.05 ms, to encode one of this size 0.1 ms.
_WORTH_A_THREAD_BYTES: Final = 256 * 1024


def encode_when_asked(window: Window) -> Encoded:
    """Encode on the thread that asks, each time it asks."""
    return partial(encode_image, window)


class Encoder:
    """Encodes the windows of one partition in the order in which they came."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")

    def start(self, window: Window) -> Encoded:
        """Have a window encoded; a small one when it is asked for."""
        if window.pixels.nbytes < _WORTH_A_THREAD_BYTES:
            return encode_when_asked(window)
        return self._thread.submit(encode_image, window).result

    def close(self) -> None:
        """End the thread; what has not begun is not encoded any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
