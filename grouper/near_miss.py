"""Near misses: sources whose timestamps of one moment disagree by less than half a cadence.

Their windows can never share a group, so each moment closes as two incomplete, disjoint groups. That
is a fault of the clocks at the image servers, which the grouper can see and must not guess away.
"""

from collections import deque
from statistics import median

from grouper.rules import ClosedGroup

_STEPS = 20  # steps between timestamps of one source that the cadence is the median of
_RECENT = 8  # incomplete groups that a new one is compared with


class NearMisses:
    """Counts the pairs of incomplete groups that should have been one."""

    def __init__(self) -> None:
        self._latest_us: dict[str, int] = {}
        self._steps_us: deque[int] = deque(maxlen=_STEPS)
        self._incomplete: deque[tuple[int, frozenset[str]]] = deque(maxlen=_RECENT)

    @property
    def cadence_us(self) -> float | None:
        """The time between a source's images in microseconds, as far as it is known."""
        return median(self._steps_us) if self._steps_us else None

    def closed(self, group: ClosedGroup) -> int:
        """Take note of a closed group; return how many earlier ones it nearly missed."""
        for member in group.members:
            latest_us = self._latest_us.get(member.source)
            if latest_us is not None and group.timestamp_us > latest_us:
                self._steps_us.append(group.timestamp_us - latest_us)
            self._latest_us[member.source] = group.timestamp_us
        if group.complete:
            return 0
        present = frozenset(member.source for member in group.members)
        cadence_us = self.cadence_us
        missed = 0
        if cadence_us is not None:
            missed = sum(
                abs(timestamp_us - group.timestamp_us) < cadence_us / 2 and present.isdisjoint(sources)
                for timestamp_us, sources in self._incomplete
            )
        self._incomplete.append((group.timestamp_us, present))
        return missed
