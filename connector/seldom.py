"""Log lines about what may happen a thousand times a second."""


class Seldom:
    """Says when a line is due. Pure: time is an argument."""

    def __init__(self, interval_s: float) -> None:
        """The first line is due at once.

        Args:
            interval_s: least seconds between two lines.
        """
        self._interval_s = interval_s
        self._latest_s = float("-inf")
        self._untold = 0

    def due(self, now_s: float) -> int | None:
        """How many were left out since the last line; None where this one is to be left out too."""
        if now_s - self._latest_s < self._interval_s:
            self._untold += 1
            return None
        untold, self._untold = self._untold, 0
        self._latest_s = now_s
        return untold
