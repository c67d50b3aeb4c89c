"""Whatever is asked, and however runs overlap: the same groups as a scan of everything finds."""

import os
import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.group_range import GroupRange
from consumer.history import History
from consumer.start import AtOffset, Beginning, LastGroups
from tests.support.group_topics import make_topics, settle
from tests.support.published_groups import SECOND_US, SOURCES, START_US, GroupPublisher, Published

PARTITIONS = 2
GROUPS = 45


@dataclass(frozen=True)
class Log:
    """What lies in Kafka: groups by partition in the order of their publication."""

    history: History
    groups: tuple[tuple[Published, ...], ...]


@pytest.fixture(scope="module", params=[1, 2])
def log(kafka, request):
    """Runs that overlap: each goes on by seconds, and which one is next is random; some steps go back."""
    chance = random.Random(request.param)
    made = make_topics(kafka.bootstrap_servers, f"history-{os.urandom(4).hex()}", PARTITIONS)
    publisher = GroupPublisher(made)
    clocks = [START_US, START_US + 30 * SECOND_US, START_US - 1000 * SECOND_US]
    groups: list[list[Published]] = [[] for _ in range(PARTITIONS)]
    for _ in range(GROUPS):
        run = chance.randrange(len(clocks))
        # Less than a millisecond, too: Kafka's index knows no more than that.
        clocks[run] += chance.choice([SECOND_US, SECOND_US, 300, -5 * SECOND_US])
        partition = chance.randrange(PARTITIONS)
        sources = chance.sample(SOURCES, chance.choice([1, 2, 3, 3]))
        groups[partition].append(publisher.publish(clocks[run], partition=partition, sources=sources))
        if chance.random() < 0.2:
            publisher.publish(clocks[run] + 1, partition=partition, abort=True)
    settle(made)
    with History(made) as history:
        yield Log(history, tuple(map(tuple, groups)))


def naive(log: Log, where: GroupRange) -> list[tuple[int, int]]:
    """Partition and offset of what is meant, by looking at each group there is."""
    meant = [[each for each in groups if is_meant(each, where)] for groups in log.groups]
    if isinstance(where.place, AtOffset):
        offsets = where.place.offsets
        meant = [
            [each for each in groups if each.entry.first_offset >= offsets.get(partition, 1 << 60)]
            for partition, groups in enumerate(meant)
        ]
    if isinstance(where.place, LastGroups):
        last: list[list[Published]] = [[] for _ in meant]
        for _ in range(where.place.count):
            ends = [p for p, groups in enumerate(meant) if groups]
            if ends:
                latest = max(ends, key=lambda p: meant[p][-1].entry.timestamp_us)
                last[latest].insert(0, meant[latest].pop())
        meant = last
    merged = []
    while any(meant):
        heads = [p for p, groups in enumerate(meant) if groups]
        first = min(heads, key=lambda p: meant[p][0].entry.timestamp_us)
        merged.append(meant[first].pop(0))
    return [(each.partition, each.entry.first_offset) for each in merged[: where.limit]]


def is_meant(group: Published, where: GroupRange) -> bool:
    entry = group.entry
    if where.from_us is not None and entry.timestamp_us < where.from_us:
        return False
    if where.to_us is not None and entry.timestamp_us >= where.to_us:
        return False
    wanted = set(where.sources or entry.expected)
    there = wanted & set(entry.present)
    return there == wanted if where.complete_only else bool(there)


TIMES = st.none() | st.builds(
    lambda run, second, more: START_US + run + second * SECOND_US + more,
    st.sampled_from([0, 30 * SECOND_US, -1000 * SECOND_US]),
    st.integers(-12, 40),
    st.integers(-400, 900),
)
PLACES = (
    st.just(Beginning())
    | st.builds(LastGroups, st.integers(1, GROUPS + 5))
    | st.dictionaries(st.integers(0, PARTITIONS - 1), st.integers(0, 60), min_size=1).map(AtOffset)
)
RANGES = st.builds(
    GroupRange,
    PLACES,
    TIMES,
    TIMES,
    st.lists(st.sampled_from(SOURCES), unique=True).map(tuple),
    complete_only=st.booleans(),
    limit=st.none() | st.integers(1, 20),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=RANGES)
def test_a_search_finds_what_a_scan_of_everything_finds(log, where):
    found = list(log.history.find(where))
    entries = [(record.partition, record.entry().first_offset) for record in found]
    assert entries == naive(log, where)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=RANGES, stop=st.integers(1, 8))
def test_a_search_broken_off_goes_on_where_it_stopped(log, where, stop):
    where = replace(where, limit=None)
    whole = [(group.partition, group.first_offset) for group in log.history.groups(where)]
    groups = log.history.groups(where)
    begun = [group for group, _ in zip(groups, range(stop), strict=False)]
    left = log.history.resumed(where, {group.partition: group.last_offset + 1 for group in begun}, len(begun))
    if len(whole) > stop:
        rest = [(group.partition, group.first_offset) for group in log.history.groups(left)]
        assert rest == whole[stop:]
