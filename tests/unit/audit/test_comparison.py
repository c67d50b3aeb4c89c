"""Two sets of groups held against each other, pure: what differs, what explains it, what is not compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.comparison import DifferenceKind, NotCompared, PartitionComparison, Reach
from schemas.catalogue import CatalogueEntry, ClosedBy, Member
from schemas.digest import frame_digest
from schemas.record_headers import group_id
from tests.support.audit_facts import SOURCES, at

ALL = Reach(read_to=1_000, waiting=frozenset(), committed=1_000)


def entry(second, sources=SOURCES, *, closed_by=None, revision=1, other=b"", expected=SOURCES, first=None):
    first = 3 * second if first is None else first
    members = tuple(
        Member(source, first + n, frame_digest(f"{second}{source}".encode() + other), 6e7, 0)
        for n, source in enumerate(sources)
    )
    missing = tuple(source for source in expected if source not in sources)
    return CatalogueEntry(
        timestamp_us=at(second),
        revision=revision,
        group_id=group_id(at(second), revision, first),
        complete=not missing,
        closed_by=closed_by or (ClosedBy.OVERTAKEN if missing else ClosedBy.COMPLETE),
        expected=expected,
        present=tuple(sources),
        missing=missing,
        members=members,
        first_offset=0,
        last_offset=0,
        committed_offset=first,
        read_to=first + 3,
        catalogue_from=0,
    )


def compare(here, there, *, here_at=ALL, there_at=ALL, raw_begin=0):
    found = []
    comparison = PartitionComparison(0, here_at, there_at, raw_begin, found.append)
    for each in here:
        comparison.add_here(each)
    for each in there:
        comparison.add_there(each)
    comparison.end()
    return comparison, [(each.kind, each.explained_by) for each in found]


def test_equal_groups_in_any_order_of_publication():
    groups = [entry(second) for second in range(5)]
    comparison, found = compare(groups, groups[::-1])
    assert (comparison.equal, found) == (5, [])


@given(st.data())
def test_how_the_two_are_read_makes_no_difference(data):
    here = [entry(0), entry(1, SOURCES[:2]), entry(2), entry(3)]
    there = [entry(0), entry(1), entry(3), entry(4)]
    found = []
    comparison = PartitionComparison(0, ALL, ALL, 0, found.append)
    feeds = [[(comparison.add_here, each) for each in here], [(comparison.add_there, e) for e in there]]
    while any(feeds):
        feed = data.draw(st.sampled_from([feed for feed in feeds if feed]))
        add, each = feed.pop(0)
        add(each)
    comparison.end()
    assert sorted((d.kind, d.timestamp_us) for d in found) == [
        (DifferenceKind.MEMBERS, at(1)),
        (DifferenceKind.ONLY_HERE, at(2)),
        (DifferenceKind.ONLY_THERE, at(4)),
    ]
    assert comparison.equal == 2


@pytest.mark.parametrize(
    ("here", "there", "kind"),
    [
        ([], [entry(1)], DifferenceKind.ONLY_THERE),
        ([entry(1)], [], DifferenceKind.ONLY_HERE),
        ([entry(1, SOURCES[:2])], [entry(1)], DifferenceKind.MEMBERS),
        ([entry(1, other=b"x")], [entry(1)], DifferenceKind.MEMBERS),
        ([entry(1, SOURCES[:2], expected=SOURCES[:2])], [entry(1, SOURCES[:2])], DifferenceKind.EXPECTED),
        ([entry(1), entry(1, revision=2)], [entry(1)], DifferenceKind.REVISION),
    ],
)
def test_each_difference_is_named(here, there, kind):
    _, found = compare(here, there)
    assert found == [(kind, None)]


@pytest.mark.parametrize("rule", [ClosedBy.QUIET, ClosedBy.BOUND])
def test_a_clock_or_memory_explains_its_own_group_on_either_side(rule):
    clocked, whole = entry(1, SOURCES[:2], closed_by=rule), entry(1)
    for sides in ([clocked], [whole]), ([whole], [clocked]):
        assert compare(*sides)[1] == [(DifferenceKind.MEMBERS, rule.value)]
    late = [clocked, entry(1, revision=2)]
    assert {why for _, why in compare([whole], late)[1]} == {rule.value}


def test_what_comes_just_after_is_explained_and_what_comes_later_is_not():
    there = [entry(0, SOURCES[:2], closed_by=ClosedBy.QUIET), *(entry(second) for second in range(1, 40))]
    near = [entry(0, SOURCES[:2]), entry(1, SOURCES[:2]), *there[2:]]
    far = [entry(0, SOURCES[:2]), *there[1:30], entry(30, SOURCES[:2]), *there[31:]]
    ((kind, why),) = compare(near, there)[1]
    assert kind is DifferenceKind.MEMBERS
    assert why.startswith("after quiet")
    assert compare(far, there)[1] == [(DifferenceKind.MEMBERS, None)]


def test_the_same_members_by_another_rule_are_equal():
    here, there = entry(1, SOURCES[:2], closed_by=ClosedBy.GRACE), entry(1, SOURCES[:2])
    comparison, found = compare([here], [there])
    assert (comparison.equal, found) == (1, [])


def test_what_the_other_has_not_reached_or_holds_open_is_not_compared():
    there = [entry(0), entry(1), entry(5)]
    here_at = Reach(read_to=9, waiting=frozenset({3, 4, 5}), committed=3)
    comparison, found = compare([entry(0)], there, here_at=here_at)
    assert found == []
    assert comparison.not_compared[NotCompared.NOT_REACHED] == 2
    # Without the word of what waits, all from the committed offset on may.
    comparison, found = compare([entry(0)], there, here_at=Reach(read_to=9, waiting=None, committed=3))
    assert found == []
    assert compare([entry(0)], there)[1] == [(DifferenceKind.ONLY_THERE, None)] * 2


def test_what_retention_took_is_not_compared():
    there = [entry(0), entry(1), entry(2)]
    here = [entry(1, SOURCES[1:], first=4), entry(2)]
    comparison, found = compare(here, there, raw_begin=4)
    assert found == []
    assert comparison.not_compared[NotCompared.RAW_GONE] == 2
    assert comparison.equal == 1


def test_lines_and_json_say_what_is_on_both_sides():
    found = []
    comparison = PartitionComparison(2, ALL, ALL, 0, found.append)
    comparison.add_here(entry(1, SOURCES[:2], closed_by=ClosedBy.QUIET))
    comparison.add_there(entry(1))
    (difference,) = found
    assert difference.line() == (
        "explained by quiet: members: 2026-11-23T10:00:01.000000Z revision 1 partition 2 - here sb0,sb1 of "
        "sb0,sb1,sb2 (quiet); there sb0,sb1,sb2 of sb0,sb1,sb2 (complete)"
    )
    text = difference.as_json()
    assert (text["difference"], text["explained_by"], text["partition"]) == ("members", "quiet", 2)
    assert text["there"]["closed_by"] == "complete"
