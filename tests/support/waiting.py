"""Waiting with a deadline. All time-outs of the tests scale with TRAPLINE_TEST_TIMEOUT_FACTOR."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
_POLL_S = 0.02
_LONGEST_REST_S = 1.0


def timeout_s(seconds: float) -> float:
    """A time-out for this machine: multiplied by TRAPLINE_TEST_TIMEOUT_FACTOR (1 where it is not set)."""
    return seconds * float(os.environ.get("TRAPLINE_TEST_TIMEOUT_FACTOR", "1"))


def wait_until(
    predicate: Callable[[], Result],
    message: str | Callable[[], str] = "the condition",
    timeout: float = 30.0,
) -> Result:
    """Call a predicate until it gives something true, and return that.

    Args:
        predicate: called every 20 ms; where it takes longer, as one that reads a topic does, it rests as long
            as it took, since on a busy machine what is waited for needs the processor more.
        message: what is waited for; a callable is asked at the deadline, to show how far things came.
        timeout: in seconds, before scaling.

    Raises:
        AssertionError: the deadline passed.
    """
    seconds = timeout_s(timeout)
    deadline_s = time.monotonic() + seconds
    while True:
        began_s = time.monotonic()
        result = predicate()
        if result:
            return result
        ended_s = time.monotonic()
        if ended_s >= deadline_s:
            missing = message() if callable(message) else message
            raise AssertionError(f"waited {seconds:g} s in vain for: {missing}")
        time.sleep(max(_POLL_S, min(ended_s - began_s, _LONGEST_REST_S)))
