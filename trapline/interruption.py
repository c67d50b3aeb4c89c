"""How a verb that reads for long is stopped: Ctrl-C and SIGTERM are the same to it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does: by KeyboardInterrupt, at once, also while Kafka is waited for."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
