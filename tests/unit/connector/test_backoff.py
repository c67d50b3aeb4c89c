import pytest

from connector.backoff import Backoff


def waits(backoff, failures):
    return [backoff.next_s() for _ in range(failures)]


def test_waits_stay_within_the_bounds_and_their_range_doubles():
    rows = [waits(Backoff(0.5, 15.0), 12) for _ in range(300)]
    for number in range(12):
        high = min(15.0, 2 * 0.5 * 2**number)
        column = [row[number] for row in rows]
        assert min(column) >= 0.5
        assert max(column) <= high
        assert max(column) > 0.7 * high, "nobody ever waits long after so many failures"


def test_waits_are_jittered():
    assert len({Backoff(0.5, 15.0).next_s() for _ in range(50)}) > 40


def test_a_success_starts_anew():
    backoff = Backoff(0.5, 15.0)
    waits(backoff, 10)
    assert backoff.failures == 10
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next_s() <= 1.0


def test_equal_bounds():
    assert waits(Backoff(2.0, 2.0), 3) == [2.0, 2.0, pytest.approx(2.0)]
