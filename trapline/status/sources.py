"""Each source, from the ends of catalogue, raw and rejects: pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.catalogue import CatalogueEntry
from schemas.errors import RejectReason
from schemas.record_headers import RawHeaders, RejectHeaders

_SECOND_US: Final = 1_000_000
NO_SOURCE: Final = "(unknown)"
"""Stands for the source of rejects whose source nobody knows."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source.

    Attributes:
        name: of the source.
        timestamp_us: its latest observation time; None: it was in none of the groups looked at.
        received_us: when the connector had read its latest image, microseconds since 1970 UTC; None: as
            above, and raw has none either.
        age_s: seconds since then.
        images: how many of its images are in the groups looked at.
        expected: how many of these groups expected it.
        missing: in how many of them it is missing.
        rate_per_s: images received a second; None: fewer than two.
        late: windows that came after their group had closed, of the rejects looked at.
        rejected: all of its rejects among these, the late ones too.
        in_raw_only: its latest image is in raw, and not in a group yet.
    """

    name: str
    timestamp_us: int | None
    received_us: int | None
    age_s: float | None
    images: int
    expected: int
    missing: int
    rate_per_s: float | None
    late: int
    rejected: int
    in_raw_only: bool

    @property
    def missing_share(self) -> float | None:
        """Of the groups that expected it; None: none did."""
        return self.missing / self.expected if self.expected else None


@dataclass(slots=True)
class _Tally:
    images: int = 0
    expected: int = 0
    missing: int = 0
    timestamp_us: int | None = None
    first_received_us: int | None = None
    last_received_us: int | None = None

    def take(self, timestamp_us: int, received_us: int) -> None:
        self.images += 1
        self.timestamp_us = (
            timestamp_us if self.timestamp_us is None else max(self.timestamp_us, timestamp_us)
        )
        first, last = self.first_received_us, self.last_received_us
        self.first_received_us = received_us if first is None else min(first, received_us)
        self.last_received_us = received_us if last is None else max(last, received_us)

    @property
    def rate_per_s(self) -> float | None:
        first, last = self.first_received_us, self.last_received_us
        if first is None or last is None or last <= first:
            return None
        return (self.images - 1) * _SECOND_US / (last - first)


def source_states(
    entries: Iterable[CatalogueEntry],
    raw: Iterable[RawHeaders],
    rejects: Sequence[RejectHeaders],
    now_us: int,
) -> tuple[SourceState, ...]:
    """The sources that any of these name, by name.

    Args:
        entries: the last ones of the catalogue. Of a timestamp with several revisions each image counts once.
        raw: headers of the last records in raw.
        rejects: headers of the last rejects.
        now_us: this machine's clock, microseconds since 1970 UTC.
    """
    latest: dict[int, CatalogueEntry] = {}
    for entry in entries:
        there = latest.get(entry.timestamp_us)
        if there is None or there.revision <= entry.revision:
            latest[entry.timestamp_us] = entry
    tallies: dict[str, _Tally] = {}
    for entry in latest.values():
        for source in entry.expected:
            tallies.setdefault(source, _Tally()).expected += 1
        for source in entry.missing:
            tallies.setdefault(source, _Tally()).missing += 1
        for member in entry.members:
            tallies.setdefault(member.source, _Tally()).take(entry.timestamp_us, member.receive_time_us)
    seen_in_raw: dict[str, int] = {}
    for headers in raw:
        before_us = seen_in_raw.get(headers.source, 0)
        seen_in_raw[headers.source] = max(headers.receive_time_us, before_us)
    rejected = Counter(each.source or NO_SOURCE for each in rejects)
    late = Counter(each.source or NO_SOURCE for each in rejects if each.reason is RejectReason.LATE)
    states = []
    for name in sorted({*tallies, *seen_in_raw, *rejected}):
        tally = tallies.get(name, _Tally())
        in_raw_us = seen_in_raw.get(name)
        grouped_us = tally.last_received_us
        received_us = max(filter(None, (grouped_us, in_raw_us)), default=None)
        states.append(
            SourceState(
                name=name,
                timestamp_us=tally.timestamp_us,
                received_us=received_us,
                age_s=None if received_us is None else (now_us - received_us) / _SECOND_US,
                images=tally.images,
                expected=tally.expected,
                missing=tally.missing,
                rate_per_s=tally.rate_per_s,
                late=late[name],
                rejected=rejected[name],
                in_raw_only=in_raw_us is not None and (grouped_us is None or in_raw_us > grouped_us),
            )
        )
    return tuple(states)
