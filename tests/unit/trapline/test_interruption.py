# ruff: noqa: PT012 - what is held is the point

import signal

import pytest

from trapline.interruption import Interruption

LONG_S = 3600.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_at_once_where_nothing_is_held(number):
    with pytest.raises(KeyboardInterrupt), Interruption():
        signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_held_is_finished_first(number):
    finished = []
    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt), interruption.held(LONG_S):
            signal.raise_signal(number)
            assert interruption.asked
            finished.append(True)
        assert finished


def test_a_second_signal_does_not_wait():
    with Interruption() as interruption, pytest.raises(KeyboardInterrupt), interruption.held(LONG_S):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("not reached")


def test_what_stands_still_is_not_waited_for():
    with Interruption() as interruption, pytest.raises(KeyboardInterrupt), interruption.held(-1.0):
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("not reached")


def test_an_error_in_what_is_held_stays_one_where_nobody_wants_us_to_stop():
    with Interruption() as interruption, pytest.raises(ValueError, match="x"), interruption.held(LONG_S):
        raise ValueError("x")


def test_handlers_are_put_back():
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with Interruption():
        assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] != before
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
