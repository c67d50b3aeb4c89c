"""A call into librdkafka that returns in time, or is left behind.

`send_offsets_to_transaction` ignores its time-out while the consumer group's coordinator is down
(librdkafka#5456, #5511): after a broker was killed and came back, it has been seen to wait for ever, with
SIGTERM unheard behind it. Nothing interrupts such a call, so it runs on a thread of its own, and a
caller that has waited long enough gives that thread up together with the producer in it.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class CallLeftBehindError(Exception):
    """The call did not return in time: whether it took effect is unknown, and its client is lost."""


class _Outcome(Generic[T]):
    """What a call gave."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call: Callable[[], T] | None = call
        self._done = threading.Event()
        self._results: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        call, self._call = self._call, None
        if call is None:
            return
        try:
            self._results.append(call())
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            self._error = error
        finally:
            self._done.set()

    def wait(self, timeout_s: float) -> bool:
        return self._done.wait(timeout_s)

    def get(self) -> T:
        if self._error is not None:
            raise self._error
        return self._results[0]


def call_bounded(
    call: Callable[[], T], timeout_s: float, give_up: Callable[[], bool], poll_s: float = 0.2
) -> T:
    """Call, and wait at most `timeout_s` for the call to return.

    Args:
        call: what to call. The thread it runs on holds on to it until it returns, so that the client in it
            is not destroyed under it, which would wait for it as well.
        timeout_s: longer than the call's own time-out.
        give_up: asked every `poll_s`; true ends the wait.
        poll_s: see `give_up`.

    Raises:
        CallLeftBehindError: it did not return.
    """
    outcome = _Outcome(call)
    # A daemon: the process may end with the call still out.
    threading.Thread(target=outcome.run, name="kafka-call", daemon=True).start()
    waited_s = 0.0
    while not outcome.wait(min(poll_s, max(timeout_s - waited_s, 0.0))):
        waited_s += poll_s
        if waited_s >= timeout_s or give_up():
            raise CallLeftBehindError(f"no answer after {waited_s:.0f} s")
    return outcome.get()
