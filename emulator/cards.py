"""Writing FITS cards: the legal 80-character form of a keyword, its value and a comment.

Fixed format throughout (FITS 4.0, section 4.2): numbers end in column 30, strings are quoted from column
11 on and hold at least eight characters. Receivers in the field read these columns by position.
"""

from schemas.cards import CARD_SIZE, END_CARD

BLOCK_SIZE = 2880
_VALUE_SIZE = 20
_MIN_STRING = 8


def card(keyword: str, value: str | float | bool, comment: str = "") -> bytes:
    """One card of exactly 80 ASCII bytes.

    A comment that does not fit is cut, as FITS allows; a value is never cut.

    Args:
        keyword: one to eight upper-case letters, digits, '-' or '_'.
        value: text (ASCII, without control characters), integer, finite float or flag.
        comment: ASCII text after the slash.

    Raises:
        ValueError: the value does not fit into a card.
    """
    if isinstance(value, bool):
        field = ("T" if value else "F").rjust(_VALUE_SIZE)
    elif isinstance(value, int):
        field = str(value).rjust(_VALUE_SIZE)
    elif isinstance(value, float):
        field = _float_field(value)
    else:
        quoted = value.replace("'", "''")
        field = f"'{quoted:<{_MIN_STRING}}'".ljust(_VALUE_SIZE)
    text = f"{keyword:<8}= {field}"
    if len(text) > CARD_SIZE or len(keyword) > len("RESTFREQ"):
        raise ValueError(f"FITS card {keyword} is longer than {CARD_SIZE} characters: {text!r}")
    if comment:
        text = f"{text} / {comment}"[:CARD_SIZE]
    return text.ljust(CARD_SIZE).encode("ascii")


def header_text(cards: list[bytes]) -> bytes:
    """The cards with END, padded with blanks to a multiple of 2880, as a FITS file has them."""
    text = b"".join(cards) + END_CARD
    return text.ljust(-(-len(text) // BLOCK_SIZE) * BLOCK_SIZE)


def _float_field(value: float) -> str:
    """A float in at most 20 characters that always reads back as a float, never as an integer."""
    for digits in range(16, 9, -1):
        text = f"{value:.{digits}G}"
        mantissa, exponent_sign, exponent = text.partition("E")
        if "." not in mantissa:
            mantissa += ".0"
        text = mantissa + exponent_sign + exponent
        if len(text) <= _VALUE_SIZE:
            return text.rjust(_VALUE_SIZE)
    raise ValueError(f"{value!r} has no FITS notation in {_VALUE_SIZE} characters")
