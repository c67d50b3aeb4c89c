import pytest

from schemas.cards import Cards
from schemas.errors import FrequencyError, RejectReason
from schemas.frequency import frequency_hz
from tests.support.frames import card

AXIS = (card("CTYPE3", "FREQ"), card("CRVAL3", 6.1e7))


def frequency(*cards):
    return frequency_hz(Cards.scan(b"".join(cards)))


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ([card("RESTFRQ", 6.0e7)], 6.0e7),
        ([card("RESTFRQ", "6.0e7")], 6.0e7),
        ([card("RESTFREQ", 60_000_000)], 6.0e7),
        ([card("RESTFREQ", "60000000.0")], 6.0e7),
        ([card("RESTFREQ", 5.0e7), card("RESTFRQ", 6.0e7), *AXIS], 6.0e7),
        ([*AXIS], 6.1e7),
        ([*AXIS, card("CUNIT3", "Hz")], 6.1e7),
        ([card("CTYPE4", "FREQ"), card("CRVAL4", 61.0), card("CUNIT4", "MHz")], 6.1e7),
        ([card("CTYPE3", "freq"), card("CRVAL3", "0.061"), card("CUNIT3", "GHz")], 6.1e7),
        ([card("RESTFRQ", 0.0), *AXIS], 6.1e7),
        ([card("RESTFRQ", "unknown"), *AXIS], 6.1e7),
        ([b"CTYPE1  = 'not closed".ljust(80), *AXIS], 6.1e7),
        ([b"RESTFRQ =".ljust(80), *AXIS], 6.1e7),
    ],
)
def test_where_it_stands(cards, expected):
    assert frequency(*cards) == expected


@pytest.mark.parametrize(
    "cards", [[], [card("OBSERVER", "x")], [card("CTYPE3", "FREQ")], [card("CTYPE3", "STOKES"), AXIS[1]]]
)
def test_no_frequency(cards):
    with pytest.raises(FrequencyError, match="no RESTFRQ") as error:
        frequency(*cards)
    assert error.value.reason is RejectReason.NO_FREQUENCY


@pytest.mark.parametrize(
    "cards",
    [
        [card("RESTFRQ", 0.0)],
        [card("RESTFRQ", -6.0e7)],
        [card("RESTFRQ", "nan")],
        [card("RESTFRQ", "1e999")],
        [b"RESTFRQ = 'not closed".ljust(80)],
        [card("RESTFREQ", "sixty"), card("CTYPE3", "FREQ"), card("CRVAL3", 0.0)],
        [*AXIS, card("CUNIT3", "m/s")],
    ],
)
def test_no_usable_frequency_says_what_was_found(cards):
    with pytest.raises(FrequencyError, match=r"RESTFR|CRVAL3") as error:
        frequency(*cards)
    assert error.value.reason is RejectReason.BAD_FREQUENCY
