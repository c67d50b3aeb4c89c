"""The frequency of an image, from its FITS header."""

import math
from collections.abc import Iterator
from typing import Final

from schemas.cards import Cards
from schemas.errors import FrequencyError, HeaderError, RejectReason

# Image servers write RESTFREQ (also as a string); RESTFRQ is the name in the FITS standard (table 22).
_REST_KEYWORDS: Final = ("RESTFRQ", "RESTFREQ")
_HIGHEST_AXIS: Final = 9
_UNITS: Final = {"": 1.0, "HZ": 1.0, "KHZ": 1e3, "MHZ": 1e6, "GHZ": 1e9}


def frequency_hz(cards: Cards) -> float:
    """The frequency in Hz: RESTFRQ, else RESTFREQ, else CRVALn of the axis whose CTYPEn is FREQ.

    A number or a string that holds one, finite and above 0. Where a card has no such value (some writers
    leave RESTFRQ at 0), the next is tried.

    Raises:
        FrequencyError: none of them is there (reason `no_frequency`) or usable (`bad_frequency`).
    """
    unusable: list[str] = []
    for name in _candidates(cards):
        try:
            value = cards.get_float(name)
            if value is not None:
                value *= _unit_hz(cards, name)
        except (HeaderError, FrequencyError) as error:
            unusable.append(str(error))
            continue
        if value is None:
            continue
        if math.isfinite(value) and value > 0:
            return value
        unusable.append(f"{name} is {value}")
    if unusable:
        raise FrequencyError(
            f"no frequency can be used: {'; '.join(unusable)}", reason=RejectReason.BAD_FREQUENCY
        )
    raise FrequencyError("the header has no RESTFRQ, no RESTFREQ and no axis of CTYPEn FREQ with CRVALn")


def _candidates(cards: Cards) -> Iterator[str]:
    """The keywords that may hold the frequency, the best first; the axes are looked at only where needed."""
    yield from _REST_KEYWORDS
    axis = _frequency_axis(cards)
    if axis is not None:
        yield axis


def _frequency_axis(cards: Cards) -> str | None:
    for axis in range(1, _HIGHEST_AXIS + 1):
        try:
            kind = cards.get_str(f"CTYPE{axis}")
        except HeaderError:
            continue
        if kind is not None and kind.strip().upper() == "FREQ":
            return f"CRVAL{axis}"
    return None


def _unit_hz(cards: Cards, name: str) -> float:
    """The unit of an axis from CUNITn; rest frequencies are in Hz by definition."""
    if name in _REST_KEYWORDS:
        return 1.0
    unit = (cards.get_str(f"CUNIT{name[-1]}") or "").strip()
    if unit.upper() not in _UNITS:
        raise FrequencyError(f"{name} is in {unit[:16]!r}; Hz, kHz, MHz and GHz are known")
    return _UNITS[unit.upper()]
