import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.pacing import Pace

WALL_US = 1_795_435_200_123_456


def test_a_paced_run_begins_on_the_next_whole_second():
    schedule = Pace(1.0).begin(WALL_US, 50.0)
    assert schedule.timestamp_us(0, WALL_US) == 1_795_435_201_000_000
    assert schedule.due_s(0) == pytest.approx(50.0 + 0.876544)


@given(st.floats(0.01, 100_000), st.integers(0, 1_000_000))
def test_timestamps_and_due_times_go_together_without_drift(rate, step):
    schedule = Pace(rate).begin(WALL_US, 50.0)
    first_us, first_s = schedule.nominal_us(0), schedule.due_s(0)
    assert schedule.nominal_us(step + 1) > schedule.nominal_us(step)
    assert schedule.due_s(step) - first_s == pytest.approx(step / rate)
    assert schedule.nominal_us(step) - first_us == pytest.approx(step * 1e6 / rate, abs=1)
    assert 0 <= first_us - WALL_US <= 1_200_000


def test_at_full_rate_timestamps_follow_the_clock_and_never_stand_still():
    schedule = Pace(None).begin(WALL_US, 50.0)
    walls = [WALL_US, WALL_US, WALL_US + 1, WALL_US + 500, WALL_US + 400]
    given_us = [schedule.timestamp_us(step, wall) for step, wall in enumerate(walls)]
    assert given_us == [WALL_US, WALL_US + 1, WALL_US + 2, WALL_US + 500, WALL_US + 501]
    assert schedule.due_s(1000) == 50.0


def test_a_cadence_makes_timestamps_independent_of_rate_and_clock():
    for rate in (None, 7.0):
        schedule = Pace(rate, start_us=1_000_000, cadence_us=250_000).begin(WALL_US, 50.0)
        given_us = [schedule.timestamp_us(step, WALL_US + 77 * step) for step in range(3)]
        assert given_us == [1_000_000, 1_250_000, 1_500_000]


def test_a_start_alone_keeps_the_cadence_of_the_rate():
    schedule = Pace(4.0, start_us=1_000_000).begin(WALL_US, 50.0)
    assert schedule.timestamp_us(3, WALL_US) == 1_750_000
    flood = Pace(None, start_us=1_000_000).begin(WALL_US, 50.0)
    assert [flood.timestamp_us(step, WALL_US) for step in range(3)] == [1_000_000, 2_000_000, 3_000_000]
