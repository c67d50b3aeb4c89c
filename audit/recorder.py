"""Turns what is wrong into findings of one partition, each told once."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from audit.facts import Problem
from audit.findings import Finding, FindingKind
from audit.groups import SeenGroup

Offsets = tuple[tuple[str, int], ...]

_REMEMBERED: Final = 100_000
_OF_RAW_RECORDS: Final = frozenset(
    {
        FindingKind.COMMITTED_TOO_FAR,
        FindingKind.MEMBER_DROPPED,
        FindingKind.REJECT_MISSING,
        FindingKind.WINDOW_TWICE,
    }
)


class Recorder:
    """Reports findings of a partition.

    Those about a raw record are told once a record. The others are told once a timestamp and source: one
    wrong digest shows against the raw record and against the catalogue.
    """

    def __init__(self, partition: int, report: Callable[[Finding], None]) -> None:
        self._partition = partition
        self._report = report
        self._told: OrderedDict[tuple[FindingKind, int | None, str | None, int | None], None] = OrderedDict()

    def find(
        self,
        kind: FindingKind,
        detail: str,
        *,
        timestamp_us: int | None = None,
        source: str | None = None,
        offsets: Offsets = (),
    ) -> None:
        """Report something, unless it was reported before."""
        by_record = timestamp_us is None or kind in _OF_RAW_RECORDS
        key = (kind, timestamp_us, source, offsets[0][1] if by_record and offsets else None)
        if key in self._told:
            return
        self._told[key] = None
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        self._report(Finding(kind, self._partition, timestamp_us, source, offsets, detail))

    def about(self, group: SeenGroup, problem: Problem) -> None:
        """Report something about a group."""
        first, last = group.offsets
        self.find(
            problem.kind,
            problem.detail,
            timestamp_us=group.timestamp_us,
            source=problem.source,
            offsets=(("groups", first), ("groups", last)),
        )

    def two_fates(self, raw_offset: int, timestamp_us: int | None, source: str | None, detail: str) -> None:
        """Report that a raw record became two things."""
        self.find(
            FindingKind.WINDOW_TWICE,
            detail,
            timestamp_us=timestamp_us,
            source=source,
            offsets=(("raw", raw_offset),),
        )
