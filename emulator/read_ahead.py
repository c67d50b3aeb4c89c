"""Rendering ahead of the clock, in a thread of its own, so that sending never waits for an image."""

import threading
from collections import deque
from collections.abc import Callable

from emulator.images import Images, Step

_DEPTH = 2
"""Steps held ready. Two: one to be sent, one being rendered; more would only take memory."""


class ReadAhead:
    """Takes steps from `images` before they are asked for; at most two are held.

    Args:
        images: started already.
        first, last: steps first, …, last - 1 are taken; `last` None: without end.
        notify: called from the rendering thread when a step is ready or rendering has failed.
    """

    def __init__(self, images: Images, first: int, last: int | None, notify: Callable[[], None]) -> None:
        self._images = images
        self._next = first
        self._last = last
        self._notify = notify
        self._ready: deque[Step] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None
        if not images.instant:
            self._thread = threading.Thread(target=self._render, name="emulator-images", daemon=True)
            self._thread.start()

    def ready(self) -> bool:
        """The next step can be taken at once (or its failure)."""
        return self._thread is None or bool(self._ready) or self._failure is not None

    def take(self) -> Step:
        """The next step; call it only when `ready`.

        Raises:
            Exception: whatever stopped the rendering.
        """
        if self._thread is None:
            step = self._images.take(self._next)
            self._next += 1
            return step
        with self._changed:
            if not self._ready and self._failure is not None:
                raise self._failure
            step = self._ready.popleft()
            self._changed.notify()
        return step

    def stop(self) -> None:
        """End the rendering thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _render(self) -> None:
        while self._last is None or self._next < self._last:
            try:
                step = self._images.take(self._next)
            except Exception as failure:  # noqa: BLE001 - handed to the thread that takes the step
                self._failure = failure
                self._notify()
                return
            self._next += 1
            with self._changed:
                self._ready.append(step)
                self._notify()
                self._changed.wait_for(lambda: self._stopped or len(self._ready) < _DEPTH)
                if self._stopped:
                    return
