import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from schemas.cards import CARD_SIZE, Cards
from schemas.errors import HeaderError, RejectReason
from tests.support.frames import card, make_cards


def one(text):
    return Cards.scan(text.encode("ascii").ljust(CARD_SIZE))


def test_end_and_padding_may_be_there_or_not():
    bare = make_cards()
    for text in (
        bare,
        make_cards(end=True),
        make_cards(padding=True),
        bare + b"END",
        bare + b"END".ljust(80) + b"\0\xff anything",
    ):
        cards = Cards.scan(text)
        assert cards.text == text
        assert b"".join(cards.cards()) == bare
        assert cards.shape == (16, 24)


def test_the_text_of_the_old_emulator():
    header = fits.PrimaryHDU().header
    header["NAXIS"] = 2
    header["NAXIS1"] = 24
    header["NAXIS2"] = 16
    header["RESTFREQ"] = "6.0e7"
    header["DATE-OBS"] = "2026-11-23T10:00:00"
    header["OBSERVER"] = "O'Hara"
    text = str(header).encode("ascii")
    assert len(text) % 2880 == 0
    cards = Cards.scan(memoryview(text))
    assert cards.text == text
    assert cards.shape == (16, 24)
    assert cards.get_float("RESTFREQ") == 6.0e7
    assert cards.get_str("DATE-OBS") == "2026-11-23T10:00:00"
    assert cards.get_str("OBSERVER") == "O'Hara"


def test_the_last_card_may_lack_its_spaces():
    cards = Cards.scan(make_cards() + b"OBSERVER= 'x'")
    assert cards.get_str("OBSERVER") == "x"
    assert cards.cards()[-1] == b"OBSERVER= 'x'".ljust(80)


def test_end_in_the_words_of_a_comment_is_no_end():
    text = b"COMMENT this is not the END".ljust(80) + b" " * 80 + card("OBSERVER", "x")
    padded = b"COMMENT and neither is this ".ljust(77) + b"END" + b" " * 80 + card("TELESCOP", "y")
    cards = Cards.scan(text + padded + b"END".ljust(80) + card("AFTER", 1))
    assert cards.get_str("OBSERVER") == "x"
    assert cards.get_str("TELESCOP") == "y"
    assert cards.get_str("AFTER") is None
    assert len(cards.cards()) == 6


def test_end_beyond_the_first_block():
    text = make_cards(extra_cards=[b"HISTORY again".ljust(80)] * 100, end=True) + b"\n"
    assert len(Cards.scan(text).cards()) == len(make_cards()) // 80 + 100


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("OBJECT  = 'M31     '           / galaxy", "M31"),
        ("OBJECT  = 'it''s'", "it's"),
        ("OBJECT  = 'a / b'  / c", "a / b"),
        ("OBJECT  = '  led by spaces'", "  led by spaces"),
        ("OBJECT  = ''", ""),
        ("OBJECT  =                   12 / twelve", "12"),
        ("OBJECT  = T", "T"),
        ("OBJECT  =", None),
        ("OBJECT  =              / undefined", None),
        ("OBJECT    'no value indicator'", None),
        ("OBJECTS = 'another keyword'", None),
        ("COMMENT OBJECT  = 'no'", None),
    ],
)
def test_texts(text, value):
    assert one(text).get_str("OBJECT") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("6.0E7", 6.0e7),
        ("6.0D7", 6.0e7),
        ("6.0d+07", 6.0e7),
        ("'6.0e6'", 6.0e6),
        ("' 6000000 '", 6.0e6),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("+5", 5.0),
        ("1E999", float("inf")),
    ],
)
def test_numbers(text, value):
    assert one(f"X       = {text} / comment").get_float("X") == value


@pytest.mark.parametrize(
    "text", ["nan", "inf", "1_000", "0x10", "1 2", "", "E5", "1e", "T", "1e99999", "(1,2)"]
)
def test_what_is_no_number(text):
    with pytest.raises(HeaderError, match="X should be a number"):
        one(f"X       = '{text}x'").get_float("X")
    if text:
        with pytest.raises(HeaderError, match="X should be a number"):
            one(f"X       = '{text}'").get_float("X")


@pytest.mark.parametrize("text", ["1.0", "one", "'1e3'", "0x10", "1_000", "9" * 41])
def test_what_is_no_integer(text):
    with pytest.raises(HeaderError, match="X should be an integer"):
        one(f"X       = {text}").get_int("X")


def test_integers():
    assert one("X       =                   42").get_int("X") == 42
    assert one("X       = '-42'").get_int("X") == -42
    assert one("X       = 42").get_int("Y") is None


def test_the_first_of_two_cards_counts():
    assert Cards.scan(card("X", 1) + card("X", 2)).get_int("X") == 1


def test_a_string_that_is_not_closed():
    with pytest.raises(HeaderError, match="OBJECT has no closing quote"):
        one("OBJECT  = 'M31").get_str("OBJECT")


@pytest.mark.parametrize("byte", [0, 9, 10, 13, 27, 127, 128, 255])
@pytest.mark.parametrize("at", [0, 79, 3000])
def test_bytes_no_header_may_hold(byte, at):
    text = bytearray(make_cards(extra_cards=[b"HISTORY x".ljust(80)] * 40))
    text[at] = byte
    with pytest.raises(HeaderError, match=f"0x{byte:02x} at {at};") as error:
        Cards.scan(bytes(text))
    assert error.value.reason is RejectReason.HEADER_UNREADABLE


@pytest.mark.parametrize("shape", [(16, 24), (1, 16, 24), (1, 1, 16, 24)])
def test_shape(shape):
    cards = Cards.scan(make_cards(shape=shape))
    assert cards.shape == cards.axes == shape
    assert cards.pixels_bytes == 4 * 16 * 24


@pytest.mark.parametrize(
    ("shape", "pixels_bytes", "reason"),
    [
        ((), 0, RejectReason.BAD_AXES),
        ((7,), 28, RejectReason.BAD_AXES),
        ((2, 16, 24), 3072, RejectReason.BAD_AXES),
        ((1, 1, 1, 16, 24), 1536, RejectReason.BAD_AXES),
        ((0, 24), 0, RejectReason.EMPTY_IMAGE),
        ((1, 16, 0), 0, RejectReason.EMPTY_IMAGE),
    ],
)
def test_axes_that_have_a_length_but_are_no_image(shape, pixels_bytes, reason):
    cards = Cards.scan(make_cards(shape=shape))
    assert cards.pixels_bytes == pixels_bytes
    with pytest.raises(HeaderError) as error:
        _ = cards.shape
    assert error.value.reason is reason


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ([], RejectReason.NO_NAXIS),
        ([card("NAXIS", 2), card("NAXIS1", 5)], RejectReason.NO_NAXIS),
        ([card("NAXIS", -1)], RejectReason.BAD_AXES),
        ([card("NAXIS", 1000)], RejectReason.BAD_AXES),
        ([card("NAXIS", "two")], RejectReason.BAD_AXES),
        ([card("NAXIS", 2), card("NAXIS1", 5), card("NAXIS2", -5)], RejectReason.BAD_AXES),
        ([card("NAXIS", 2), card("NAXIS1", 5), b"NAXIS2  = 5.0".ljust(80)], RejectReason.BAD_AXES),
    ],
)
def test_axes_without_a_length(cards, reason):
    with pytest.raises(HeaderError) as error:
        _ = Cards.scan(b"".join(cards)).pixels_bytes
    assert error.value.reason is reason


@given(st.binary(max_size=400), st.sampled_from(["NAXIS", "DATE-OBS", "X", "COMMENT"]))
def test_any_bytes_raise_documented_errors_only(text, name):
    try:
        cards = Cards.scan(text)
        cards.cards()
        cards.get_str(name)
        cards.get_float(name)
        cards.get_int(name)
        _ = cards.shape
    except HeaderError:
        pass


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=68))
def test_strings_read_back(text):
    quoted = text.replace("'", "''")
    if len(quoted) > 68:
        return
    assert one(f"OBJECT  = '{quoted}'").get_str("OBJECT") == text.rstrip()
