"""What a target calls a finding: anything but a documented error, a broken promise, or too much time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

MAX_INPUT_S = 5.0
"""Processor time for one input of a few KiB, which takes milliseconds: only work that explodes gets there."""


class FindingError(Exception):
    """A promise of schemas/ that an input breaks."""


def require(promise: bool, what: str) -> None:
    """Hold code to a promise; unlike `assert`, also under -O."""
    if not promise:
        raise FindingError(what)


@contextmanager
def bounded_time() -> Iterator[None]:
    """Hold what runs inside to `MAX_INPUT_S`. What never returns is the engine's to end."""
    begin_s = time.process_time()
    yield
    used_s = time.process_time() - begin_s
    require(used_s < MAX_INPUT_S, f"one input took {used_s:.1f} s of processor time")
