import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.group import Group
from consumer.group_order import GroupOrder, Merge
from tests.support.image_records import group
from tests.support.published_groups import SECOND_US, START_US


def at(second: int, partition: int = 0) -> Group:
    return group(timestamp_us=START_US + second * SECOND_US, partition=partition)


def order(merge: Merge = Merge.TIMESTAMP, wait_s: float = 2.0, partitions: int = 2) -> GroupOrder:
    made = GroupOrder(merge, wait_s)
    made.assign(range(partitions))
    return made


def second_of(handed: Group | None) -> int | None:
    return None if handed is None else (handed.timestamp_us - START_US) // SECOND_US


def test_by_arrival_nothing_waits():
    queue = order(Merge.ARRIVAL)
    queue.push(at(5, 0), 0.0)
    queue.push(at(3, 1), 0.0)
    assert queue.wait_left_s(0.0) == 0
    assert [second_of(queue.pop(0.0)) for _ in range(3)] == [5, 3, None]


def test_a_merge_waits_for_the_other_partition_and_hands_out_the_earlier_one():
    queue = order()
    queue.push(at(5, 0), 10.0)
    assert queue.pop(11.9) is None
    assert queue.wait_left_s(11.5) == pytest.approx(0.5)
    queue.push(at(3, 1), 11.9)
    assert second_of(queue.pop(11.9)) == 3
    assert queue.pop(11.9) is None


def test_a_merge_waits_so_long_and_no_longer_and_what_comes_then_is_marked():
    queue = order()
    queue.push(at(5, 0), 10.0)
    handed = queue.pop(12.0)
    assert handed is not None
    assert (second_of(handed), handed.out_of_order) == (5, False)
    queue.push(at(3, 1), 12.5)
    late = queue.pop(14.5)
    assert late is not None
    assert (second_of(late), late.out_of_order) == (3, True)
    queue.push(at(6, 1), 15.0)
    queue.push(at(7, 0), 15.0)
    in_order = queue.pop(15.0)
    assert in_order is not None
    assert not in_order.out_of_order


def test_each_group_handed_out_starts_the_wait_for_its_partition_anew():
    queue = order(partitions=3)
    queue.push(at(9, 0), 0.0)
    queue.push(at(8, 1), 1.9)
    assert [second_of(queue.pop(now_s)) for now_s in (1.9, 2.0, 3.9, 4.0)] == [None, 8, None, 9]


def test_a_partition_is_waited_for_from_when_its_last_group_was_taken():
    queue = order()
    queue.push(at(1, 0), 0.0)
    queue.push(at(9, 1), 0.0)
    assert second_of(queue.pop(50.0)) == 1  # its user took a while
    assert queue.pop(51.0) is None
    queue.push(at(2, 0), 51.5)
    assert [second_of(queue.pop(51.5)), second_of(queue.pop(53.4))] == [2, None]
    assert second_of(queue.pop(53.5)) == 9


def test_one_partition_never_waits():
    queue = order(partitions=1)
    queue.push(at(5), 0.0)
    assert queue.wait_left_s(0.0) == 0
    assert second_of(queue.pop(0.0)) == 5


def test_at_the_end_nothing_is_waited_for():
    queue = order()
    queue.push(at(5), 0.0)
    assert second_of(queue.pop(0.0, wait=False)) == 5


def test_revoking_drops_what_is_queued_and_ends_the_wait_for_it():
    queue = order()
    queue.push(at(5, 0), 0.0)
    queue.push(at(6, 1), 0.0)
    queue.push(at(7, 1), 0.0)
    assert queue.revoke([1, 2]) == 2
    assert (queue.count, queue.with_groups(), queue.without_groups()) == (1, {0}, set())
    assert second_of(queue.pop(0.0)) == 5
    assert (queue.count, queue.bytes) == (0, 0)


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[float, Group]]:
    now_s = 0.0
    came = []
    for number in range(draw(st.integers(0, 20))):
        now_s += draw(st.floats(0, 3))
        partition = draw(st.integers(0, 2))
        second = draw(st.integers(0, 10))
        came.append(
            (
                now_s,
                group(
                    timestamp_us=START_US + second * SECOND_US, partition=partition, first_offset=number * 10
                ),
            )
        )
    return came


@given(arrivals(), st.sampled_from(Merge), st.floats(0.1, 5))
def test_every_group_is_handed_out_once_in_its_partitions_order_within_the_wait(
    came: list[tuple[float, Group]], merge: Merge, wait_s: float
):
    queue = order(merge, wait_s, partitions=3)
    handed: list[Group] = []
    arrived_s = {(one.partition, one.first_offset): now_s for now_s, one in came}
    latest_us = 0
    taken_s = 0.0

    def take(until_s: float) -> None:
        """Take groups as a reader does that sleeps as long as it is told."""
        nonlocal latest_us, taken_s
        now_s = came[0][0] if came else 0.0
        while (left_s := queue.wait_left_s(now_s)) is not None and now_s + left_s <= until_s:
            now_s += left_s
            got = queue.pop(now_s)
            if got is None:  # less than a float's resolution is left
                now_s += 1e-9
                continue
            waited_since_s = max(arrived_s[got.partition, got.first_offset], taken_s)
            assert now_s <= waited_since_s + wait_s + 1e-6
            taken_s = now_s
            if merge is Merge.TIMESTAMP:
                assert got.out_of_order == (got.timestamp_us < latest_us)
                latest_us = max(latest_us, got.timestamp_us)
            handed.append(got)

    for now_s, one in came:
        take(now_s)
        queue.push(one, now_s)
    take(float("inf"))
    assert queue.count == 0
    for partition in range(3):
        mine = [one.first_offset for one in handed if one.partition == partition]
        assert mine == [one.first_offset for _, one in came if one.partition == partition]


def test_a_merge_does_not_wait_for_a_partition_that_has_ended():
    queue = order()
    queue.push(at(5, 0), 10.0)
    queue.push(at(6, 1), 10.0)
    queue.end([1])
    assert [second_of(queue.pop(10.0)) for _ in range(2)] == [5, None]  # 0 may still show an earlier one
    queue.end([0])
    assert queue.starving() == set()
    assert second_of(queue.pop(10.0)) == 6
    queue.assign([0])
    assert queue.starving() == {0}
