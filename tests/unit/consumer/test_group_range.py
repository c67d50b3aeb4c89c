from dataclasses import replace
from datetime import UTC, datetime

import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from consumer.errors import RangeError
from consumer.group_range import GroupRange, group_range
from consumer.start import AtOffset, Beginning, End, LastGroups
from tests.support.published_groups import SECOND_US, START_US

MINUTE_US = 60 * SECOND_US


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, GroupRange()),
        ({"beginning": True}, GroupRange(Beginning())),
        ({"end": True}, GroupRange(End())),
        ({"last": 5}, GroupRange(LastGroups(5))),
        ({"offset": "0:1234"}, GroupRange(AtOffset({0: 1234}))),
        ({"offset": ["0:1", "2:3"]}, GroupRange(AtOffset({0: 1, 2: 3}))),
        ({"offset": {1: 7}}, GroupRange(AtOffset({1: 7}))),
        ({"from_": "2026-11-23T10:00:00"}, GroupRange(from_us=START_US)),
        ({"from_": "2026-11-23T11:00+01:00"}, GroupRange(from_us=START_US)),
        ({"from_": datetime(2026, 11, 23, 10, tzinfo=UTC)}, GroupRange(from_us=START_US)),
        ({"from_": Time("2026-11-23T10:00:00.000001")}, GroupRange(from_us=START_US + 1)),
        ({"from_": Time("2026-11-23T10:00:37", scale="tai")}, GroupRange(from_us=START_US)),
        (
            {"from_": "-10m", "to": "now"},
            GroupRange(from_us=START_US - 10 * MINUTE_US, to_us=START_US),
        ),
        ({"from_": "-1h30m"}, GroupRange(from_us=START_US - 90 * MINUTE_US)),
        ({"from_": "-0.5s"}, GroupRange(from_us=START_US - SECOND_US // 2)),
        ({"to": "-1d"}, GroupRange(to_us=START_US - 1440 * MINUTE_US)),
        ({"last": 3, "to": "now"}, GroupRange(LastGroups(3), to_us=START_US)),
        ({"offset": "0:1", "from_": "now"}, GroupRange(AtOffset({0: 1}), from_us=START_US)),
        ({"sources": "sb1,sb0,sb1"}, GroupRange(sources=("sb1", "sb0"))),
        ({"sources": ["sb1", "sb0,sb2"]}, GroupRange(sources=("sb1", "sb0", "sb2"))),
        ({"complete_only": True, "limit": 9}, GroupRange(complete_only=True, limit=9)),
    ],
)
def test_a_range_as_people_say_it(said, meant):
    assert group_range(**said, now_us=START_US) == meant


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"beginning": True, "end": True}, "--beginning and --end exclude each other"),
        ({"last": 5, "beginning": True}, "--beginning and --last exclude each other"),
        ({"last": 5, "offset": "0:1"}, "--last and --offset exclude each other"),
        ({"beginning": True, "from_": "now"}, "--beginning and --from exclude each other"),
        ({"end": True, "from_": "now"}, "--end and --from exclude each other"),
        ({"from_": "now", "to": "now"}, "is not before --to"),
        ({"from_": "soon"}, "'soon' is no time: say one like"),
        ({"to": "10m"}, "'10m' is no time"),
        ({"to": "-10"}, "'-10' is no time"),
        ({"from_": "-9999999d"}, "before 1970"),
        ({"from_": datetime(2026, 11, 23)}, "no time zone"),  # noqa: DTZ001 - that is the mistake
        ({"from_": 17}, "17 is no time"),
        ({"last": 0}, "--last 0"),
        ({"limit": 0}, "--limit 0"),
        ({"offset": "7"}, "say PARTITION:OFFSET"),
        ({"offset": "0:-1"}, "say PARTITION:OFFSET"),
        ({"offset": ["0:1", "0:2"]}, "partition 0 twice"),
        ({"sources": "sb0=tcp://host:1"}, "names alone"),
    ],
)
def test_what_is_wrong_is_said(said, words):
    with pytest.raises(RangeError, match=words):
        group_range(**said, now_us=START_US)


def test_a_verb_that_goes_on_for_ever_begins_now_unless_a_time_is_said():
    assert group_range(default=End()).place == End()
    assert group_range(default=End(), from_="2026-11-23").place == Beginning()
    assert group_range(default=End(), to="2026-11-23").place == End()


@pytest.mark.parametrize(
    ("where", "present", "complete", "meant"),
    [
        (GroupRange(), ("sb0",), False, True),
        (GroupRange(complete_only=True), ("sb0",), False, False),
        (GroupRange(complete_only=True), ("sb0",), True, True),
        (GroupRange(sources=("sb0", "sb1")), ("sb1", "sb2"), False, True),
        (GroupRange(sources=("sb0", "sb1")), ("sb2",), True, False),
        (GroupRange(sources=("sb0", "sb1"), complete_only=True), ("sb1", "sb2"), True, False),
        (GroupRange(sources=("sb0", "sb1"), complete_only=True), ("sb0", "sb1"), False, True),
    ],
)
def test_which_sources_a_group_has_to_have(where, present, complete, meant):
    assert where.has(present, complete=complete) is meant


def test_what_is_left_of_a_range():
    where = GroupRange(from_us=START_US, sources=("sb0",), limit=5)
    left = where.resumed({0: 7, 1: 9}, done=2)
    assert left == GroupRange(AtOffset({0: 7, 1: 9}), from_us=START_US, sources=("sb0",), limit=3)
    assert left.options() == (
        "--offset 0:7 --offset 1:9 --from 2026-11-23T10:00:00.000000Z --sources sb0 --limit 3"
    )


NAMES = st.lists(st.sampled_from(["sb0", "sb1", "a-b", "x.y_z"]), unique=True).map(tuple)
PLACES = (
    st.just(Beginning())
    | st.just(End())
    | st.integers(1, 99).map(LastGroups)
    | st.dictionaries(st.integers(0, 9), st.integers(0, 10**12), min_size=1).map(AtOffset)
)


@given(
    st.builds(
        GroupRange,
        PLACES,
        st.none() | st.integers(0, START_US),
        st.none() | st.integers(START_US + 1, 2 * START_US),
        NAMES,
        complete_only=st.booleans(),
        limit=st.none() | st.integers(1, 9),
    )
)
def test_a_range_printed_and_typed_again_is_the_same(where):
    if isinstance(where.place, End):
        where = replace(where, from_us=None)
    words = where.options().split()
    said: dict = {"offset": []}
    while words:
        option = words.pop(0).removeprefix("--").replace("-", "_")
        if option in ("beginning", "end", "complete_only"):
            said[option] = True
        elif option == "offset":
            said["offset"].append(words.pop(0))
        else:
            value = words.pop(0)
            said["from_" if option == "from" else option] = (
                int(value) if option in ("last", "limit") else value
            )
    said["offset"] = said["offset"] or None
    assert group_range(**said) == where


def test_the_last_groups_stay_those_where_one_goes_on():
    where = GroupRange(LastGroups(10))
    left = where.resumed({0: 50}, done=3, lost=2)
    assert left == GroupRange(AtOffset({0: 50}), limit=5)
    assert replace(where, limit=4).resumed({0: 50}, done=3, lost=2).limit == 1
    assert replace(where, limit=8).resumed({0: 50}, done=3, lost=4).limit == 3
    assert where.resumed({0: 50}, done=9, lost=2).limit == 0


@pytest.mark.parametrize(
    ("where", "most"),
    [
        (GroupRange(), None),
        (GroupRange(limit=3), 3),
        (GroupRange(LastGroups(5)), 5),
        (GroupRange(LastGroups(5), limit=3), 3),
    ],
)
def test_how_many_groups_a_range_has_at_most(where, most):
    assert where.most == most
