from itertools import pairwise

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from consumer.cadence import LONGEST_GAP_S, MAX_SPEED, Cadence, awake_s, parse_speed, speed_text
from consumer.errors import RangeError
from tests.support.published_groups import SECOND_US, START_US
from trapline.cadence_options import cadence_options

NOW_S = 1000.0


def dues(seconds, *, speed=1.0, max_gap_s=60.0):
    """Due times, from the first on, of groups observed at these seconds."""
    schedule = Cadence(speed, max_gap_s).begin()
    return [
        schedule.due_s(START_US + round(second * SECOND_US), NOW_S + 7 * number) - NOW_S
        for number, second in enumerate(seconds)
    ]


def test_groups_come_as_they_were_observed():
    assert dues([0, 1, 2, 5, 5.5]) == pytest.approx([0, 1, 2, 5, 5.5])


def test_groups_come_faster_or_slower_at_a_speed():
    assert dues([0, 1, 2, 5], speed=10.0) == pytest.approx([0, 0.1, 0.2, 0.5])
    assert dues([0, 1, 2, 5], speed=0.5) == pytest.approx([0, 2, 4, 10])


def test_at_the_highest_speed_all_are_due_at_once():
    assert dues([0, 1, 5000, 3, 4], speed=MAX_SPEED) == [0, 0, 0, 0, 0]


def test_a_gap_counts_as_the_longest_one_that_is_waited_for():
    assert dues([0, 1, 3601, 3602], max_gap_s=60.0) == pytest.approx([0, 1, 61, 62])
    assert dues([0, 1, 3601, 3602], max_gap_s=60.0, speed=10.0) == pytest.approx([0, 0.1, 6.1, 6.2])


def test_what_gaps_were_shortened_by_is_told():
    schedule = Cadence(1.0, 60.0).begin()
    for second in (0, 3600, 3601):
        schedule.due_s(START_US + second * SECOND_US, NOW_S)
    assert schedule.cut_us == 3540 * SECOND_US
    assert schedule.elapsed_us == 61 * SECOND_US


def test_a_repaired_group_is_due_at_once_and_moves_nothing():
    assert dues([0, 1, 2, 0, 3, 4]) == pytest.approx([0, 1, 2, 2, 3, 4])


def test_a_second_run_of_the_same_times_is_played_at_its_cadence():
    assert dues([0, 1, 2, 0, 1, 2, 3, 4]) == pytest.approx([0, 1, 2, 2, 3, 4, 5, 6])


def test_an_old_run_after_a_new_one_neither_waits_nor_hurries():
    assert dues([10_000, 10_001, 0, 1, 2]) == pytest.approx([0, 1, 1, 2, 3])


def test_two_runs_in_turns_are_played_side_by_side():
    assert dues([10_000, 0, 10_001, 1, 10_002, 2]) == pytest.approx([0, 0, 1, 1, 2, 2])


def test_three_runs_in_turns_do_not_wait_for_each_other():
    assert dues([9000, 0, 5000, 9001, 1, 5001]) == pytest.approx([0, 0, 0, 1, 1, 1])


def test_a_million_groups_do_not_drift():
    schedule = Cadence(3.0).begin()
    for number in range(1_000_000):
        due_s = schedule.due_s(START_US + number * 100_001, 0.0)
    assert due_s == pytest.approx(999_999 * 100_001 / 1e6 / 3.0, abs=1e-6)


@given(
    seconds=st.lists(st.integers(0, 10**6), min_size=1, max_size=50),
    speed=st.sampled_from([0.001, 0.5, 1.0, 10.0, MAX_SPEED]),
    max_gap_s=st.sampled_from([0.5, 60.0, LONGEST_GAP_S]),
)
def test_whatever_the_times_no_wait_is_negative_or_longer_than_the_longest_gap(seconds, speed, max_gap_s):
    found = dues(seconds, speed=speed, max_gap_s=max_gap_s)
    for before, after in pairwise(found):
        assert -1e-6 <= after - before <= max_gap_s / speed + 1e-6


@pytest.mark.parametrize(("text", "speed"), [("1", 1.0), ("0.5", 0.5), ("10x", 10.0), (" MAX ", MAX_SPEED)])
def test_a_speed_as_people_say_it(text, speed):
    assert parse_speed(text) == speed
    assert parse_speed(speed_text(speed)) == speed


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", "", "1e9", "1e-9"])
def test_what_is_no_speed(text):
    with pytest.raises(RangeError, match=r"is no speed: say max, or how many times"):
        parse_speed(text)


@click.command()
@cadence_options
def playing(cadence):
    click.echo(f"{speed_text(cadence.speed)} {cadence.max_gap_s:g}")


@pytest.mark.parametrize(
    ("args", "said"),
    [([], "1 60"), (["--speed", "max"], "max 60"), (["--speed", "10", "--max-gap", "0.5"], "10 0.5")],
)
def test_options_give_a_cadence(args, said):
    result = CliRunner().invoke(playing, args)
    assert (result.exit_code, result.output.strip()) == (0, said)


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["--speed", "fast"], "is no speed"),
        (["--max-gap", "0"], "--max-gap"),
        (["--max-gap", "inf"], "--max"),
    ],
)
def test_wrong_options_are_usage_errors(args, word):
    result = CliRunner().invoke(playing, args)
    assert result.exit_code == 2
    assert word in result.output


@pytest.mark.parametrize(
    ("wait_s", "awake"), [(1.0, 0.005), (60.0, 0.005), (0.01, 0.0005), (0.0, 0.0), (-3.0, 0.0)]
)
def test_nobody_is_awake_for_more_than_a_twentieth_of_a_wait(wait_s, awake):
    assert awake_s(wait_s) == pytest.approx(awake)
