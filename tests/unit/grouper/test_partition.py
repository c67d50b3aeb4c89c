"""A partition's transactions: small ones, and a crash between any two of them."""

from dataclasses import replace
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from grouper.assembler import Rules
from grouper.entry_index import EntryIndex
from grouper.memory import ClosedGroups
from grouper.partition import Partition
from grouper.recovery import Recovered
from schemas.digest import frame_digest
from schemas.record_headers import RawHeaders
from schemas.timestamp import timestamp_key
from schemas.window import PixelOrder
from tests.support.frames import make_frame
from tests.unit.grouper.test_assembler import SOURCES, Raw, describe, partitions

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
    """What the transactions have put into the topics."""

    def __init__(self):
        self.entries = []
        self.rejects = []
        self.committed = (0, 0, {})

    def read(self, catalogue_offset):
        return tuple(record.member() for record in self.entries[catalogue_offset].members)

    def commit(self, publication):
        first = len(self.entries)
        self.entries += publication.groups
        self.rejects += [(reject.headers.raw_offset, reject.headers.reason) for reject in publication.rejects]
        self.committed = (publication.committed_offset, publication.read_to, dict(publication.missed))
        return tuple(range(first, len(self.entries)))


def live(topics: Topics, raws, *, records: int, max_groups: int, transactions: int | None = None):
    """A life that takes `records` at a time, and ends after so many transactions, or with the last record."""
    position, read_to, missed = topics.committed
    closed = ClosedGroups(1000, topics)
    for offset, group in enumerate(topics.entries):
        closed.restore(group.timestamp_us, offset)
    state = Partition(0, "t", RULES, Recovered(position, read_to, missed, closed, EntryIndex()), 10**6)
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
)
def test_transactions_of_any_size_with_a_crash_behind_any_of_them_change_nothing(
    raws, crashes, records, max_groups
):
    straight = Topics()
    live(straight, raws, records=1, max_groups=1000)
    broken = Topics()
    for transactions in crashes:
        live(broken, raws, records=records, max_groups=max_groups, transactions=transactions)
    live(broken, raws, records=records, max_groups=max_groups)
    assert describe(broken.entries) == describe(straight.entries)
    assert broken.rejects == straight.rejects
    assert broken.committed == straight.committed
