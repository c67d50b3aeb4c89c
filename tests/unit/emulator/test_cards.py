import warnings

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from emulator.cards import card, header_text

KEYWORDS = st.sampled_from(["BMAJ", "CRVAL1", "A", "RESTFREQ", "DATE-OBS"])
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30),
)


@given(KEYWORDS, VALUES)
def test_astropy_reads_back_what_was_written(keyword, value):
    text = card(keyword, value, "a comment that is far too long " * 3)
    assert len(text) == 80
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = fits.Card.fromstring(text)
        read.verify("exception")
        assert read.keyword == keyword
        if isinstance(value, float):
            assert isinstance(read.value, float)
            assert read.value == pytest.approx(value, rel=1e-9)
        elif isinstance(value, str):
            assert read.value == value.rstrip()  # blanks at the end mean nothing in FITS
        else:
            assert read.value == value


def test_numbers_end_in_column_30():
    for value in (True, 7, -2.5, 1e300, -1.2345678901234567e-101):
        assert card("BMAJ", value)[:30].rstrip() == card("BMAJ", value).rstrip()
        assert len(card("BMAJ", value).rstrip()) == 30


def test_a_value_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="ORIGIN"):
        card("ORIGIN", "x" * 70)


def test_a_header_ends_with_end_and_fills_its_block():
    text = header_text([card("NAXIS", 2)] * 36)
    assert len(text) == 5760
    assert text[2880:].rstrip() == b"END"
