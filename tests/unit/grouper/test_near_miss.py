"""Groups that should have been one."""

import pytest

from grouper.near_miss import NearMisses
from grouper.rules import ClosedGroup
from schemas.catalogue import ClosedBy
from tests.unit.grouper.test_assembler import Raw, record_of

SECOND = 1_000_000


def closed(timestamp_us, *sources, complete=False):
    members = tuple(record_of(Raw(timestamp_us, source), 0) for source in sources)
    missing = () if complete else ("other",)
    closed_by = ClosedBy.COMPLETE if complete else ClosedBy.OVERTAKEN
    return ClosedGroup(
        timestamp_us=timestamp_us,
        revision=1,
        members=members,
        published=(),
        expected=(*sources, *missing),
        missing=missing,
        closed_by=closed_by,
        first_offset=0,
        joined=(0,),
        read_to=0,
        missed={},
    )


@pytest.mark.parametrize(
    ("apart_us", "sources", "count"),
    [
        (SECOND // 4, ("sb2", "sb3"), 1),
        (SECOND // 4, ("sb1", "sb3"), 0),  # sb1 is in both: two moments, not one
        (SECOND * 3 // 4, ("sb2", "sb3"), 0),
    ],
)
def test_disjoint_incomplete_groups_within_half_a_cadence_are_near_misses(apart_us, sources, count):
    near = NearMisses()
    for second in range(3):
        near.closed(closed(second * SECOND, "sb0", "sb1", complete=True))
    assert near.cadence_us == SECOND
    assert near.closed(closed(3 * SECOND, "sb0", "sb1")) == 0
    assert near.closed(closed(3 * SECOND + apart_us, *sources)) == count


def test_without_a_known_cadence_nothing_is_near():
    near = NearMisses()
    assert near.closed(closed(0, "sb0")) == 0
    assert near.closed(closed(1, "sb1")) == 0
