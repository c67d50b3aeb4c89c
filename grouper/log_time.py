"""Log time: how long raw has been receiving records, by the broker's clock.

The sum of the forward steps between the append times of the raw records of one partition. A clock can step
back at a leader change, and that is no time that has passed. One step counts at most so much: while Kafka is
away nothing can be appended, so a jump says nothing about any source (docs/decisions/0008-log-time.md).
"""

import math


class LogTime:
    """The log time of one partition, in milliseconds since the first record passed."""

    def __init__(self, longest_step_ms: float) -> None:
        self._longest_step_ms = math.ceil(longest_step_ms)
        self._last_append_ms: int | None = None
        self.elapsed_ms = 0

    def at(self, append_ms: int) -> int:
        """The log time of the next record, by its append time."""
        if self._last_append_ms is None:
            return self.elapsed_ms
        step_ms = append_ms - self._last_append_ms
        return self.elapsed_ms + min(max(0, step_ms), self._longest_step_ms)

    def passed(self, append_ms: int) -> None:
        """Move on past the next record."""
        self.elapsed_ms = self.at(append_ms)
        self._last_append_ms = append_ms
