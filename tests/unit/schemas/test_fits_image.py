import contextlib
import io
import re

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import HeaderError, PixelsError, RejectReason, SchemaError
from schemas.fits_image import decode_image, encode_image
from schemas.pixel_order import PixelOrder
from schemas.window import decode_window
from tests.support.frames import T0_US, card, make_cards, make_frame, make_pixels, pack_frame, payload_of


def encode(*extra, shape=(16, 24), order=PixelOrder.FITS, **options):
    pixels = make_pixels(shape)
    text = make_cards(shape=shape, extra_cards=extra, **options)
    return encode_image(decode_window(pack_frame(text, payload_of(pixels, order)), order))


def text_of(value):
    header, _ = decode_image(value)
    return [header[at : at + 80] for at in range(0, len(header), 80)]


def keywords(value):
    return [line[:8].rstrip().decode() for line in text_of(value)]


@pytest.mark.parametrize("order", list(PixelOrder))
@pytest.mark.parametrize(
    "shape", [(16, 24), (1, 16, 24), (1, 1, 16, 24), (1, 1), (1, 720), (40, 18), (33, 65)]
)
def test_astropy_opens_it_and_finds_the_checksums_right(shape, order):
    value = encode(shape=shape, order=order)  # the tests' settings make a warning an error
    assert len(value) % 2880 == 0
    with fits.open(io.BytesIO(value), checksum=True) as hdus:
        hdus.verify("exception")
        assert len(hdus) == 1
        assert np.array_equal(hdus[0].data, make_pixels(shape))
        assert hdus[0].verify_checksum() == 1
        assert hdus[0].verify_datasum() == 1


def test_a_flipped_bit_is_noticed():
    value = bytearray(encode())
    value[-2500] ^= 1  # in the pixels
    with (
        pytest.warns(AstropyUserWarning, match="verification failed"),
        fits.open(io.BytesIO(value), checksum=True) as hdus,
    ):
        hdus[0].data  # noqa: B018 - read it


def test_structure_first_then_the_telescopes_cards_then_the_sums():
    value = encode(card("OBSERVER", "x"))
    names = [name for name in keywords(value) if name]
    assert names[:5] == ["SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2"]
    assert names[5:-3] == [
        "DATE-OBS", "RESTFREQ", "TELESCOP",
        "CTYPE1", "CRVAL1", "CRPIX1", "CDELT1", "CUNIT1",
        "CTYPE2", "CRVAL2", "CRPIX2", "CDELT2", "CUNIT2",
        "OBSERVER",
    ]  # fmt: skip
    assert names[-3:] == ["DATASUM", "CHECKSUM", "END"]


ODD = [
    b"HIERARCH LOFAR OBS ID = 'L12345' / a long keyword",
    b"COMMENT   = not a value, END",
    b"HISTORY ",
    b"",
    b"LONGSTR = 'abcdefgh&' / begins here",
    b"CONTINUE  'and goes on'",
    b"CPLX    = (1.0, -2.0)",
    b"EXPO    = 1.5D-03 / FORTRAN's exponent",
    b"DATE    = '2026-11-23' / in the middle",
    b"LOGICAL =                    F",
    b"OBSERVER= 'it''s / not a comment'",
]


def test_odd_but_legal_cards_are_kept_to_the_letter_and_in_order():
    odd = [line.ljust(80) for line in ODD]
    value = encode(*odd)
    lines = text_of(value)
    first = lines.index(odd[0])
    assert lines[first : first + len(odd)] == odd
    with fits.open(io.BytesIO(value), checksum=True) as hdus:
        assert hdus[0].header["LONGSTR"] == "abcdefghand goes on"
        assert hdus[0].header["LOFAR OBS ID"] == "L12345"


@pytest.mark.parametrize("date_obs", ["2026-11-23T10:00:00.5", "2026-11-23T10:00:00.123456789", "2026-11-23"])
def test_a_legal_date_obs_stays_as_the_telescope_wrote_it(date_obs):
    assert card("DATE-OBS", date_obs) in text_of(encode(date_obs=date_obs))


@pytest.mark.parametrize(
    "date_obs", ["2026-11-23T10:00:00Z", "2026-11-23T12:00:00+02:00", "2026-11-23 10:00:00"]
)
def test_an_illegal_date_obs_becomes_the_same_time_as_the_standard_has_it(date_obs):
    cards = text_of(encode(date_obs=date_obs))
    assert card("DATE-OBS", "2026-11-23T10:00:00.000000") in cards
    assert sum(each.startswith(b"DATE-OBS") for each in cards) == 1


def test_structural_cards_are_made_true():
    wrong = [
        card("EXTEND", value=False),
        card("BITPIX", 16),
        card("NAXIS3", 5),
        card("NAXIS999", 5),
    ]
    value = encode(*wrong)
    with fits.open(io.BytesIO(value), checksum=True) as hdus:
        header = hdus[0].header
        assert (header["SIMPLE"], header["BITPIX"], header["NAXIS"], header["EXTEND"]) == (True, -32, 2, True)
        assert (header["NAXIS1"], header["NAXIS2"]) == (24, 16)
    names = keywords(value)
    assert not [name for name in names if names.count(name) > 1 and name]
    assert "NAXIS3" not in names
    assert "NAXIS999" not in names
    assert names.index("EXTEND") == 5


def test_extend_is_not_invented():
    assert "EXTEND" not in keywords(encode())


DROPPED = [
    "XTENSION", "PCOUNT", "GCOUNT", "GROUPS", "BLOCKED", "BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM",
    "ZIMAGE", "ZSIMPLE", "ZEXTEND", "ZTENSION", "ZBITPIX", "ZNAXIS", "ZNAXIS2", "ZTILE1", "ZCMPTYPE",
    "ZNAME1",
    "ZVAL1",
    "ZQUANTIZ", "ZDITHER0", "ZSCALE", "ZZERO", "ZBLANK", "ZPCOUNT", "ZGCOUNT", "ZHECKSUM", "ZDATASUM",
    "ZMASKCMP", "ZBLOCKED", "TFIELDS", "TTYPE1", "TFORM12", "THEAP",
]  # fmt: skip
KEPT = ["ZENITH", "BSCALES", "BLANKET", "NAXES", "ZNAMES", "ZVAL", "TTYPE", "EXTNAME", "EXTENDED", "DATAMIN"]


def test_what_describes_another_storage_is_left_out():
    value = encode(*(card(name, 2) for name in DROPPED))
    names = keywords(value)
    assert names.count("CHECKSUM") == names.count("DATASUM") == 1
    assert not (set(names) & set(DROPPED)) - {"CHECKSUM", "DATASUM"}
    with fits.open(io.BytesIO(value), checksum=True) as hdus:
        assert np.array_equal(hdus[0].data, make_pixels())  # not scaled


def test_keywords_that_only_look_like_those_are_kept():
    assert set(KEPT) <= set(keywords(encode(*(card(name, 2) for name in KEPT))))


def test_a_long_string_is_left_out_whole_or_not_at_all():
    lines = text_of(encode(card("CHECKSUM", "abc&"), b"CONTINUE  'def'".ljust(80), card("OBSERVER", "x")))
    assert b"CONTINUE  'def'".ljust(80) not in lines
    assert card("OBSERVER", "x") in lines


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"RESTFREQ= '6.0e7   '           / in Hz", b"RESTFREQ=  6.0E7               / in Hz"),
        (b"RESTFRQ = '60000000.0'", b"RESTFRQ =  60000000.0"),
        (b"RESTFREQ=    ' 6.d7 ' / x", b"RESTFREQ=      6.D7   / x"),
        (b"RESTFREQ=           60000000.0 / in Hz", b"RESTFREQ=           60000000.0 / in Hz"),
    ],
)
def test_a_frequency_in_quotes_becomes_a_number(written, expected):
    value = encode(written.ljust(80), frequency_hz=None)
    assert expected.ljust(80) in text_of(value)
    with fits.open(io.BytesIO(value), checksum=True) as hdus:
        hdus.verify("exception")
        assert hdus[0].header[expected[:8].decode().rstrip()] == 6.0e7


def test_a_frequency_that_is_no_number_is_left_alone():
    line = b"RESTFREQ= 'unknown'".ljust(80)
    assert line in text_of(encode(line, frequency_hz=6.0e7))


def test_not_a_number_keeps_its_bits():
    pixels = make_pixels()
    pixels.view("<u4")[3, 4] = 0x7FC12345  # a quiet NaN with a payload
    value = encode_image(decode_window(make_frame(T0_US, pixels=pixels)))
    _, read = decode_image(value)
    assert read.tobytes() == pixels.tobytes()


@pytest.mark.parametrize("order", list(PixelOrder))
@pytest.mark.parametrize("shape", [(16, 24), (1, 1, 3, 50), (1, 1), (100, 17)])
def test_reads_back(shape, order):
    value = encode(shape=shape, order=order)
    header, pixels = decode_image(value)
    assert value.startswith(header)
    assert len(header) % 2880 == 0
    assert pixels.dtype == np.dtype("=f4")
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous
    assert np.array_equal(pixels, make_pixels(shape))


def test_the_same_window_gives_the_same_bytes():
    assert encode() == encode()


@pytest.mark.parametrize("end", [False, True])
def test_a_header_that_fills_its_block_exactly(end):
    cards = [b"HISTORY x".ljust(80)] * (36 - 21)
    value = encode(*cards, end=end, padding=end)
    assert [line[:3] for line in text_of(value)][-1] == b"END"
    with fits.open(io.BytesIO(value), checksum=True) as hdus:
        assert np.array_equal(hdus[0].data, make_pixels())


def replaced(old, new):
    value = encode()
    assert value.count(old) == 1
    return value.replace(old, new)


SIMPLE = b"SIMPLE  =                    T"
BITPIX = b"BITPIX  =                  -32"
BAD_VALUES = {
    "empty": (b"", HeaderError),
    "no END": (encode()[:800], HeaderError),
    "not FITS": (b"\x89PNG\r\n" * 600, HeaderError),
    "an extension": (replaced(SIMPLE, b"XTENSION= 'IMAGE   '          "), PixelsError),
    "SIMPLE = F": (replaced(SIMPLE, SIMPLE.replace(b"T", b"F")), PixelsError),
    "doubles": (replaced(BITPIX, BITPIX.replace(b"-32", b"-64")), PixelsError),
    "no BITPIX": (replaced(BITPIX, BITPIX.replace(b"BITPIX ", b"BITPIXX")), PixelsError),
    "scaled": (replaced(b"TELESCOP= 'AARTFAAC'", b"BSCALE  = 2.0       "), PixelsError),
    "cut off": (encode()[: 2880 + 1000], PixelsError),
    "larger than it is": (replaced(b" 24  ", b" 99  "), PixelsError),
    "no NAXIS": (replaced(b"NAXIS   =", b"NAXIX   ="), HeaderError),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_values_that_are_not_ours_are_refused(name):
    value, error_class = BAD_VALUES[name]
    with pytest.raises(error_class) as error:
        decode_image(value)
    assert error.value.reason in RejectReason


@given(st.data())
def test_a_damaged_value_raises_documented_errors_only(data):
    value = bytearray(encode(shape=(2, 3)))
    for _ in range(data.draw(st.integers(1, 6))):
        value[data.draw(st.integers(0, 1700))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SchemaError):
        decode_image(bytes(value))


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80), max_size=40))
def test_any_cards_give_a_file_with_right_sums(lines):
    """Whatever the telescope writes, sums and structure hold; the words sum to minus zero."""
    safe = [line.encode().ljust(80) for line in lines]
    safe = [line for line in safe if not re.match(rb"END *$|(NAXIS\d*|DATE-OBS|TIMESYS|RESTFRE?Q) *=", line)]
    value = encode(*safe, shape=(3, 4))
    assert ones_complement(value) == 0xFFFFFFFF
    header, pixels = decode_image(value)
    assert np.array_equal(pixels, make_pixels((3, 4)))
    assert ones_complement(value[len(header) :]) == int(re.search(rb"DATASUM = '(\d+) *'", header)[1])


def ones_complement(data):
    total = sum(int(word) for word in np.frombuffer(data, ">u4"))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total
