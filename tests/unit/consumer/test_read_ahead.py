import threading
import time

import pytest

from consumer.errors import StreamError
from consumer.group import Group
from consumer.group_order import Merge
from consumer.partition import Beyond, Nothing
from consumer.read_ahead import ReadAhead
from tests.support.image_records import group
from tests.support.published_groups import SECOND_US, START_US
from tests.support.waiting import timeout_s, wait_until


def read_ahead(merge: Merge = Merge.ARRIVAL, **bounds: int) -> ReadAhead:
    made = ReadAhead(merge, merge_wait_s=60.0, **{"max_groups": 4, "max_bytes": 1000, **bounds})
    made.begin({0: 0, 1: 0}, {})
    return made


def at(second: int, partition: int = 0) -> Group:
    """Three records and a marker a group."""
    return group(timestamp_us=START_US + second * SECOND_US, partition=partition, first_offset=4 * second)


def second_of(taken: Group | None) -> int | None:
    return None if taken is None else (taken.timestamp_us - START_US) // SECOND_US


def soon() -> float:
    return time.monotonic() + timeout_s(30)


def test_a_taker_waits_for_a_group_until_its_deadline():
    groups = read_ahead()
    assert groups.take(time.monotonic() + 0.05) is None
    threading.Timer(0.05, groups.queue, (0, [at(0)])).start()
    assert second_of(groups.take(soon())) == 0


def test_closing_wakes_the_taker():
    groups = read_ahead()
    threading.Timer(0.05, groups.close).start()
    assert groups.take(None) is None


def test_a_failure_comes_after_the_groups_that_were_read_before_it():
    groups = read_ahead(Merge.TIMESTAMP)  # which would wait for the other partition
    groups.queue(0, [at(0), at(1)])
    groups.fail(StreamError("no more"))
    assert [second_of(groups.take(None)), second_of(groups.take(None))] == [0, 1]
    for _ in range(2):
        with pytest.raises(StreamError, match="no more"):
            groups.take(None)
    with pytest.raises(StreamError):
        groups.wait_begun(None)


def test_it_is_drained_when_the_last_group_is_done():
    groups = read_ahead()
    groups.queue(0, [at(0)])
    assert not groups.is_drained()
    taken = groups.take(None)
    assert taken is not None
    assert not groups.is_drained()
    groups.finish(taken)
    assert groups.is_drained()


def test_only_what_is_done_is_due():
    groups = read_ahead()
    groups.committed(groups.due())
    groups.queue(0, [at(0), Nothing(next_offset=8)])
    taken = groups.take(None)
    assert taken is not None
    assert groups.due() == {}
    assert groups.settle(0.0)
    groups.finish(taken)
    assert groups.due() == {0: 8}
    assert not groups.settle(0.05)
    threading.Timer(0.05, groups.committed, ({0: 8},)).start()
    assert groups.settle(timeout_s(30))


def test_a_first_start_is_due_and_a_known_position_is_not():
    groups = ReadAhead(Merge.ARRIVAL, merge_wait_s=1.0, max_groups=4, max_bytes=1000)
    groups.begin({0: 40, 1: 50}, {1: 50})
    assert groups.due() == {0: 40}


def test_a_partition_that_comes_back_with_its_group_in_hand():
    groups = read_ahead()
    groups.committed(groups.due())
    groups.queue(0, [at(0), at(1)])
    taken = groups.take(None)
    assert taken is not None
    groups.drop([0, 1])
    assert groups.take(time.monotonic()) is None
    groups.finish(taken)
    assert groups.due() == {}  # it is another member's now
    assert groups.handed(0) == 3


def test_a_group_in_hand_is_committed_once_its_partition_is_back():
    groups = read_ahead()
    groups.committed(groups.due())
    groups.queue(0, [at(0)])
    taken = groups.take(None)
    assert taken is not None
    groups.drop([0, 1])
    groups.begin({0: 3}, {0: 0})
    assert groups.due() == {}
    groups.finish(taken)
    assert groups.due() == {0: 3}


def test_another_log_begins_anew():
    groups = read_ahead()
    groups.queue(0, [at(9)])
    taken = groups.take(None)
    assert taken is not None
    groups.jump(0, 0, anew=True)
    groups.finish(taken)
    assert groups.handed(0) is None
    assert groups.due()[0] == 0


def test_it_is_full_by_number_or_by_bytes():
    groups = read_ahead(max_groups=2)
    groups.queue(0, [at(0)])
    assert (groups.is_filled(), groups.is_filled(0.5)) == (False, True)
    groups.queue(0, [at(1)])
    assert groups.is_filled()
    large = read_ahead(max_bytes=3 * 2880)
    large.queue(0, [group(shape=(6, 8))])
    assert large.is_filled()


def test_a_merge_starves_for_a_partition_and_knows_who_has_more_than_its_share():
    groups = read_ahead(Merge.TIMESTAMP, max_groups=2)
    groups.queue(0, [at(0)])
    assert (groups.starving(), groups.above_share(2)) == ({1}, set())
    groups.queue(0, [at(1)])
    assert groups.above_share(2) == {0}
    assert read_ahead().starving() == set()


def test_room_is_waited_for():
    groups = read_ahead(max_groups=1)
    groups.queue(0, [at(0)])
    threading.Timer(0.05, groups.take, (None,)).start()
    groups.wait_for_room(timeout_s(30))
    wait_until(lambda: not groups.is_filled(), "room")


def test_a_range_that_has_ended_ends_the_taking_after_its_last_group():
    groups = read_ahead(Merge.TIMESTAMP)
    groups.queue(0, [at(0), Beyond()])
    groups.end([0], last=False)
    assert groups.take(time.monotonic()) is None  # the other partition is waited for
    groups.end([1], last=True)
    taken = groups.take(None)
    assert taken is not None
    assert groups.take(None) is None
    groups.finish(taken)
    assert groups.due()[0] == 3
