"""Groups read before they are due, in a thread of its own, so that sending never waits for Kafka."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from typing import Final

from consumer.serving.frames import PlayedGroup

_END_S: Final = 3.0
"""How long the end waits for the thread, which may be in a call to a Kafka that is away."""


class Ahead:
    """Takes groups from an iterable before they are asked for, bounded in number and bytes.

    The room of a group is free again once it is *done*: while it is being sent, nothing is read that would
    take the processor from the sending.
    """

    def __init__(
        self,
        groups: Iterable[PlayedGroup],
        *,
        max_groups: int,
        max_bytes: int,
        notify: Callable[[], None],
        at_end: Callable[[], None],
    ) -> None:
        """Begin to read.

        Args:
            groups: read in the thread.
            max_groups: at most so many are held, the one that is being sent included; two, at least.
            max_bytes: of them; one more group is read as long as they have less.
            notify: called in the thread when a group is ready, or there will be none.
            at_end: called in the thread behind the last one, to let go of Kafka.
        """
        self._max_groups = max(2, max_groups)
        self._max_bytes = max_bytes
        self._notify = notify
        self._at_end = at_end
        self._changed = threading.Condition()
        self._ready: deque[PlayedGroup] = deque()
        self._held: deque[PlayedGroup] = deque()  # ready, or being sent
        self._ended = False
        self._stopped = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._read, args=(iter(groups),), name="serve", daemon=True)
        self._thread.start()

    def ready(self) -> bool:
        """`take` can be called."""
        return bool(self._ready) or self._ended

    def take(self) -> PlayedGroup | None:
        """The next group; None: there is none any more. Call it only when `ready`.

        Raises:
            Exception: whatever ended the reading; every group read before it was taken.
        """
        with self._changed:
            if self._ready:
                return self._ready.popleft()
            if self._failure is not None:
                raise self._failure
            return None

    def done(self) -> None:
        """The group taken first of those that are not done is done."""
        with self._changed:
            self._held.popleft()
            self._changed.notify_all()

    def stop(self) -> None:
        """End the reading."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(_END_S)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def pause(self, seconds: float) -> bool:
        """For the thread: wait so long; says whether to stop."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopped, seconds)

    def _read(self, groups: Iterator[PlayedGroup]) -> None:
        try:
            for group in groups:
                with self._changed:
                    self._ready.append(group)
                    self._held.append(group)
                self._notify()
                with self._changed:
                    self._changed.wait_for(lambda: self._stopped or self._has_room())
                    if self._stopped:
                        break
        except Exception as failure:  # noqa: BLE001 - handed to the thread that takes the groups
            self._failure = failure
        finally:
            self._ended = True
            self._notify()
            with suppress(Exception):  # what was read is read
                if isinstance(groups, Generator):
                    groups.close()  # while Kafka's clients, which it gives back, are still there
                self._at_end()

    def _has_room(self) -> bool:
        return (
            len(self._held) < self._max_groups
            and sum(group.size_bytes for group in self._held) < self._max_bytes
        )
