"""How a verb that reads for long is stopped: Ctrl-C and SIGTERM are the same to it."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does: by KeyboardInterrupt, at once, also while Kafka is waited for."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Interruption:
    """Ctrl-C and SIGTERM as KeyboardInterrupt, but not amid what has to be known as done or not done.

    with Interruption() as interruption:
        with interruption.held():
            publish(group)
            done += 1

    A signal that comes while held is raised at the end of the block. A second one is raised at once, so
    is one that comes when the block has taken `patience_s` already: something in it stands still.

    Attributes:
        asked: somebody wants us to stop; what takes long in a block should look at it.
    """

    def __init__(self) -> None:
        self.asked = False
        self._held_until_s: float | None = None

    def __enter__(self) -> Self:
        self._before = {each: signal.signal(each, self._heard) for each in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self, patience_s: float) -> Iterator[None]:
        """Hold a signal back until the end of this block."""
        self._held_until_s = time.monotonic() + patience_s
        try:
            yield
        finally:
            self._held_until_s = None
            if self.asked:
                raise KeyboardInterrupt

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if again or self._held_until_s is None or time.monotonic() > self._held_until_s:
            raise KeyboardInterrupt
