"""Calls that return, that fail, and that never come back."""

import threading

import pytest

from runtime.bounded_call import CallLeftBehindError, call_bounded


def never() -> bool:
    return False


def test_what_the_call_returns_is_returned():
    assert call_bounded(lambda: 7, 10.0, never) == 7


def test_what_the_call_raises_is_raised():
    def fail():
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        call_bounded(fail, 10.0, never)


def test_a_call_that_does_not_come_back_is_left_behind():
    released = threading.Event()
    with pytest.raises(CallLeftBehindError):
        call_bounded(lambda: released.wait(60), 0.1, never, poll_s=0.02)
    released.set()


def test_a_caller_that_gives_up_does_not_wait():
    released = threading.Event()
    with pytest.raises(CallLeftBehindError):
        call_bounded(lambda: released.wait(60), 1000.0, lambda: True, poll_s=0.02)
    released.set()
