import pytest

from consumer.group_range import GroupRange
from consumer.range_end import RangeEnd, is_past
from consumer.start import End
from tests.support.published_groups import START_US


def test_a_past_range_ends_with_its_last_group():
    end = RangeEnd(START_US, past=True)
    assert not end.is_reached(50)  # which one that is, is not known yet
    end.learn(40)
    assert [end.is_reached(offset) for offset in (0, 39, 40, 41)] == [False, False, True, True]
    assert end.lies_before(START_US)
    assert not end.lies_before(START_US - 1)
    assert not end.is_reached(39)  # groups of the range lie behind that one


def test_one_that_is_not_past_ends_at_a_group_behind_it_as_well():
    end = RangeEnd(START_US, past=False)
    end.learn(40)
    assert not end.is_reached(50)
    assert end.lies_before(START_US + 1)
    assert not end.is_reached(39)
    assert end.is_reached(50)


def test_without_a_catalogue_a_group_behind_it_is_the_end():
    end = RangeEnd(START_US, past=True)
    end.learn(None)
    assert not end.is_reached(50)
    assert end.lies_before(START_US)
    assert end.is_reached(50)


@pytest.mark.parametrize(
    ("where", "past"),
    [
        (GroupRange(), False),
        (GroupRange(to_us=START_US), True),
        (GroupRange(to_us=START_US + 1), False),
        (GroupRange(End(), to_us=START_US), False),
    ],
)
def test_what_is_past(where, past):
    assert is_past(where, START_US) is past
