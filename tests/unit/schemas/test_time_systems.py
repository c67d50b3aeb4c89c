import erfa
import numpy as np
import pytest
from astropy.time import Time

from schemas.errors import TimestampError
from schemas.time_systems import to_utc

SECOND_US = 1_000_000


@pytest.mark.parametrize("row", [row for row in erfa.leap_seconds.get() if row["year"] >= 1972])
def test_each_row_of_the_leap_table(row):
    start = int(np.datetime64(f"{row['year']}-{row['month']:02d}-01", "us").astype(int))
    ahead = int(row["tai_utc"]) * SECOND_US
    assert to_utc(start + ahead, "TAI") == start
    if (row["year"], row["month"]) == (1972, 1):
        with pytest.raises(TimestampError, match="before 1972"):
            to_utc(start + ahead - 1, "TAI")
        return
    assert to_utc(start + ahead - SECOND_US - 1, "TAI") == start - 1
    for inside in (1, SECOND_US):
        with pytest.raises(TimestampError, match="leap second"):
            to_utc(start + ahead - inside, "TAI")


@pytest.mark.parametrize("day", ["1980-01-06", "1999-01-01", "2017-01-01", "2026-11-23"])
@pytest.mark.parametrize("system", ["tai", "tt"])
def test_agrees_with_astropy(day, system):
    utc = Time(f"{day}T12:00:00", scale="utc")
    clock = getattr(utc, system).to_value("datetime64").astype("datetime64[us]").astype(int)
    expected = utc.to_value("datetime64").astype("datetime64[us]").astype(int)
    assert to_utc(int(clock), system.upper()) == int(expected)


def test_gps_counts_from_its_own_epoch_in_utc():
    epoch = int(np.datetime64("1980-01-06", "us").astype(int))
    assert to_utc(epoch, "GPS") == epoch
