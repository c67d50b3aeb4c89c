"""The rules of grouping, each by example and all of them by hypothesis."""

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grouper.assembler import Assembler, ClosedGroup, Rules, Verdict
from grouper.memory import ClosedGroups, Members
from grouper.raw_record import RawHead, RawRecord
from schemas.catalogue import ClosedBy
from schemas.record_headers import RawHeaders
from schemas.window import PixelOrder, decode_window
from tests.support.frames import make_frame

SOURCES = ("sb0", "sb1", "sb2")
RULES = Rules(expected=SOURCES, grace_s=5.0, silent_after=3)
WINDOW = decode_window(make_frame(0, shape=(1, 1)))  # the rules don't look into it


@dataclass(frozen=True)
class Raw:
    """A raw record in miniature: a timestamp, a source, what its bytes were, when it was appended."""

    timestamp: int
    source: str
    content: str = "a"
    log_time_ms: int = 0


class Catalogue:
    """The catalogue as a list: what a restart reads back."""

    def __init__(self):
        self.entries: list[ClosedGroup] = []

    def read(self, catalogue_offset: int) -> Members | None:
        return tuple(record.member() for record in self.entries[catalogue_offset].members)


class Life:
    """One life of a partition's grouper: from a recovery to a crash."""

    def __init__(self, catalogue: Catalogue, committed=(0, 0, {}), rules=RULES, remember=1000):
        position, read_to, missed = committed
        self.catalogue = catalogue
        self.closed = ClosedGroups(remember, catalogue)
        for offset, group in enumerate(catalogue.entries):
            self.closed.restore(group.timestamp_us, offset)
        self.assembler = Assembler(rules, self.closed, position=position, read_to=read_to, missed=missed)
        self.verdicts: list[tuple[int, Verdict]] = []
        self.now_s = 0.0
        self.position = position

    def feed(self, raw: Raw, offset: int) -> tuple[ClosedGroup, ...]:
        head = head_of(raw, offset)
        verdict = self.assembler.judge(head)
        if verdict is Verdict.MEMBER:
            self.assembler.join(record_of(raw, offset), self.now_s)
        if not self.assembler.replaying:
            self.verdicts.append((offset, verdict))
        seen = None if verdict is Verdict.DUPLICATE else head
        return self.publish(self.assembler.passed(offset, raw.log_time_ms, seen))

    def publish(self, groups):
        for group in groups:
            self.catalogue.entries.append(group)
            self.closed.published(group.timestamp_us, len(self.catalogue.entries) - 1)
        return groups

    def run(self, raws: list[Raw], start: int = 0, stop: int | None = None) -> list[ClosedGroup]:
        groups = []
        for offset in range(start, len(raws) if stop is None else stop):
            groups += self.feed(raws[offset], offset)
        return groups

    def commit(self):
        return self.assembler.committed_offset, self.assembler.read_to, self.assembler.missed


def head_of(raw: Raw, offset: int) -> RawHead:
    headers = RawHeaders(
        "t", raw.source, raw.timestamp, f"xxh3-128:{ord(raw.content):032x}", 0, PixelOrder.FITS
    )
    return RawHead(offset, raw.log_time_ms, raw.timestamp, headers)


def record_of(raw: Raw, offset: int) -> RawRecord:
    digest = f"xxh3-128:{ord(raw.content):032x}"
    return RawRecord(
        offset, raw.log_time_ms, raw.timestamp, raw.source, digest, 0, 6e7, PixelOrder.FITS, 10, WINDOW
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
    life = Life(Catalogue(), committed=(0, 0, {"sb2": 3}), rules=replace(RULES, reorder_grace_s=1.0))
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
        Raw(2, "sb0", log_time_ms=14_000),
        Raw(3, "sb0", log_time_ms=9_000),  # a new leader's clock is behind
        Raw(4, "sb0", log_time_ms=9_999),
    ]
    assert life.run(raws) == []
    (group,) = life.feed(Raw(5, "sb0", log_time_ms=10_000), 4)
    assert describe([group]) == [(1, ClosedBy.GRACE, ("sb0",), ("sb1", "sb2"))]


def test_quiet_needs_grace_and_a_margin_of_the_own_clock():
    life = alive()
    life.run([Raw(1, "sb0")])
    assert not life.assembler.quiet_due(5.9)
    assert life.assembler.quiet_due(6.0)
    assert describe(life.assembler.close_quiet(6.0)) == [(1, ClosedBy.QUIET, ("sb0",), ("sb1", "sb2"))]
    assert not life.assembler.quiet_due(100.0)


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
    life = Life(Catalogue(), committed=(0, 3, {}))
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
        time_ms += draw(st.sampled_from((0, 0, 10, 400, 2_000, -1_000)))
        timed.append(replace(raw, log_time_ms=time_ms))
    return timed


def with_restarts(raws, crashes, rules=RULES):
    """Group `raws`, crashing at each of `crashes`: (offset of the crash, whether it comes after a commit).

    The transaction is modelled whole: what a record closed and the offsets are there together, or not.
    """
    catalogue = Catalogue()
    committed = (0, 0, {})
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


@settings(max_examples=300, deadline=None)
@given(partitions())
def test_each_timestamp_is_published_once_and_each_window_has_one_verdict(raws):
    life = alive()
    groups = life.run(raws)
    published = Counter(group.timestamp_us for group in groups)
    assert all(count == 1 for count in published.values())
    members = [record.offset for group in groups for record in group.members]
    assert len(members) == len(set(members))
    verdicts = dict(life.verdicts)
    assert len(verdicts) == len(raws)
    assert {o for o, v in verdicts.items() if v is Verdict.MEMBER} >= set(members)
    assert Verdict.HANDLED not in verdicts.values()
    # What is a member and not published is in a group that is still open.
    still_open = {o for o, v in verdicts.items() if v is Verdict.MEMBER} - set(members)
    assert {raws[o].timestamp for o in still_open}.isdisjoint(published)
    for group in groups:
        for record in group.members:
            assert (raws[record.offset].timestamp, raws[record.offset].source) == (
                group.timestamp_us,
                record.source,
            )


@settings(max_examples=600, deadline=None)
@given(
    partitions(),
    st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=6),
    st.sampled_from((0.0, 0.4, 3.0)),
)
def test_restarts_change_nothing(raws, crashes, reorder_grace_s):
    rules = replace(RULES, reorder_grace_s=reorder_grace_s)
    straight, straight_verdicts, straight_life = with_restarts(raws, [], rules)
    broken, broken_verdicts, broken_life = with_restarts(raws, crashes, rules)
    assert describe(broken.entries) == describe(straight.entries)
    assert [g.first_offset for g in broken.entries] == [g.first_offset for g in straight.entries]
    assert broken_verdicts == straight_verdicts
    assert broken_life.assembler.open_groups == straight_life.assembler.open_groups
    assert broken_life.assembler.missed == straight_life.assembler.missed


@settings(max_examples=200, deadline=None)
@given(partitions(), st.integers(0, 3))
def test_duplicates_never_change_what_is_published(raws, repeats):
    straight = alive().run(raws)
    life = alive()
    again = life.run([raw for raw in raws for _ in range(repeats + 1)])
    assert describe(again) == describe(straight)
    extra = [v for _, v in life.verdicts if v is Verdict.MEMBER]
    assert len(extra) <= len(raws)
