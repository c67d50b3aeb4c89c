"""The thread that brings records back from disk, and deletes what Kafka has."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from connector.spool.lane import Lane
from runtime.health import Heartbeat

_RELEASE_S: Final = 0.2
_TURN_S: Final = 0.1
_STUCK_AFTER_S: Final = 60.0


class Feeder:
    """Goes round the lanes.

    Attributes:
        failure: what ended the thread, if anything but a stop did.
        heartbeat: of the thread.
    """

    def __init__(
        self, lanes: Sequence[Lane], woken: threading.Event, wait_for_room: Callable[[], bool]
    ) -> None:
        """Prepare.

        Args:
            lanes: of all sources.
            woken: set by a lane that has put something on disk for it.
            wait_for_room: waits a moment for Kafka.
        """
        self.failure: Exception | None = None
        self.heartbeat = Heartbeat(_STUCK_AFTER_S)
        self._lanes = lanes
        self._woken = woken
        self._wait_for_room = wait_for_room
        self._stop = threading.Event()
        self._released_s = 0.0
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; what is on disk stays there."""
        self._stop.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._turn()
        except Exception as error:  # noqa: BLE001  told to whoever watches the process
            self.failure = error

    def _turn(self) -> None:
        self.heartbeat.beat()
        self._woken.clear()
        fed = [lane.feed() for lane in self._lanes if not self._stop.is_set()]
        now_s = time.monotonic()
        if now_s - self._released_s >= _RELEASE_S:
            self._released_s = now_s
            for lane in self._lanes:
                lane.release()
        if any(fed):
            return
        if any(lane.backlog for lane in self._lanes):
            self._wait_for_room()
        else:
            self._woken.wait(_TURN_S)
