"""Calls that mostly wait for Kafka, made side by side: the results of all, or of none."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from typing import TypeVar

T = TypeVar("T")


def all_or_none(
    calls: Sequence[Callable[[], T]],
    *,
    at_once: int,
    on_return: Callable[[], None],
    on_failure: Callable[[], None],
    undo: Callable[[T], None],
) -> list[T]:
    """Make calls on threads, and return what they give, in the order of the calls.

    Where one fails, those that have not begun are left out, and what the others give is undone.

    Args:
        calls: what to call.
        at_once: so many at a time.
        on_return: called in this thread after each that has returned.
        on_failure: called once one has failed, so that it may hurry the others; they are waited for.
        undo: called with what a call gave that is of no use, since another one failed.

    Raises:
        BaseException: what the first one to fail raised.
    """
    if not calls:
        return []
    with ThreadPoolExecutor(min(at_once, len(calls)), thread_name_prefix="side-by-side") as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            for future in as_completed(futures):
                future.result()
                on_return()
        except BaseException:
            for future in futures:
                future.cancel()
            on_failure()
            wait(futures)
            for future in futures:
                if not future.cancelled() and future.exception() is None:
                    undo(future.result())
            raise
    return [future.result() for future in futures]
