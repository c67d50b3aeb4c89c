"""How a pause is read out of the times at which groups were appended."""

from benchmarks.fleet import Published
from benchmarks.scale_bench import worst_pause


def of(partition, *times):
    return [Published(partition, at_s, None) for at_s in times]


PUBLISHED = [*of(0, 1.0, 1.2, 4.2, 4.4, 5.0), *of(1, 1.0, 9.0)]


def test_the_longest_time_between_two_groups_of_a_partition():
    assert worst_pause(PUBLISHED, 0, 0.0, 10.0) == 3.0
    assert worst_pause(PUBLISHED, 1, 0.0, 10.0) == 8.0


def test_a_pause_belongs_to_the_stage_in_which_it_ended():
    assert worst_pause(PUBLISHED, 0, 0.0, 4.0) == 1.2 - 1.0
    assert worst_pause(PUBLISHED, 0, 4.0, 4.3) == 3.0
    assert worst_pause(PUBLISHED, 0, 4.3, 10.0) == 5.0 - 4.4


def test_no_two_groups_no_pause():
    assert worst_pause(PUBLISHED, 1, 0.0, 9.0) == 0.0
    assert worst_pause(PUBLISHED, 2, 0.0, 9.0) == 0.0
