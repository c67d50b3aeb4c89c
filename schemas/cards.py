"""The text of a FITS header: cards of 80 characters, scanned directly.

Each frame passes here twice (connector and grouper), so the text is only indexed, and a value is parsed
when it is asked for.
"""

import re
from dataclasses import dataclass, field
from math import prod
from typing import Final, Self

from schemas.errors import HeaderError, RejectReason

CARD_SIZE: Final = 80
KEYWORD_SIZE: Final = 8
END_CARD: Final = b"END".ljust(CARD_SIZE)
PIXEL_SIZE: Final = 4  # float32

MIN_AXES: Final = 2
MAX_AXES: Final = 4
# FITS allows 999 axes (section 4.4.1.1). A window with more than 4 is refused, but its frame has a length.
_MOST_AXES: Final = 999

_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_SCAN_BLOCK: Final = 36 * CARD_SIZE
_STRING: Final = re.compile(r"'((?:[^']|'')*)'")
_INTEGER: Final = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_REAL: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[EDed][+-]?\d{1,4})?", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Cards:
    """The cards of one FITS header. Where a keyword occurs twice, the first counts.

    Attributes:
        text: the header text as it came, with END and padding where the sender wrote them.
        positions: where the first card of each keyword begins in `text`; keywords are 8 bytes, padded.
        end: where the cards end: at END, or at the end of the text.
    """

    text: bytes = field(repr=False)
    positions: dict[bytes, int] = field(repr=False)
    end: int

    @classmethod
    def scan(cls, text: bytes | memoryview) -> Self:
        """Index the cards of a header text.

        END and the padding may be missing, and so may the trailing spaces of the last card. What follows
        END is not looked at. The scan stops at the first block with a byte that no header may hold, so
        that bytes which are no header cost little.

        Args:
            text: cards of 80 characters without line breaks.

        Raises:
            HeaderError: a byte other than printable ASCII before END (FITS standard 4.0, section 3.2).
        """
        positions: dict[bytes, int] = {}
        end = None
        for start in range(0, len(text), _SCAN_BLOCK):
            block = bytes(text[start : start + _SCAN_BLOCK])
            end_in_block = _find_end(block)
            if end_in_block is not None:
                block = block[:end_in_block]
                end = start + end_in_block
            _check_printable(block, start)
            for position in range(0, len(block), CARD_SIZE):
                positions.setdefault(block[position : position + KEYWORD_SIZE], start + position)
            if end is not None:
                break
        return cls(bytes(text), positions, len(text) if end is None else end)

    def cards(self) -> list[bytes]:
        """All cards before END in their order, 80 bytes each."""
        cards = [self.text[at : at + CARD_SIZE] for at in range(0, self.end, CARD_SIZE)]
        if cards and self.end % CARD_SIZE:
            cards[-1] = self.text[self.end // CARD_SIZE * CARD_SIZE : self.end].ljust(CARD_SIZE)
        return cards

    def get_str(self, name: str) -> str | None:
        """The value of a keyword as text, without quotes and trailing spaces.

        None where there is no such card or it has no value.

        Raises:
            HeaderError: a string without its closing quote.
        """
        at = self.positions.get(name.encode("ascii").ljust(KEYWORD_SIZE))
        if at is None:
            return None
        card = self.text[at : min(at + CARD_SIZE, self.end)].decode("ascii")
        if card[8:10] != "= ":
            return None
        value = card[10:].strip()
        if value.startswith("'"):
            string = _STRING.match(value)
            if string is None:
                raise HeaderError(f"the string of {name} has no closing quote: {value[:40]!r}")
            return string[1].replace("''", "'").rstrip()
        return value.partition("/")[0].rstrip() or None

    def get_int(self, name: str) -> int | None:
        """The value of a keyword as an integer, also where it is written as a string.

        Raises:
            HeaderError: a value that is no integer.
        """
        text = self.get_str(name)
        if text is None:
            return None
        if _INTEGER.fullmatch(text.strip()) is None:
            raise HeaderError(f"{name} should be an integer, not {text!r}")
        return int(text)

    def get_float(self, name: str) -> float | None:
        """The value of a keyword as a number, also where it is written as a string; exponents E or D.

        Raises:
            HeaderError: a value that is no number.
        """
        text = self.get_str(name)
        if text is None:
            return None
        number = text.strip().upper()
        if _REAL.fullmatch(number) is None:
            raise HeaderError(f"{name} should be a number, not {text!r}")
        return float(number.replace("D", "E"))

    @property
    def axes(self) -> tuple[int, ...]:
        """The lengths of all axes as the header states them, in numpy order: NAXISn, …, NAXIS2, NAXIS1.

        Raises:
            HeaderError: NAXIS or a NAXISn is missing (reason `no_naxis`), no integer or negative
                (reason `bad_axes`).
        """
        number = self._axis_value("NAXIS")
        if not 0 <= number <= _MOST_AXES:
            raise HeaderError(f"NAXIS is {number}, not 0 to {_MOST_AXES}", reason=RejectReason.BAD_AXES)
        lengths = tuple(self._axis_value(f"NAXIS{axis}") for axis in range(number, 0, -1))
        if min(lengths, default=0) < 0:
            raise HeaderError(f"an axis is negative: {lengths}", reason=RejectReason.BAD_AXES)
        return lengths

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a window that can be used, in numpy order: (NAXISn, …, NAXIS2, NAXIS1).

        Raises:
            HeaderError: as `axes`; other than 2 to 4 axes, or a third or fourth one longer than 1
                (reason `bad_axes`); an axis of length 0 (reason `empty_image`).
        """
        axes = self.axes
        if not MIN_AXES <= len(axes) <= MAX_AXES:
            raise HeaderError(
                f"NAXIS is {len(axes)}; images have {MIN_AXES} to {MAX_AXES} axes",
                reason=RejectReason.BAD_AXES,
            )
        if 0 in axes:
            raise HeaderError(
                f"the image is empty: NAXISn, …, NAXIS1 are {axes}", reason=RejectReason.EMPTY_IMAGE
            )
        if any(length != 1 for length in axes[:-2]):
            raise HeaderError(
                f"only NAXIS1 and NAXIS2 may be longer than 1; NAXISn, …, NAXIS1 are {axes}",
                reason=RejectReason.BAD_AXES,
            )
        return axes

    @property
    def pixels_bytes(self) -> int:
        """How many bytes of float32 pixels the header announces: 4 times the product of all axes.

        Raises:
            HeaderError: as `axes`.
        """
        axes = self.axes
        return PIXEL_SIZE * prod(axes) if axes else 0

    def _axis_value(self, name: str) -> int:
        try:
            value = self.get_int(name)
        except HeaderError as error:
            raise HeaderError(str(error), reason=RejectReason.BAD_AXES) from None
        if value is None:
            raise HeaderError(f"the header has no {name}", reason=RejectReason.NO_NAXIS)
        return value


def _find_end(block: bytes) -> int | None:
    """Where the END card begins in a block that begins with a card; None where it has none."""
    end = block.find(END_CARD)
    while end >= 0:
        if end % CARD_SIZE == 0:
            return end
        end = block.find(END_CARD, end + 1)  # the words of a comment, before a blank card
    last = (len(block) - 1) // CARD_SIZE * CARD_SIZE
    return last if block[last:].rstrip(b" ") == b"END" else None


def _check_printable(block: bytes, start: int) -> None:
    others = block.translate(None, _PRINTABLE)
    if others:
        at = block.index(others[:1])
        raise HeaderError(
            f"the FITS header has the byte 0x{others[0]:02x} at {start + at}; its cards are 80 characters "
            "of printable ASCII without line breaks"
        )
