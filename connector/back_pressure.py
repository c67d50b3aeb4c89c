"""While a source is not read because what was read has no place: counted, and told once."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from connector.metrics import SourceCounts
from runtime.logs import get_logger

log = get_logger(__name__)

_WORTH_TELLING_S: Final = 1.0  # in a flood the queue is full all the time, for milliseconds


class BackPressure:
    """One wait of a source's thread, while it is entered."""

    def __init__(self, source: str, counts: SourceCounts, waiting_bytes: Callable[[], int]) -> None:
        """Begin.

        Args:
            source: its name, for the log.
            counts: of the source.
            waiting_bytes: how much of it Kafka has not acknowledged.
        """
        self._source = source
        self._counts = counts
        self._waiting_bytes = waiting_bytes
        self._began_s = self._latest_s = time.monotonic()
        self._told = False

    @property
    def waited_s(self) -> float:
        """How long it has lasted, as of the last turn."""
        return self._latest_s - self._began_s

    def turn(self, wait: Callable[[], bool], why: str) -> bool:
        """Wait a moment; what `wait` says.

        Args:
            wait: waits a moment; False where it is of no more use.
            why: for the log, if it lasts.
        """
        goes_on = wait()
        now_s = time.monotonic()
        self._counts.back_pressure_s.add(now_s - self._latest_s)
        self._latest_s = now_s
        if not self._told and self.waited_s > _WORTH_TELLING_S:
            self._told = True
            log.warning(
                "the source is not read", source=self._source, cause=why, waiting_bytes=self._waiting_bytes()
            )
        return goes_on

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._told:
            log.info("went on after back pressure", source=self._source, waited_s=round(self.waited_s, 1))
