"""What an audit counts: no finding, but what one wants to know beside them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from schemas.catalogue import ClosedBy
from schemas.timestamp import format_timestamp

MAX_LISTED: Final = 1_000
"""Groups closed by `quiet` or `bound` that are listed one by one, of each partition."""


@dataclass(slots=True)
class SourceOrder:
    """The order in which one source's windows lie in raw.

    Attributes:
        windows: how many.
        back: how many are earlier than the one before, repeats left out.
        latest_us: the latest timestamp.
    """

    windows: int = 0
    back: int = 0
    latest_us: int = -1

    def saw(self, timestamp_us: int) -> None:
        """Take a window in."""
        self.windows += 1
        if timestamp_us < self.latest_us:
            self.back += 1
        self.latest_us = max(self.latest_us, timestamp_us)


@dataclass(slots=True)
class Tally:
    """The counts of one partition.

    Attributes:
        windows: raw records read.
        members: of them, compared with the image they became.
        duplicates: of them, dropped for a member of the same bytes.
        rejected: of them, in rejects.
        gone_members: images whose raw record retention has taken, so that nothing could be compared.
        gone: other things that retention, or `remember`, has made unjudgeable.
        groups: whole groups, each revision counted.
        repaired: of them, further revisions.
        incomplete: of them, with a source missing.
        closed_by: catalogue entries by the rule that closed the group.
        rejects: records of rejects by reason.
        unforeseeable: groups closed by `quiet` or `bound`, which a clock or memory decided: (time, rule).
        sources: the order of each source's windows.
    """

    windows: int = 0
    members: int = 0
    duplicates: int = 0
    rejected: int = 0
    gone_members: int = 0
    gone: int = 0
    groups: int = 0
    repaired: int = 0
    incomplete: int = 0
    closed_by: Counter[ClosedBy] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    unforeseeable: list[tuple[str, str]] = field(default_factory=list)
    sources: dict[str, SourceOrder] = field(default_factory=dict)

    def closed(self, timestamp_us: int, closed_by: ClosedBy) -> None:
        """Take note of why a group closed."""
        self.closed_by[closed_by] += 1
        if closed_by in (ClosedBy.QUIET, ClosedBy.BOUND) and len(self.unforeseeable) < MAX_LISTED:
            self.unforeseeable.append((format_timestamp(timestamp_us), closed_by.value))

    def saw(self, source: str, timestamp_us: int) -> None:
        """Take note of a source's window."""
        order = self.sources.get(source)
        if order is None:
            order = self.sources[source] = SourceOrder()
        order.saw(timestamp_us)
