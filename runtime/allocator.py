"""How this process's memory is kept: freed blocks of the size of a frame stay, and are used again."""

import ctypes
from typing import Final

# From <malloc.h> of glibc.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

MMAP_THRESHOLD_BYTES: Final = 32 * 1024**2
"""The most that glibc takes: blocks of this size and more are still given back when they are freed."""
TRIM_THRESHOLD_BYTES: Final = 512 * 1024**2


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed, and hand it out again, instead of giving it to the system.

    Left alone, glibc returns each freed frame to the kernel, which clears every page again for the next
    one: a third of the processor time of the grouper at 4 MiB an image (docs/benchmarks.md). The most
    that the process has held at a time stays as it was.

    Returns:
        Whether it took effect; other C libraries (musl, macOS) have no such setting, and need none.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    done = [
        mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES) == 1,
        mallopt(_M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES) == 1,
    ]
    return all(done)
