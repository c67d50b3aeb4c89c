"""DATASUM and CHECKSUM of a FITS file: FITS standard 4.0, section 4.4.2.7 and appendix J."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_WORD: Final = 2**32 - 1
# The characters between digits, capitals and small letters, which the ASCII form leaves out.
_LEFT_OUT: Final = frozenset(b":;<=>?@[\\]^_`")


def ones_complement_sum(words: int) -> int:
    """Fold an ordinary sum of 32-bit words into their ones' complement sum, carries added at the end."""
    while words > _WORD:
        words = (words & _WORD) + (words >> 32)
    return words


def pixels_sum(pixels: NDArray[np.float32]) -> int:
    """The ordinary sum of an image's 32-bit words as a FITS file holds them, big-endian.

    The sum of the words' values is the same in any byte order, so nothing is swapped for it. Padding with
    zeros changes nothing. Exact up to 2^32 pixels.

    Args:
        pixels: contiguous little-endian float32, any shape.
    """
    return int(pixels.view("<u4").sum(dtype=np.uint64))


def block_sum(block: bytes) -> int:
    """The ordinary sum of the big-endian 32-bit words of a header, a multiple of 4 bytes long."""
    return int(np.frombuffer(block, dtype=">u4").sum(dtype=np.uint64))


def encode_checksum(total: int) -> bytes:
    """The 16 characters for CHECKSUM that bring a unit's ones' complement sum to 2^32 - 1, minus zero.

    Each byte of the complement is written as four characters that add up to it and to four times '0',
    which the sum over the '0000000000000000' in the card has counted already. Pairs of them are moved
    apart until none is punctuation. The whole is rotated by one, since the card's string begins at
    column 12 and so a byte before a word's boundary.

    Args:
        total: ones' complement sum of the unit with that string of zeros in its CHECKSUM card.
    """
    columns = []
    for byte in (_WORD - total).to_bytes(4, "big"):
        quarter, remainder = divmod(byte, 4)
        column = [quarter + remainder + ord("0"), *[quarter + ord("0")] * 3]
        for pair in (0, 2):
            while column[pair] in _LEFT_OUT or column[pair + 1] in _LEFT_OUT:
                column[pair] += 1
                column[pair + 1] -= 1
        columns.append(column)
    text = bytes(column[row] for row in range(4) for column in columns)
    return text[-1:] + text[:-1]
