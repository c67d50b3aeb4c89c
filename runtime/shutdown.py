"""Stopping cleanly: the first SIGTERM or SIGINT asks, the second one ends the process at once."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from runtime.logs import get_logger

log = get_logger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Shutdown:
    """Says that the process is asked to stop. As a context manager, it listens to signals.

    Any thread may ask and wait. In a thread other than the main one, entering it listens to nothing:
    Python delivers signals to the main thread alone.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._before: dict[signal.Signals, Any] = {}
        self.signal: signal.Signals | None = None

    @property
    def requested(self) -> bool:
        """Whether somebody asked for a stop."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask for a stop."""
        self._event.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep until a stop is asked for, at most so long; says whether it was."""
        return self._event.wait(seconds)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # The default action from here on: it ends the process even where Python code no longer runs,
        # as in a call into librdkafka that does not come back.
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self.signal = signal.Signals(number)
        self._event.set()
        log.info("stopping; a second signal ends the process at once", signal=self.signal.name)
