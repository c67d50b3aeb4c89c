"""Groupers come and go while images come in: 1, then 3, then 1. Nothing is lost, and nothing is out twice."""

import itertools
import threading
from contextlib import ExitStack, contextmanager

import pytest

from schemas.timestamp import format_timestamp
from tests.support.audited import audited
from tests.support.grouping import GrouperProcess
from tests.support.groups_reader import read_entries, read_groups
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import timeout_s, wait_until

PARTITIONS = 6
STEP = 20  # groups that have to come out before the next change


@pytest.fixture
def raw(kafka, topic_prefix):
    topic = RawTopic(kafka.bootstrap_servers, topic_prefix, partitions=PARTITIONS).create()
    yield topic
    topic.close()


@contextmanager
def load(raw):
    """Timestamp after timestamp, each with all its sources, until the end of the block; gives their list."""
    sent, stop = [], threading.Event()

    def send():
        for second in itertools.count():
            if stop.is_set():
                return
            raw.send(at(second))
            sent.append(second)
            stop.wait(0.02)

    thread = threading.Thread(target=send, name="load")
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join(timeout_s(30))
    assert not thread.is_alive()


def groups_out(raw):
    return len(read_entries(raw.bootstrap_servers, raw.names.catalogue))


def wait_for_more(raw, of):
    """Wait until `of` more groups are out than now, so that each stage does its share under load."""
    before = groups_out(raw)
    wait_until(lambda: groups_out(raw) >= before + of, timeout=90, message=f"{of} groups more than {before}")


def wait_for_shares(groupers):
    """Every grouper owns its share."""
    share = PARTITIONS // len(groupers)
    wait_until(
        lambda: all(len(owned(each)) == share for each in groupers),
        timeout=60,
        message=lambda: f"{share} partitions each, not {[owned(each) for each in groupers]}",
    )


def owned(grouper):
    """What its log says that it owns at present."""
    lists = [
        line for line in grouper.log if '"partitions assigned"' in line or '"partitions revoked"' in line
    ]
    if not lists or "revoked" in lists[-1]:
        return []
    return lists[-1].partition('"partitions": [')[2].partition("]")[0].split(", ")


def test_groupers_1_3_1_under_load(raw):
    with ExitStack() as stack:

        def start():
            return stack.enter_context(GrouperProcess(raw, session_timeout_s=6))

        with load(raw) as sent:
            first = start()
            wait_for_more(raw, STEP)
            second, third = start(), start()
            wait_for_shares([first, second, third])
            wait_for_more(raw, STEP)
            assert second.terminate() == 0  # as an update does,
            third.kill()  # and as a node that dies
            wait_for_shares([first])
            wait_for_more(raw, STEP)
        assert len(sent) >= 3 * STEP
        wait_until(lambda: groups_out(raw) >= len(sent), timeout=90, message=f"{len(sent)} groups")
    groups = read_groups(raw.bootstrap_servers, raw.names.groups)
    assert sorted(group.timestamp for group in groups) == [format_timestamp(at(second)) for second in sent]
    for group in groups:
        assert len(group.digests) == len(raw.sources)
    used = {group.records[0].partition for group in groups}
    assert len(used) == PARTITIONS
    for partition in used:
        stamps = [group.timestamp for group in groups if group.records[0].partition == partition]
        assert stamps == sorted(stamps), f"partition {partition}"
    assert audited(raw).findings == ()
