import threading

import pytest

from consumer.serving.ahead import Ahead
from consumer.serving.frames import PlayedFrame, PlayedGroup
from tests.support.waiting import wait_until


def group(number, size=10):
    return PlayedGroup(number, 0, number + 1, (PlayedFrame("sb0", bytes(size)),))


class Reading:
    """Groups without end; says how many were read."""

    def __init__(self, size=10, fails_at=None, last=1_000_000):
        self.read = 0
        self.ended = threading.Event()
        self._size, self._fails_at, self._last = size, fails_at, last

    def __iter__(self):
        for number in range(self._last):
            if number == self._fails_at:
                raise OSError("Kafka is away")
            self.read += 1
            yield group(number, self._size)


def ahead_of(reading, max_groups=4, max_bytes=1000):
    return Ahead(
        reading, max_groups=max_groups, max_bytes=max_bytes, notify=lambda: None, at_end=reading.ended.set
    )


def test_groups_come_in_order_and_no_more_than_asked_for_are_held():
    reading = Reading()
    ahead = ahead_of(reading)
    for number in range(50):
        wait_until(ahead.ready, "a group")
        assert ahead.take().timestamp_us == number
        assert reading.read <= number + 4
        ahead.done()
    ahead.stop()
    assert reading.ended.is_set()


def test_bytes_bound_it_too():
    reading = Reading(size=600)
    ahead = ahead_of(reading)
    wait_until(lambda: reading.read == 2, "the group that passes the bound")
    wait_until(ahead.ready, "a group")
    ahead.take()
    assert reading.read == 2  # what was taken is being sent, and counts until it is done
    ahead.done()
    wait_until(lambda: reading.read == 3, "the next one")
    ahead.stop()


def test_the_end():
    ahead = ahead_of(Reading(last=1))
    wait_until(ahead.ready, "a group")
    assert ahead.take() is not None
    ahead.done()
    wait_until(ahead.ready, "the end")
    assert ahead.take() is None
    ahead.stop()


def test_what_was_read_before_a_failure_is_taken_first():
    reading = Reading(fails_at=2)
    ahead = ahead_of(reading)
    wait_until(reading.ended.is_set, "the failure")
    assert [ahead.take().timestamp_us, ahead.take().timestamp_us] == [0, 1]
    with pytest.raises(OSError, match="Kafka is away"):
        ahead.take()
    ahead.stop()


def test_a_stop_ends_the_reading():
    reading = Reading()
    ahead = ahead_of(reading)
    wait_until(lambda: reading.read == 4, "a full read-ahead")
    ahead.stop()
    assert reading.ended.is_set()
    assert reading.read == 4


def test_what_it_reads_from_is_closed_before_what_that_reads_from():
    """A generator that is left in the middle gives back what it uses, which must be there still."""
    order = []

    def groups():
        try:
            for number in range(100):
                yield group(number)
        finally:
            order.append("groups")

    ahead = Ahead(
        groups(), max_groups=2, max_bytes=1000, notify=lambda: None, at_end=lambda: order.append("Kafka")
    )
    wait_until(ahead.ready, "a group")
    ahead.stop()
    assert order == ["groups", "Kafka"]
