"""The rules of grouping, each by example and all of them by hypothesis."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grouper.assembler import Assembler
from grouper.memory import ClosedGroups, PublishedGroup
from grouper.raw_record import RawHead, RawRecord
from grouper.rules import ClosedGroup, Rules, Verdict
from schemas.catalogue import ClosedBy
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders

SOURCES = ("sb0", "sb1", "sb2")
RULES = Rules(expected=SOURCES, grace_s=5.0, silent_after=3)
NO_IMAGE = bytes  # the rules don't look into it


@dataclass(frozen=True)
class Raw:
    """A raw record in miniature: a timestamp, a source, what its bytes were, when it was appended."""

    timestamp: int
    source: str
    content: str = "a"
    log_time_ms: int = 0


class Catalogue:
    """The catalogue as a list, and raw as a dictionary: what a restart reads back."""

    def __init__(self):
        self.entries: list[ClosedGroup] = []
        self.records: dict[int, RawRecord] = {}
        self.raw_begin = 0

    def read(self, catalogue_offset: int) -> PublishedGroup | None:
        return published(self.entries[catalogue_offset])

    def holds(self, _timestamp_us, first_offset):
        return first_offset >= self.raw_begin

    def append(self, group: ClosedGroup) -> int:
        self.entries.append(group.restored(tuple(self.records[m.raw_offset] for m in group.published)))
        return len(self.entries) - 1


def published(group: ClosedGroup) -> PublishedGroup:
    return PublishedGroup(group.revision, group.expected, tuple(record.member() for record in group.members))


NOTHING = (0, 0, {}, None)  # committed: offset, read_to, missed, waiting


class Life:
    """One life of a partition's grouper: from a recovery to a crash."""

    def __init__(self, catalogue: Catalogue, committed=NOTHING, rules=RULES, remember=1000):
        position, read_to, missed, waiting = committed
        self.catalogue = catalogue
        self.closed = ClosedGroups(remember, catalogue)
        for offset, group in enumerate(catalogue.entries):
            self.closed.restore(group.timestamp_us, offset)
        self.assembler = Assembler(
            rules,
            self.closed,
            catalogue,
            position=position,
            read_to=read_to,
            missed=missed,
            waiting=waiting,
        )
        self.verdicts: list[tuple[int, Verdict]] = []
        self.now_s = 0.0
        self.position = position

    def feed(self, raw: Raw, offset: int) -> tuple[ClosedGroup, ...]:
        head = head_of(raw, offset)
        verdict = self.assembler.judge(head)
        if verdict.joins:
            record = self.catalogue.records[offset] = record_of(raw, offset)
            self.assembler.join(record, self.now_s)
        if not self.assembler.replaying:
            self.verdicts.append((offset, verdict))
        seen = None if verdict is Verdict.DUPLICATE else head
        return self.publish(self.assembler.passed(offset, raw.log_time_ms, seen))

    def publish(self, groups):
        for group in groups:
            self.closed.published(group.timestamp_us, group.revision, self.catalogue.append(group))
        return groups

    def run(self, raws: list[Raw], start: int = 0, stop: int | None = None) -> list[ClosedGroup]:
        groups = []
        for offset in range(start, len(raws) if stop is None else stop):
            groups += self.feed(raws[offset], offset)
        return groups

    def commit(self):
        now = self.assembler
        return now.committed_offset, now.read_to, now.missed, now.waiting


def head_of(raw: Raw, offset: int) -> RawHead:
    headers = RawHeaders(
        "t", raw.source, raw.timestamp, f"xxh3-128:{ord(raw.content):032x}", 0, PixelOrder.FITS
    )
    return RawHead(offset, raw.log_time_ms, raw.timestamp, headers)


def record_of(raw: Raw, offset: int) -> RawRecord:
    digest = f"xxh3-128:{ord(raw.content):032x}"
    return RawRecord(
        offset, raw.log_time_ms, raw.timestamp, raw.source, digest, 0, 6e7, PixelOrder.FITS, 10, NO_IMAGE
    )


def describe(groups):
    return [(g.timestamp_us, g.closed_by, tuple(m.source for m in g.members), g.missing) for g in groups]


def alive(rules=RULES, **kwargs):
    return Life(Catalogue(), rules=rules, **kwargs)


def whole(timestamp, log_time_ms=0):
    return [Raw(timestamp, source, log_time_ms=log_time_ms) for source in SOURCES]


def test_a_complete_group_closes_at_its_last_window():
    life = alive()
    assert life.run(whole(1)[:2]) == []
    assert describe(life.feed(Raw(1, "sb2"), 2)) == [(1, ClosedBy.COMPLETE, SOURCES, ())]


def test_interleaved_sources_do_not_split_groups():
    raws = [
        Raw(1, "sb0"),
        Raw(2, "sb0"),
        Raw(3, "sb0"),
        Raw(1, "sb1"),
        Raw(2, "sb1"),
        Raw(1, "sb2"),
        Raw(2, "sb2"),
    ]
    groups = alive().run(raws)
    assert describe(groups) == [(1, ClosedBy.COMPLETE, SOURCES, ()), (2, ClosedBy.COMPLETE, SOURCES, ())]


def test_members_come_in_the_configured_order_of_sources():
    (group,) = alive().run([Raw(1, "sb2"), Raw(1, "sb0"), Raw(1, "sb1")])
    assert [member.source for member in group.members] == list(SOURCES)


def test_overtaken_when_the_missing_source_shows_a_later_timestamp():
    raws = [Raw(1, "sb0"), Raw(1, "sb1"), Raw(2, "sb0"), Raw(2, "sb1")]
    life = alive()
    assert life.run(raws) == []
    assert describe(life.feed(Raw(2, "sb2"), 4)) == [
        (1, ClosedBy.OVERTAKEN, ("sb0", "sb1"), ("sb2",)),
        (2, ClosedBy.COMPLETE, SOURCES, ()),
    ]


def test_with_reorder_grace_overtaken_waits_for_the_other_connector():
    life = alive(replace(RULES, reorder_grace_s=1.0))
    # Connector A was cut off from sb2 at timestamp 1, connector B is a little behind.
    raws = [Raw(1, "sb0"), Raw(1, "sb1"), *whole(2, log_time_ms=500)]
    assert describe(life.run(raws)) == [(2, ClosedBy.COMPLETE, SOURCES, ())]
    assert describe(life.feed(Raw(1, "sb2", log_time_ms=1499), 5)) == [(1, ClosedBy.COMPLETE, SOURCES, ())]


def test_reorder_grace_counts_for_each_source_from_its_own_later_timestamp():
    life = alive(replace(RULES, reorder_grace_s=1.0))
    raws = [
        Raw(1, "sb0"),
        Raw(2, "sb1", log_time_ms=100),
        Raw(2, "sb2", log_time_ms=400),
        Raw(3, "sb1", log_time_ms=1399),
    ]
    assert life.run(raws) == []
    closed = life.feed(Raw(3, "sb2", log_time_ms=1400), 4)
    assert describe(closed) == [(1, ClosedBy.OVERTAKEN, ("sb0",), ("sb1", "sb2"))]


def test_a_silent_source_needs_no_reorder_grace():
    life = Life(Catalogue(), committed=(0, 0, {"sb2": 3}, None), rules=replace(RULES, reorder_grace_s=1.0))
    closed = life.run([Raw(1, "sb0"), Raw(1, "sb1")])
    assert describe(closed) == [(1, ClosedBy.OVERTAKEN, ("sb0", "sb1"), ("sb2",))]


def test_a_later_timestamp_before_the_groups_first_record_overtakes_nothing():
    life = alive()
    assert life.run([Raw(2, "sb2"), Raw(1, "sb0"), Raw(1, "sb1")]) == []
    assert describe(life.feed(Raw(1, "sb2"), 3)) == [(1, ClosedBy.COMPLETE, SOURCES, ())]


def test_grace_counts_log_time_forward_steps_only():
    life = alive()
    raws = [
        Raw(1, "sb0", log_time_ms=10_000),
        Raw(2, "sb0", log_time_ms=12_400),
        Raw(3, "sb0", log_time_ms=9_000),  # a new leader's clock is behind
        Raw(4, "sb0", log_time_ms=11_500),
        Raw(5, "sb0", log_time_ms=11_599),
    ]
    assert life.run(raws) == []
    (group,) = life.feed(Raw(6, "sb0", log_time_ms=11_600), 5)
    assert describe([group]) == [(1, ClosedBy.GRACE, ("sb0",), ("sb1", "sb2"))]


def test_a_jump_of_the_append_time_is_no_time_in_which_sources_were_silent():
    """Kafka was away for ten minutes, and the connector brings what it held."""
    life = alive()
    raws = [Raw(1, "sb0"), Raw(1, "sb1", log_time_ms=600_000), Raw(1, "sb2", log_time_ms=600_010)]
    assert describe(life.run(raws)) == [(1, ClosedBy.COMPLETE, SOURCES, ())]


def test_log_time_goes_on_where_records_come_further_apart_than_a_step_counts():
    life = alive()
    raws = [Raw(timestamp, "sb0", log_time_ms=60_000 * timestamp) for timestamp in range(1, 5)]
    closed = life.run(raws)
    assert [(group.timestamp_us, group.closed_by) for group in closed] == [
        (1, ClosedBy.GRACE),  # at the second step after it
        (2, ClosedBy.GRACE),
    ]


def test_quiet_needs_grace_and_a_margin_of_the_own_clock():
    life = alive()
    life.run([Raw(1, "sb0")])
    assert not life.assembler.quiet_due(5.9)
    assert life.assembler.quiet_due(6.0)
    assert describe(life.assembler.close_quiet(6.0)) == [(1, ClosedBy.QUIET, ("sb0",), ("sb1", "sb2"))]
    assert not life.assembler.quiet_due(100.0)


def test_quiet_counts_from_when_kafka_was_there_again():
    life = alive()
    life.run([Raw(1, "sb0")])
    assert not life.assembler.quiet_due(100.0, there_since_s=94.1)
    assert life.assembler.close_quiet(100.0, there_since_s=94.1) == ()
    assert life.assembler.quiet_due(100.0, there_since_s=94.0)


def test_a_silent_source_is_not_waited_for_until_it_shows_a_window():
    life = alive()
    offset = 0
    closed = []
    for timestamp in range(1, 8):
        for source in ("sb0", "sb1"):
            closed += life.feed(Raw(timestamp, source, log_time_ms=timestamp * 6000), offset)
            offset += 1
    assert [g.closed_by for g in closed] == [ClosedBy.GRACE] * 3 + [ClosedBy.OVERTAKEN] * 4
    assert life.assembler.silent_sources == ("sb2",)
    assert life.feed(Raw(8, "sb2", log_time_ms=48_000), offset) == ()
    assert life.assembler.silent_sources == ()
    assert life.feed(Raw(8, "sb0", log_time_ms=48_000), offset + 1) == ()
    assert describe(life.feed(Raw(8, "sb1", log_time_ms=48_000), offset + 2)) == [
        (8, ClosedBy.COMPLETE, SOURCES, ())
    ]


def test_a_late_window_of_a_silent_source_wakes_it():
    life = alive()
    raws = [Raw(t, s, log_time_ms=t * 6000) for t in range(1, 6) for s in ("sb0", "sb1")]
    life.run(raws)
    assert life.assembler.silent_sources == ("sb2",)
    life.feed(Raw(5, "sb2", log_time_ms=30_000), len(raws))
    assert life.verdicts[-1][1] is Verdict.LATE
    assert life.assembler.silent_sources == ()


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        (Raw(1, "sb0", "a"), Verdict.DUPLICATE),
        (Raw(1, "sb0", "b"), Verdict.CONFLICT),
        (Raw(1, "sb1", "a"), Verdict.MEMBER),
        (Raw(1, "nobody", "a"), Verdict.UNKNOWN),
    ],
)
def test_verdicts_while_the_group_is_open(raw, verdict):
    life = alive()
    life.feed(Raw(1, "sb0", "a"), 0)
    life.feed(raw, 1)
    assert life.verdicts[-1] == (1, verdict)


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        (Raw(1, "sb0", "a"), Verdict.DUPLICATE),
        (Raw(1, "sb0", "b"), Verdict.CONFLICT),
        (Raw(1, "sb2", "a"), Verdict.LATE),
    ],
)
def test_verdicts_once_the_group_is_closed(raw, verdict):
    life = alive()
    life.run([Raw(1, "sb0"), Raw(1, "sb1"), *whole(2)])
    assert [g.timestamp_us for g in life.catalogue.entries] == [1, 2]
    assert life.feed(raw, 5) == ()
    assert life.verdicts[-1] == (5, verdict)


def test_a_window_older_than_anything_remembered_is_rejected_or_grouped():
    raws = [raw for timestamp in range(10, 15) for raw in whole(timestamp)]
    for group_older, verdict in ((False, Verdict.OLDER), (True, Verdict.MEMBER)):
        life = alive(replace(RULES, group_older=group_older), remember=3)
        life.run(raws)
        life.feed(Raw(9, "sb0"), len(raws))
        assert life.verdicts[-1][1] is verdict


def test_with_nothing_forgotten_an_old_window_is_simply_grouped():
    life = alive()
    life.run(whole(10))
    assert describe(life.run([*whole(10), *whole(5)], start=3)) == [(5, ClosedBy.COMPLETE, SOURCES, ())]


def test_bounds_on_open_groups_close_the_oldest():
    life = alive(replace(RULES, max_open_groups=2))
    raws = [Raw(3, "sb0"), Raw(2, "sb0"), Raw(1, "sb0")]
    assert describe(life.run(raws)) == [(3, ClosedBy.BOUND, ("sb0",), ("sb1", "sb2"))]
    life = alive(replace(RULES, max_open_bytes=25))
    assert [g.timestamp_us for g in life.run(raws)] == [3]
    assert life.assembler.open_bytes == 20


def test_while_replaying_the_committed_offset_stays_before_what_is_still_to_be_read():
    life = Life(Catalogue(), committed=(0, 3, {}, None))
    assert life.assembler.committed_offset == 0
    life.feed(Raw(1, "sb0"), 0)
    life.feed(Raw(1, "sb1"), 1)
    assert life.assembler.committed_offset == 0
    # The rules go on where the earlier life was; had it published this group, the catalogue would say so.
    assert describe(life.feed(Raw(1, "sb2"), 2)) == [(1, ClosedBy.COMPLETE, SOURCES, ())]
    assert life.assembler.committed_offset == 3


def test_what_is_read_again_does_not_count_as_shown_again():
    raws = [Raw(9, "sb0"), Raw(2, "sb0"), Raw(2, "sb1"), Raw(3, "sb2")]
    catalogue = Catalogue()
    life = Life(catalogue)
    assert describe(life.run(raws)) == [(2, ClosedBy.OVERTAKEN, ("sb0", "sb1"), ("sb2",))]
    assert life.assembler.missed == {"sb2": 1}
    assert life.commit()[:2] == (0, 4)  # the group of 9 is open: everything is read again
    again = Life(catalogue, life.commit())
    again.run(raws)
    assert again.assembler.missed == {"sb2": 1}


def test_a_memory_that_lost_its_whole_catalogue_calls_nothing_older():
    life = alive()
    life.closed.truncated()
    assert describe(life.run(whole(1))) == [(1, ClosedBy.COMPLETE, SOURCES, ())]


# -- repair

REPAIR = replace(RULES, repair_late=True)


def versions(catalogue):
    return [
        (g.timestamp_us, g.revision, g.closed_by, tuple(m.source for m in g.members))
        for g in catalogue.entries
    ]


def test_a_late_window_makes_revision_2_with_all_members():
    life = alive(REPAIR)
    life.run([Raw(1, "sb0"), Raw(1, "sb1"), *whole(2), Raw(1, "sb2")])
    assert versions(life.catalogue) == [
        (1, 1, ClosedBy.OVERTAKEN, ("sb0", "sb1")),
        (2, 1, ClosedBy.COMPLETE, SOURCES),
        (1, 2, ClosedBy.COMPLETE, SOURCES),
    ]
    repaired = life.catalogue.entries[2]
    assert (repaired.complete, repaired.first_raw_offset, repaired.joined) == (True, 0, (5,))
    assert life.verdicts[-1] == (5, Verdict.REPAIR)
    life.feed(Raw(1, "sb2"), 6)
    life.feed(Raw(1, "sb2", "b"), 7)
    assert [verdict for _, verdict in life.verdicts[-2:]] == [Verdict.DUPLICATE, Verdict.CONFLICT]


def test_windows_that_come_late_together_are_one_revision():
    life = alive(REPAIR)
    raws = [Raw(1, "sb0"), *whole(2), Raw(1, "sb2"), Raw(2, "sb2"), Raw(1, "sb1")]
    life.run(raws)
    assert versions(life.catalogue)[2:] == [(1, 2, ClosedBy.COMPLETE, SOURCES)]


def test_what_comes_later_still_is_revision_3():
    life = alive(REPAIR)
    raws = [Raw(1, "sb0"), *whole(2), Raw(1, "sb2")]
    life.run([*raws, *(Raw(t, "sb0", log_time_ms=t * 2_000) for t in range(3, 6)), Raw(1, "sb1")])
    assert [version for version in versions(life.catalogue) if version[0] == 1] == [
        (1, 1, ClosedBy.OVERTAKEN, ("sb0",)),
        (1, 2, ClosedBy.GRACE, ("sb0", "sb2")),
        (1, 3, ClosedBy.COMPLETE, SOURCES),
    ]


def test_a_repair_changes_no_source_s_silence():
    life = alive(REPAIR)
    life.run([Raw(1, "sb0"), Raw(1, "sb1"), *whole(2), Raw(1, "sb2")])
    assert life.assembler.missed == {}
    life = Life(Catalogue(), committed=(0, 0, {"sb2": 2}, None), rules=REPAIR)
    life.run([Raw(1, "sb0"), *whole(2, log_time_ms=1), Raw(1, "sb1")])
    assert life.assembler.missed == {}


def test_what_raw_no_longer_holds_is_not_repaired():
    life = alive(REPAIR)
    life.run([Raw(1, "sb0"), Raw(1, "sb1"), *whole(2)])
    life.catalogue.raw_begin = 1
    life.feed(Raw(1, "sb2"), 5)
    assert life.verdicts[-1] == (5, Verdict.BEYOND_REPAIR)
    assert life.assembler.waiting == frozenset()


# -- auto

AUTO = replace(RULES, expected=None)


def test_auto_without_history_closes_by_grace_alone_then_knows_its_sources():
    life = alive(AUTO)
    raws = [raw for t in range(1, 6) for raw in whole(t, log_time_ms=t * 1_000)]
    assert life.run(raws) == []
    closed = life.run([*raws, *whole(6, log_time_ms=6_000)], start=15)
    assert describe(closed) == [(1, ClosedBy.GRACE, SOURCES, ())] + [
        (timestamp, ClosedBy.COMPLETE, SOURCES, ()) for timestamp in range(2, 7)
    ]


def test_auto_expects_a_new_source_from_its_first_window_on():
    life = alive(AUTO)
    raws = [
        *whole(1),
        *whole(2, log_time_ms=2_500),
        *whole(3, log_time_ms=5_000),  # closes the first group by grace, and the others with it
        Raw(4, "new", log_time_ms=5_000),
        *whole(4, log_time_ms=5_000),
        *whole(5, log_time_ms=5_000),
    ]
    groups = life.run(raws)
    assert describe(groups)[3:] == [(4, ClosedBy.COMPLETE, ("new", *SOURCES), ())]
    assert life.assembler.open_groups == 1  # it is waited for now


def test_auto_forgets_a_source_that_twenty_groups_lack():
    catalogue = Catalogue()
    raws = [Raw(0, "gone"), *(r for t in range(30) for r in whole(t, log_time_ms=t * 2_000))]
    Life(catalogue, rules=replace(AUTO, silent_after=100)).run(raws)
    lacking = [group.timestamp_us for group in catalogue.entries if "gone" in group.missing]
    assert lacking == list(range(1, 21))
    assert catalogue.entries[-1].expected == SOURCES


# -- other settings after a restart


def test_what_waits_of_a_source_that_is_not_configured_any_more_is_said_to_be_unknown():
    raws = [Raw(1, "sb0"), Raw(1, "sb2"), Raw(1, "stranger")]
    first = alive()
    first.run(raws)
    life = Life(first.catalogue, first.commit(), replace(RULES, expected=("sb0", "sb1", "stranger")))
    for offset, raw in enumerate(raws):
        head = head_of(raw, offset)
        verdict, settled = life.assembler.judge(head), life.assembler.settled(offset)
        assert (verdict, settled) == [
            (Verdict.MEMBER, False),
            (Verdict.UNKNOWN, False),  # waited in the open group
            (Verdict.HANDLED, True),  # rejected by the earlier life, and known now
        ][offset]
        life.feed(raw, offset)
    assert life.assembler.waiting == {0}


# -- any order, any duplication, any restart point ------------------------------------------------

raw_records = st.builds(
    Raw,
    timestamp=st.integers(1, 6),
    source=st.sampled_from((*SOURCES, "stranger")),
    content=st.sampled_from("aab"),
)


@st.composite
def partitions(draw):
    """A raw partition: windows in any order, repeats and conflicts among them, log time going both ways."""
    raws = draw(st.lists(raw_records, max_size=60))
    time_ms = 0
    timed = []
    for raw in raws:
        time_ms += draw(st.sampled_from((0, 0, 10, 400, 2_000, -1_000, 60_000)))
        timed.append(replace(raw, log_time_ms=time_ms))
    return timed


def with_restarts(raws, crashes, rules=RULES):
    """Group `raws`, crashing at each of `crashes`: (offset of the crash, whether it comes after a commit).

    The transaction is modelled whole: what a record closed and the offsets are there together, or not.
    """
    catalogue = Catalogue()
    committed = NOTHING
    verdicts = {}
    pending = sorted(crashes)
    while True:
        life = Life(catalogue, committed, rules)
        offset = committed[0]
        crashed = False
        while offset < len(raws):
            if pending and pending[0][0] <= offset:
                _, commits = pending.pop(0)
                crashed = True
                if not commits:
                    break
            known = len(catalogue.entries)
            life.feed(raws[offset], offset)
            verdicts.update(life.verdicts[-1:])
            offset += 1
            if len(catalogue.entries) > known or offset % 3 == 0:
                committed = life.commit()
            if crashed:
                committed = life.commit()
                break
        if not crashed and offset >= len(raws):
            return catalogue, verdicts, life


any_rules = st.builds(
    Rules,
    expected=st.sampled_from((SOURCES, SOURCES, None)),
    reorder_grace_s=st.sampled_from((0.0, 0.0, 0.4, 3.0)),
    repair_late=st.booleans(),
)


@settings(max_examples=250, deadline=None)
@given(partitions(), any_rules)
def test_each_revision_is_published_once_and_each_window_has_one_verdict(raws, rules):
    life = alive(rules)
    life.run(raws)
    groups = life.catalogue.entries
    assert len({(group.timestamp_us, group.revision) for group in groups}) == len(groups)
    latest = {}
    for group in groups:
        before = latest.get(group.timestamp_us)
        assert group.revision == (before.revision + 1 if before else 1)
        assert [m.source for m in group.members] == [s for s in group.expected if s not in group.missing]
        if before:
            assert set(before.members) < set(group.members)
            assert group.first_raw_offset == before.first_raw_offset
        latest[group.timestamp_us] = group
    joined = [offset for group in groups for offset in group.joined]
    assert len(joined) == len(set(joined))
    assert sorted(joined) == sorted(m.offset for group in latest.values() for m in group.members)
    verdicts = dict(life.verdicts)
    assert len(verdicts) == len(raws)
    assert Verdict.HANDLED not in verdicts.values()
    # What joined and is not published is in a group that is still open.
    assert {o for o, v in verdicts.items() if v.joins} == set(joined) | life.assembler.waiting
    assert set(joined).isdisjoint(life.assembler.waiting)
    if rules.expected is None:
        assert Verdict.UNKNOWN not in verdicts.values()
    if rules.repair_late:
        assert Verdict.LATE not in verdicts.values()
    else:
        assert all(group.revision == 1 for group in groups)
    for group in groups:
        for record in group.members:
            assert (raws[record.offset].timestamp, raws[record.offset].source) == (
                group.timestamp_us,
                record.source,
            )


@settings(max_examples=400, deadline=None)
@given(
    partitions(),
    st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=6),
    any_rules,
)
def test_restarts_change_nothing(raws, crashes, rules):
    straight, straight_verdicts, straight_life = with_restarts(raws, [], rules)
    broken, broken_verdicts, broken_life = with_restarts(raws, crashes, rules)
    assert broken.entries == straight.entries
    assert broken_verdicts == straight_verdicts
    assert broken_life.assembler.open_groups == straight_life.assembler.open_groups
    assert broken_life.assembler.missed == straight_life.assembler.missed
    assert broken_life.assembler.waiting == straight_life.assembler.waiting


@settings(max_examples=200, deadline=None)
@given(partitions(), st.integers(0, 3))
def test_duplicates_never_change_what_is_published(raws, repeats):
    once = alive()
    straight = once.run(raws)
    life = alive()
    again = life.run([raw for raw in raws for _ in range(repeats + 1)])
    assert describe(again) == describe(straight)
    members, members_again = (
        sum(verdict is Verdict.MEMBER for _, verdict in each.verdicts) for each in (once, life)
    )
    assert members_again == members
