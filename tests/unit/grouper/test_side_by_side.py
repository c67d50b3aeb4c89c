import threading

import pytest

from grouper.side_by_side import all_or_none
from tests.support.waiting import timeout_s


def nothing():
    """Nobody wants to know."""


def made(calls, *, at_once=8, undone=None, on_return=nothing, on_failure=nothing):
    undo = (undone if undone is not None else []).append
    return all_or_none(calls, at_once=at_once, on_return=on_return, on_failure=on_failure, undo=undo)


def test_no_call_gives_nothing():
    assert made([]) == []


def test_results_come_in_the_order_of_the_calls_though_the_last_returns_first():
    last = threading.Event()

    def first_call():
        assert last.wait(timeout_s(30))
        return "first"

    def last_call():
        last.set()
        return "last"

    assert made([first_call, last_call]) == ["first", "last"]


def test_all_of_them_are_under_way_at_the_same_time():
    together = threading.Barrier(5)
    returned = []
    results = made(
        [lambda: together.wait(timeout_s(30)) >= 0] * 5,
        on_return=lambda: returned.append(threading.get_ident()),
    )
    assert results == [True] * 5
    assert returned == [threading.get_ident()] * 5


def test_never_more_at_once_than_was_said():
    lock, running, most = threading.Lock(), [], []

    def call():
        with lock:
            running.append(1)
            most.append(len(running))
        with lock:
            running.pop()

    made([call] * 20, at_once=2)
    assert max(most) <= 2
    assert len(most) == 20


def test_one_that_fails_hurries_the_others_and_their_results_are_undone():
    begun, hurry, undone = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        assert hurry.wait(timeout_s(30))
        return "slow"

    def failing():
        assert begun.wait(timeout_s(30))
        raise LookupError("the first")

    with pytest.raises(LookupError, match="the first"):
        made([slow, failing], undone=undone, on_failure=hurry.set)
    assert undone == ["slow"]


def test_after_a_failure_none_begins_and_the_first_error_is_told():
    begun, hurry, calls = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        assert hurry.wait(timeout_s(30))
        raise ValueError("hurried")

    def failing():
        assert begun.wait(timeout_s(30))
        raise LookupError("the first")

    def later():
        assert hurry.wait(timeout_s(30))
        calls.append("later")

    # The thread of the one that failed may take one more before all that have not begun are called off.
    with pytest.raises(LookupError, match="the first"):
        made([slow, failing, *[later] * 9], at_once=2, on_failure=hurry.set)
    assert len(calls) <= 1
