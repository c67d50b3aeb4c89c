"""The order of several sources' files: that of the times of their frames, as it was when they were recorded.

Each source's files are read by a thread of their own, and a disk gives small images faster than large ones.
Left alone, one source would run hours ahead of the others, and the grouper would close its groups without
them. So a frame is handed over only once no other source has an earlier one, or may still come to one.

What a source's next frame will be is known by reading it: each source holds one frame back until it has
seen the next. A frame that is later than the one behind it (a clock that was wrong, nights in the wrong
order) goes by the time of the one behind it. Else one wrong time would keep its source waiting for the end of
the others.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Final

from connector.records import Record
from schemas.record_headers import RawHeaders

_TICK_S: Final = 0.1  # between looks at whether to stop
_BEFORE_ALL_US: Final = -1
"""Of a source that has not shown a frame yet: all others wait for its first one."""


class FileOrder:
    """How far each source's files are. Used by the threads of all of them."""

    def __init__(self, sources: Iterable[str], stop: threading.Event) -> None:
        """Begin with no frame read.

        Args:
            sources: the names of all that are in the order.
            stop: set when nothing more is to be handed over.
        """
        self._stop = stop
        # By source, the time of the frame in hand; while the next one is read, that of the latest.
        self._at_us = dict.fromkeys(sources, _BEFORE_ALL_US)
        self._moved = threading.Condition()

    def wait_for_turn(self, source: str, timestamp_us: int) -> bool:
        """Wait until no other source is before this time; False where a stop was asked for instead.

        Args:
            source: that has a frame in hand.
            timestamp_us: what it goes by, microseconds since 1970 UTC. May be less than the one before.
        """
        with self._moved:
            self._move(lambda: self._at_us.update({source: timestamp_us}))
            while not self._stop.is_set():
                if timestamp_us <= min(self._at_us.values()):
                    return True
                self._moved.wait(_TICK_S)
        return False

    def leave(self, source: str) -> None:
        """Nobody waits for this source any more."""
        with self._moved:
            self._move(lambda: self._at_us.pop(source, None))

    def _move(self, change: Callable[[], object]) -> None:
        """Change how far a source is; wake the others where that may have been what they wait for."""
        before_us = min(self._at_us.values(), default=_BEFORE_ALL_US)
        change()
        if self._at_us and min(self._at_us.values()) > before_us:
            self._moved.notify_all()


class Turns:
    """One source's place in the order: takes its records, and hands them over when it is their turn."""

    def __init__(self, source: str, order: FileOrder, publish: Callable[[Record], None]) -> None:
        """Begin with nothing in hand.

        Args:
            source: its name.
            order: of all sources' files.
            publish: takes a record; may wait as long as it likes.
        """
        self._source = source
        self._order = order
        self._publish = publish
        self._held: Record | None = None
        self._held_us = 0

    def publish(self, record: Record) -> None:
        """Take a record; wait for the turn of the one that is held back. A reject has no turn: it goes on."""
        headers = record.headers
        if not isinstance(headers, RawHeaders):
            self._publish(record)
            return
        if self._held is not None:
            self._hand_over(self._held, min(self._held_us, headers.timestamp_us))
        self._held, self._held_us = record, headers.timestamp_us

    def end(self) -> None:
        """All was read: hand over the last frame."""
        if self._held is not None:
            self._hand_over(self._held, self._held_us)
        self._held = None

    def leave(self) -> None:
        """Whatever has ended the reading: nobody waits for this source any more."""
        self._order.leave(self._source)

    def _hand_over(self, record: Record, timestamp_us: int) -> None:
        # After a stop it stays in its file, which the next run reads from the beginning. Handed over now, it
        # could be so far ahead of the others that its group would be closed before they are read again.
        if self._order.wait_for_turn(self._source, timestamp_us):
            self._publish(record)
