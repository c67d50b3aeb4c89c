"""How much all sources' spools may take together."""

import threading


class Bound:
    """Bytes on disk, of all sources. Any thread may ask and count.

    There is room as long as each source that reads could still add one frame of the largest size. A source
    that asks after each frame, and waits while the answer is no, so never passes the bound.
    """

    def __init__(self, max_bytes: int, reserve_bytes: int) -> None:
        """Begin with nothing used.

        Args:
            max_bytes: how much all spools may take.
            reserve_bytes: of it, what the frames being read at one time may take.
        """
        self.max_bytes = max_bytes
        self._reserve_bytes = reserve_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """What is taken."""
        return self._used_bytes

    @property
    def room(self) -> bool:
        """Whether another frame of each source has room."""
        return self._used_bytes + self._reserve_bytes <= self.max_bytes

    def add(self, size: int) -> None:
        """So much more is taken; less, where it is negative."""
        with self._lock:
            self._used_bytes += size
