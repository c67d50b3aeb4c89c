import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from schemas.fits_checksum import block_sum, encode_checksum, ones_complement_sum, pixels_sum


def test_the_standards_own_example():
    assert encode_checksum(868_229_149) == b"hcHjjc9ghcEghc9g"  # FITS standard 4.0, appendix J


@pytest.mark.parametrize(
    ("words", "folded"), [(0, 0), (2**32 - 1, 2**32 - 1), (2**32, 1), (2**64 - 1, 2**32 - 1)]
)
def test_carries_are_added_at_the_end(words, folded):
    assert ones_complement_sum(words) == folded


@given(st.integers(0, 2**32 - 1))
def test_a_checksum_is_printable_and_brings_the_sum_to_minus_zero(total):
    text = encode_checksum(total)
    assert text.isalnum()
    assert len(text) == 16
    # In its card the string begins at byte 11, one before a word's boundary: turned back it adds up, over
    # the zeros that were counted before.
    turned = text[1:] + text[:1]
    added = ones_complement_sum(total + block_sum(turned) - block_sum(b"0" * 16))
    assert added == 2**32 - 1


@given(hnp.arrays(np.dtype("<f4"), st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_the_sum_needs_no_swap(pixels):
    big_endian = pixels.astype(">f4").tobytes()
    assert pixels_sum(pixels) == block_sum(big_endian)
    assert pixels_sum(pixels) == sum(
        int.from_bytes(big_endian[at : at + 4], "big") for at in range(0, len(big_endian), 4)
    )


def test_agrees_with_astropy():
    pixels = np.random.default_rng(5).standard_normal((31, 17), dtype=np.float32)
    hdu = fits.PrimaryHDU(pixels)
    hdu.add_datasum()
    assert int(hdu.header["DATASUM"]) == ones_complement_sum(pixels_sum(pixels))
