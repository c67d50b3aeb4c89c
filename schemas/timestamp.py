"""Times: the record key, and DATE-OBS as telescopes write it. Integers only, never floating point.

A timestamp is a whole number of microseconds since 1970-01-01T00:00:00 UTC, leap seconds not counted,
between 1970 and the end of 9999 (`MAX_TIMESTAMP_US`).
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from schemas.errors import RejectReason, TimestampError

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive arithmetic is exact and cannot overflow
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND_US: Final = 1_000_000
MAX_TIMESTAMP_US: Final = (datetime(9999, 12, 31, 23, 59, 59, 999_999) - _EPOCH) // _MICROSECOND  # noqa: DTZ001
"""9999-12-31T23:59:59.999999Z."""

_FORMAT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
# A decimal fraction may only follow seconds that follow hours and minutes (extended or basic format).
_SECONDS_BEFORE_FRACTION: Final = re.compile(r"[T ](?:\d\d:\d\d:\d\d|\d{6})", re.ASCII)
_NUMERIC_DATE: Final = re.compile(r"\d{4}[^0-9A-Za-z]+(\d{1,2})[^0-9A-Za-z]+(\d{1,2})(?!\d)", re.ASCII)
_NAMED_ZONE_AND_OFFSET: Final = re.compile(r":\d\d.*[A-Za-z] *[+-]")
_LEAP_SECOND: Final = re.compile(r"[T ]\d\d:\d\d:60(?!\d)|T\d{4}60(?!\d)", re.ASCII)
_DAY_S: Final = 86_400
_LONGEST: Final = 68  # a string value of one FITS card has at most 68 characters


def format_timestamp(timestamp_us: int) -> str:
    """Write a timestamp as '2026-11-23T10:00:00.000000Z', always 27 characters.

    Raises:
        TimestampError: before 1970 or after 9999.
    """
    if not 0 <= timestamp_us <= MAX_TIMESTAMP_US:
        raise TimestampError(f"timestamp {timestamp_us} µs lies outside 1970 to 9999")
    return (_EPOCH + timedelta(microseconds=timestamp_us)).isoformat(timespec="microseconds") + "Z"


def parse_timestamp(text: str) -> int:
    """Read what `format_timestamp` wrote, and nothing else.

    Raises:
        TimestampError: any other form, an impossible date or time, before 1970.
    """
    if _FORMAT.fullmatch(text) is None:
        raise TimestampError(f"{_shown(text)} is not a time like 2026-11-23T10:00:00.000000Z")
    try:
        moment = datetime.fromisoformat(text[:-1])
    except ValueError as error:
        raise TimestampError(f"{_shown(text)} is not a time: {error}") from None
    timestamp_us = (moment - _EPOCH) // _MICROSECOND
    # Newer Pythons take 24:00:00 for the next day's midnight; a key has one spelling only.
    if timestamp_us < 0 or text[11:13] == "24":
        raise TimestampError(f"{_shown(text)} is not a time between 1970 and 9999")
    return timestamp_us


def timestamp_key(timestamp_us: int) -> bytes:
    """The key of a record: the timestamp as ASCII text.

    Raises:
        TimestampError: before 1970 or after 9999.
    """
    return format_timestamp(timestamp_us).encode("ascii")


def parse_key(key: bytes) -> int:
    """The timestamp of a record's key: the strict inverse of `timestamp_key`.

    Raises:
        TimestampError: the key is anything else; its reason is `record_key`.
    """
    try:
        return parse_timestamp(key.decode("ascii"))
    except (UnicodeDecodeError, TimestampError):
        raise TimestampError(
            f"the record key {_shown(repr(bytes(key[:64])))} is not a time like 2026-11-23T10:00:00.000000Z",
            reason=RejectReason.RECORD_KEY,
        ) from None


def parse_date_obs(text: str, timesys: str | None = None) -> int:
    """Read a DATE-OBS: microseconds since 1970 UTC.

    ISO 8601 with or without fraction, 'Z' or an offset, or the date alone (midnight). What
    `datetime.fromisoformat` does not take is tried with python-dateutil, as long as it begins with a year
    of four digits, then month and day, so that nothing is guessed. A fraction of more than six digits is
    rounded to the nearest microsecond, halves up.

    Args:
        text: the card's value.
        timesys: the value of TIMESYS; absent means UTC (FITS standard 4.0, section 9.2.1). TAI, TT and
            GPS (and the old names IAT and TDT) are converted.

    Raises:
        TimestampError: no time, a leap second, outside 1970 to 9999 (reason `bad_date_obs`); a time
            system that cannot be converted, or one that contradicts an offset (reason `time_system`).
    """
    stripped = text.strip()
    if not stripped or len(stripped) > _LONGEST:
        raise TimestampError(f"DATE-OBS {_shown(text)} is not a time")
    if _LEAP_SECOND.search(stripped):
        raise TimestampError(
            f"DATE-OBS {_shown(text)} lies in a leap second, which has no number of microseconds since 1970"
        )
    rest, fraction_us = _split_fraction(stripped)
    moment = _parse_moment(rest)
    offset = moment.utcoffset()
    timestamp_us = (moment.replace(tzinfo=None) - _EPOCH) // _MICROSECOND + fraction_us
    system = _base_system(timesys)
    if system != "UTC":
        # Imported here: only sources with TIMESYS need the leap-second table.
        from schemas.time_systems import to_utc  # noqa: PLC0415

        if offset is not None:
            raise TimestampError(
                f"DATE-OBS {_shown(text)} has an offset from UTC, but TIMESYS says {_shown(system)}",
                reason=RejectReason.TIME_SYSTEM,
            )
        timestamp_us = to_utc(timestamp_us, system)
    elif offset is not None:
        timestamp_us -= offset // _MICROSECOND
    if not 0 <= timestamp_us <= MAX_TIMESTAMP_US:
        raise TimestampError(f"DATE-OBS {_shown(text)} lies outside 1970 to 9999")
    return timestamp_us


def _base_system(timesys: str | None) -> str:
    """TIMESYS without the realisation in brackets: 'UTC(NIST)' is UTC (FITS standard, section 9.2.1)."""
    return (timesys or "").partition("(")[0].strip().upper() or "UTC"


def _split_fraction(text: str) -> tuple[str, int]:
    """Take the decimal fraction out of a time: the text without it, and its microseconds.

    `fromisoformat` cuts off what is beyond microseconds; a telescope that writes nanoseconds would then
    be a microsecond early half of the time.
    """
    for mark in ".,":
        head, found, tail = text.partition(mark)
        if not found:
            continue
        digits = re.match(r"\d+", tail, re.ASCII)
        seconds = _SECONDS_BEFORE_FRACTION.search(head)
        if digits is None or seconds is None or seconds.end() != len(head):
            break
        rest = head + tail[digits.end() :]
        if "." in rest or "," in rest:
            break
        scale = 10 ** len(digits[0])
        return rest, (2 * int(digits[0]) * _SECOND_US + scale) // (2 * scale)
    else:
        return text, 0
    raise TimestampError(f"DATE-OBS {_shown(text)} has a fraction that does not follow seconds")


def _parse_moment(text: str) -> datetime:
    """Read a time without fraction; naive where it has no offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _parse_odd_form(text)
    offset = moment.utcoffset()
    if moment.microsecond or (offset is not None and offset % timedelta(minutes=1)):
        raise TimestampError(f"DATE-OBS {_shown(text)} is not a time")
    return moment


def _parse_odd_form(text: str) -> datetime:
    """Let python-dateutil try, and refuse what it would have to guess.

    It fills in what is missing from a default date and swaps day and month where that makes a date; so
    it runs twice with different defaults, and month and day must be where they belong.
    """
    # Imported here: the usual forms never need it.
    from dateutil import parser  # noqa: PLC0415

    if re.match(r"\d{4}\D", text, re.ASCII) is None:
        raise TimestampError(f"DATE-OBS {_shown(text)} does not begin with a year of four digits")
    if _NAMED_ZONE_AND_OFFSET.search(text):  # 'UTC+3' means one thing to ISO and the opposite to POSIX
        raise TimestampError(f"DATE-OBS {_shown(text)} has both a time zone's name and an offset")
    try:
        first, second = (
            parser.parse(text, default=default, tzinfos=_known_zone, yearfirst=True, dayfirst=False)
            for default in (datetime(1972, 1, 1), datetime(1976, 2, 2))  # noqa: DTZ001 - filled-in fields
        )
        known = first == second and first.year == int(text[:4])
    except Exception as error:  # noqa: BLE001  dateutil names two errors and raises others too: for digits
        # without end, decimal.InvalidOperation; a DATE-OBS must not end the thread that reads a server
        raise TimestampError(f"DATE-OBS {_shown(text)} is not a time: {_shown(str(error))}") from None
    numbers = _NUMERIC_DATE.match(text)
    if not known or (numbers and (first.month, first.day) != (int(numbers[1]), int(numbers[2]))):
        raise TimestampError(f"DATE-OBS {_shown(text)} is not a time that can be read in one way only")
    return first


def _known_zone(name: str | None, offset_s: int | None) -> tzinfo | None:
    """Zones for dateutil: UTC by name, others by offset. 'EST' means several things and is refused."""
    from dateutil import tz  # noqa: PLC0415 - see _parse_odd_form

    if name is None and offset_s is None:  # releases of dateutil differ in whether they ask then
        return None
    if name is None and offset_s is not None and abs(offset_s) < _DAY_S:
        return tz.tzoffset(None, offset_s)
    if name is not None and name.upper() in {"UTC", "GMT", "Z"}:
        return UTC
    raise ValueError(f"the time zone {name or offset_s} is not known")


def _shown(text: str) -> str:
    """Text of others in an error: quoted, and short."""
    return repr(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")
