"""Time systems other than UTC, converted with the table of leap seconds that pyerfa carries."""

from bisect import bisect_right
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from schemas.errors import RejectReason, TimestampError

# TAI - system, in microseconds: FITS standard 4.0, table 30. TT = TAI + 32.184 s, GPS = TAI - 19 s.
_TAI_MINUS: Final = {"TAI": 0, "IAT": 0, "TT": -32_184_000, "TDT": -32_184_000, "GPS": 19_000_000}
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive arithmetic is exact
_FIRST_YEAR: Final = 1972  # before, TAI - UTC was no whole number of seconds


@cache
def _leap_table() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """From which UTC microsecond on TAI - UTC has which value, in microseconds."""
    import erfa  # noqa: PLC0415 - only sources that are not in UTC need it

    rows = [
        (int(row["year"]), int(row["month"]), round(float(row["tai_utc"])))
        for row in erfa.leap_seconds.get()
        if int(row["year"]) >= _FIRST_YEAR
    ]
    starts = tuple(
        (datetime(year, month, 1) - _EPOCH) // timedelta(microseconds=1)  # noqa: DTZ001 - as _EPOCH
        for year, month, _ in rows
    )
    return starts, tuple(seconds * 1_000_000 for _, _, seconds in rows)


def to_utc(time_us: int, system: str) -> int:
    """Convert a time of another system to UTC.

    Args:
        time_us: the clock's reading as microseconds since its own 1970-01-01T00:00:00.
        system: TAI, TT or GPS (or IAT, TDT).

    Returns:
        Microseconds since 1970 UTC.

    Raises:
        TimestampError: reason `time_system`: another system (TDB, TCB and UT1 need a place or a table of
            the Earth's rotation), before 1972, or inside a leap second.
    """
    if system not in _TAI_MINUS:
        raise TimestampError(
            f"TIMESYS {system[:16]!r} cannot be converted to UTC; UTC, TAI, TT and GPS can",
            reason=RejectReason.TIME_SYSTEM,
        )
    tai_us = time_us + _TAI_MINUS[system]
    starts, differences = _leap_table()
    # The last row whose start, told in TAI, is not after this moment.
    row = bisect_right([start + ahead for start, ahead in zip(starts, differences, strict=True)], tai_us) - 1
    if row < 0:
        raise TimestampError(
            f"a time in {system} before {_FIRST_YEAR} cannot be converted to UTC",
            reason=RejectReason.TIME_SYSTEM,
        )
    utc_us = tai_us - differences[row]
    if row + 1 < len(starts) and utc_us >= starts[row + 1]:
        raise TimestampError(
            f"the time in {system} lies in a leap second of UTC, which has no number of microseconds",
            reason=RejectReason.TIME_SYSTEM,
        )
    return utc_us
