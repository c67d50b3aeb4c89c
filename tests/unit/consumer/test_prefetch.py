import threading

import pytest

from consumer.prefetch import Prefetch
from tests.support.waiting import timeout_s, wait_until


def reading(read, *, max_bytes=1000, max_items=1000):
    return Prefetch(read, lambda item: item, max_bytes=max_bytes, max_items=max_items)


def test_everything_comes_in_order_and_then_the_end():
    ahead = reading(lambda: (number for number in range(1, 500)), max_bytes=100, max_items=7)
    assert list(ahead) == list(range(1, 500))
    assert ahead.take() is None
    assert ahead.close()


@pytest.mark.parametrize(
    ("bounds", "most"), [({"max_bytes": 100}, 2), ({"max_items": 3}, 3), ({"max_bytes": 1}, 1)]
)
def test_no_more_is_read_ahead_than_the_bounds_and_one_item(bounds, most):
    given = []

    def read():
        for number in range(20):
            given.append(number)
            yield 60

    ahead = reading(read, **bounds)
    for taken in range(1, 10):
        wait_until(lambda taken=taken: len(given) >= taken - 1 + most, "it reads on")
        assert len(given) <= taken - 1 + most
        assert ahead.take() == 60
    assert ahead.close()


def test_an_error_comes_after_what_was_read_before_it_and_only_to_who_waits():
    def read():
        yield 1
        raise ValueError("gone")

    ahead = reading(read)
    assert ahead.take() == 1
    with pytest.raises(ValueError, match="gone"):
        ahead.take()
    assert ahead.take(wait=False) is None
    with pytest.raises(ValueError, match="gone"):
        ahead.take()


def test_without_waiting_there_may_be_nothing_yet():
    go_on = threading.Event()

    def read():
        go_on.wait(timeout_s(30))
        yield 1

    ahead = reading(read)
    assert ahead.take(wait=False) is None
    go_on.set()
    assert ahead.take() == 1


def test_closing_ends_the_generator_on_its_own_thread():
    ended_on = []

    def read():
        try:
            while True:
                yield 1
        finally:
            ended_on.append(threading.current_thread().name)

    ahead = reading(read, max_items=2)
    ahead.take()
    assert ahead.close()
    assert ended_on == ["prefetch"]
