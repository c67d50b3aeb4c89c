"""A partition's transactions: small ones, and a crash between any two of them."""

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grouper import metrics
from grouper.entry_index import EntryIndex
from grouper.errors import RawGoneError, SessionLostError
from grouper.memory import ClosedGroups
from grouper.partition import Partition
from grouper.raw_record import decode_record, read_head
from grouper.recovery import Recovered
from grouper.rules import Rules
from schemas.digest import frame_digest
from schemas.errors import RejectReason
from schemas.offset_metadata import OffsetMetadata
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders
from schemas.timestamp import timestamp_key
from tests.support.frames import make_frame
from tests.support.metrics import Change
from tests.unit.grouper.test_assembler import (
    NOTHING,
    SOURCES,
    Raw,
    any_rules,
    describe,
    partitions,
    published,
    versions,
    whole,
)

RULES = Rules(expected=SOURCES, grace_s=5.0, silent_after=3)


@cache
def frame_of(raw: Raw) -> bytes:
    return make_frame(raw.timestamp, shape=(1, 1), seed=ord(raw.content))


class Consumed:
    """A raw record as the consumer hands it on."""

    def __init__(self, raw: Raw, offset: int):
        self._raw, self._offset = raw, offset
        self._frame = frame_of(replace(raw, source="any", log_time_ms=0))

    def offset(self):
        return self._offset

    def timestamp(self):
        return 2, self._raw.log_time_ms

    def key(self):
        return timestamp_key(self._raw.timestamp)

    def headers(self):
        digest = frame_digest(self._frame)
        return RawHeaders("t", self._raw.source, self._raw.timestamp, digest, 0, PixelOrder.FITS).encode()

    def value(self):
        return self._frame


class Topics:
    """What the transactions have put into the topics; and raw, read by offset."""

    def __init__(self, raws):
        self.raws = raws
        self.raw_begin = 0
        self.entries = []
        self.rejects = []
        self.committed = NOTHING

    def read(self, *asked):
        return self._entry(*asked) if len(asked) == 1 else self._again(*asked)

    def _entry(self, catalogue_offset):
        return published(self.entries[catalogue_offset])

    def _again(self, _timestamp_us, members):
        records = [self._record(member.raw_offset) for member in members]
        if any(record.offset < self.raw_begin for record in records):
            raise RawGoneError("gone")
        return tuple(records)

    def _record(self, offset):
        message = Consumed(self.raws[offset], offset)
        head = read_head(offset, message.timestamp()[1], message.key(), message.headers())
        return decode_record(head, message.value())

    def holds(self, _timestamp_us, first_offset):
        return first_offset >= self.raw_begin

    def commit(self, publication):
        first = len(self.entries)
        self.entries += publication.groups
        self.rejects += [(reject.headers.raw_offset, reject.headers.reason) for reject in publication.rejects]
        metadata = OffsetMetadata(publication.read_to, 0, publication.missed, publication.waiting)
        read_back = OffsetMetadata.decode(metadata.encode())
        assert read_back == metadata
        self.committed = (
            publication.committed_offset,
            publication.read_to,
            dict(publication.missed),
            publication.waiting,
        )
        return tuple(range(first, len(self.entries)))


def live(topics: Topics, *, rules=RULES, records: int, max_groups: int, transactions: int | None = None):
    """A life that takes `records` at a time, and ends after so many transactions, or with the last record."""
    raws = topics.raws
    position, read_to, missed, waiting = topics.committed
    closed = ClosedGroups(1000, topics)
    for offset, group in enumerate(topics.entries):
        closed.restore(group.timestamp_us, offset)
    recovered = Recovered(position, read_to, missed, closed, EntryIndex(), waiting)
    state = Partition(0, rules, recovered, topics, prefix="t", max_frame_bytes=10**6)
    committed = 0
    for first in range(position, len(raws), records):
        for offset in range(first, min(first + records, len(raws))):
            state.handle(Consumed(raws[offset], offset), 0.0)
        while publication := state.publication(10**9, max_groups) or state.progress(float("inf"), 0.0):
            if committed == transactions:
                return
            state.published(publication, topics.commit(publication))
            committed += 1


@settings(max_examples=200, deadline=None)
@given(
    partitions(),
    st.lists(st.integers(0, 5), max_size=5),
    st.integers(1, 8),
    st.integers(1, 3),
    any_rules,
)
def test_transactions_of_any_size_with_a_crash_behind_any_of_them_change_nothing(
    raws, crashes, records, max_groups, rules
):
    straight = Topics(raws)
    live(straight, rules=rules, records=1, max_groups=1000)
    broken = Topics(raws)
    for transactions in crashes:
        live(broken, rules=rules, records=records, max_groups=max_groups, transactions=transactions)
    live(broken, rules=rules, records=records, max_groups=max_groups)
    assert [versions(broken), describe(broken.entries)] == [versions(straight), describe(straight.entries)]
    assert broken.rejects == straight.rejects
    assert broken.committed == straight.committed


other_rules = st.builds(
    Rules,
    expected=st.sampled_from((SOURCES, SOURCES[:2], (*SOURCES, "stranger"), None)),
    repair_late=st.booleans(),
    group_older=st.booleans(),
)


@settings(max_examples=250, deadline=None)
@given(
    partitions(),
    st.lists(st.tuples(st.integers(0, 5), other_rules), max_size=5),
    other_rules,
    st.integers(1, 8),
    st.integers(1, 3),
)
def test_other_settings_after_each_restart_leave_each_window_one_end(
    raws, lives, last_rules, records, max_groups
):
    topics = Topics(raws)
    for transactions, rules in lives:
        live(topics, rules=rules, records=records, max_groups=max_groups, transactions=transactions)
    live(topics, rules=last_rules, records=records, max_groups=max_groups)
    offset, read_to, _, waiting = topics.committed
    assert read_to == len(raws)
    ends = [offset for group in topics.entries for offset in group.joined]
    ends += [offset for offset, _ in topics.rejects]
    ends += [offset] if waiting is None and offset < read_to else waiting or ()
    assert len(ends) == len(set(ends))
    known = {replace(raws[offset], log_time_ms=0) for offset in ends}
    duplicates = {replace(raw, log_time_ms=0) for o, raw in enumerate(raws) if o not in set(ends)}
    assert duplicates <= known
    assert len({(group.timestamp_us, group.revision) for group in topics.entries}) == len(topics.entries)


def late_by_one() -> Topics:
    return Topics([Raw(1, "sb0"), Raw(1, "sb1"), *whole(2), Raw(1, "sb2"), *whole(3)])


def test_raw_that_went_between_verdict_and_publication_loses_the_session_and_nothing_else():
    topics = late_by_one()
    rules = replace(RULES, repair_late=True)
    topics.read = lambda *asked: topics._entry(*asked) if len(asked) == 1 else _raise(RawGoneError("gone"))
    with pytest.raises(SessionLostError, match="gone"):
        live(topics, rules=rules, records=1, max_groups=10)
    assert [group.timestamp_us for group in topics.entries] == [1, 2]
    topics.raw_begin = 1  # what RawLog knows from then on
    live(topics, rules=rules, records=1, max_groups=10)
    assert [group.timestamp_us for group in topics.entries] == [1, 2, 3]
    assert topics.rejects == [(5, RejectReason.RAW_GONE)]


def test_a_repair_is_read_again_when_its_turn_comes_and_once():
    topics = late_by_one()
    read = []
    again = topics._again
    topics._again = lambda timestamp_us, members: (read.append(timestamp_us), again(timestamp_us, members))[1]
    closed = ClosedGroups(1000, topics)
    recovered = Recovered(0, 0, {}, closed, EntryIndex())
    rules = replace(RULES, repair_late=True)
    state = Partition(0, rules, recovered, topics, prefix="t", max_frame_bytes=10**6)
    for offset, raw in enumerate(topics.raws):
        state.handle(Consumed(raw, offset), 0.0)
    size = len(frame_of(replace(topics.raws[0], source="any")))
    groups = []
    # Room for two and a half windows: a transaction a group, and the third of them is the repair.
    while publication := state.publication(5 * size // 2, 10):
        groups.append([group.timestamp_us for group in publication.groups])
        assert read == ([1] if len(groups) > 2 else [])
        state.published(publication, topics.commit(publication))
    assert groups == [[1], [2], [1], [3]]


def _raise(error):
    raise error


def test_complete_groups_are_counted_as_they_were_at_first():
    """The second one is published without its third window, which a repair brings."""
    topics = Topics([*whole(1), Raw(2, "sb0"), Raw(2, "sb1"), *whole(3), Raw(2, "sb2"), *whole(4)])
    with (
        Change(metrics.GROUPS) as groups,
        Change(metrics.COMPLETE) as complete,
        Change(metrics.REPAIRS) as again,
    ):
        live(topics, rules=replace(RULES, repair_late=True), records=1, max_groups=10)
    assert (groups.by, complete.by, again.by) == (4, 3, 1)
