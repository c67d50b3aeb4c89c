import random

import pytest

from tests.soak.flatness import Allowance, course, table

TIMES = [5.0 * number for number in range(360)]  # half an hour
MEMORY = Allowance(24.0)


def of(values, allowance=MEMORY):
    return course("grouper rss", TIMES[: len(values)], values, allowance)


def noisy(seed=1):
    chance = random.Random(seed)
    return [300.0 + chance.uniform(-40, 40) for _ in TIMES]


def test_noise_is_flat():
    found = of(noisy())
    assert found.flat
    assert abs(found.growth) < 10


def test_a_leak_is_found_under_noise():
    """100 MiB an hour on 300 MiB that swing by 40."""
    found = of([value + 100 * at_s / 3600 for at_s, value in zip(TIMES, noisy(), strict=True)])
    assert not found.flat
    assert found.slope_per_hour == pytest.approx(100, abs=15)


def test_outliers_do_not_move_it():
    values = noisy()
    values[::5] = [5000.0] * len(values[::5])
    assert of(values).flat
    assert of(values).peak == 5000


def test_a_single_step_in_the_beginning_is_flat():
    assert of([200.0] * 40 + [300.0] * 320).flat


def test_a_staircase_is_not():
    assert not of([200.0 + 30 * (number // 60) for number in range(360)]).flat


def test_what_shrinks_is_flat():
    assert of([900.0 - number for number in range(360)]).flat


def test_one_more_thread_a_minute_is_a_leak():
    assert not of([20 + number // 12 for number in range(360)], Allowance(1.0)).flat


def test_the_table_names_what_grows():
    text = table([of([200.0 + number for number in range(360)])], {"rss": "MiB"})
    assert "grouper rss MiB" in text
    assert text.endswith("GROWS")


def test_two_samples_are_no_course():
    with pytest.raises(ValueError, match="2 samples"):
        course("x", [0.0, 1.0], [1.0, 2.0], MEMORY)
