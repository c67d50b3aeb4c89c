"""What the catalogue alone says of a range of groups: pure, in memory that does not grow with the range."""

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from consumer.catalogue import CatalogueRecord
from consumer.sequence import Gap, Sequence
from schemas.catalogue import CatalogueEntry

SAMPLE: Final = 100
"""Groups whose latency is looked up; all of them where there are fewer."""

_SEED: Final = 20261123  # the same range gives the same sample


@dataclass(frozen=True, slots=True)
class Sampled:
    """A group whose time of publication is to be looked up.

    Attributes:
        partition: where its images lie in the groups topic.
        last_offset: of the last of them.
        received_us: when the connector had read the last of its frames, microseconds since 1970 UTC.
    """

    partition: int
    last_offset: int
    received_us: int


@dataclass(slots=True)
class Statistics:
    """Counts of groups as they come.

    A timestamp counts once, by its first revision: a repair says that something was late, and is counted as
    one.

    Attributes:
        sources: these alone count; empty: all.
        groups: timestamps.
        complete: of these, how many lack nothing.
        images: in them.
        repairs: later revisions of a timestamp.
        closed_by: by rule, how many groups it closed.
        expected: by source, how many groups expected it.
        missing: by source, in how many it is missing.
        first_us: the earliest timestamp; None: there is no group.
        last_us: the latest.
        received_first_us: when the first image of all was received, microseconds since 1970 UTC.
        received_last_us: when the last one was.
        sequence: the timestamps.
        sample: groups for latencies: all, or so many of them that each had the same chance.
    """

    sources: Collection[str] = ()
    sequence: Sequence = field(default_factory=Sequence)
    sample_size: int = SAMPLE
    groups: int = 0
    complete: int = 0
    images: int = 0
    repairs: int = 0
    closed_by: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    first_us: int | None = None
    last_us: int | None = None
    received_first_us: int | None = None
    received_last_us: int | None = None
    sample: list[Sampled] = field(default_factory=list)
    _random: random.Random = field(default_factory=lambda: random.Random(_SEED))  # noqa: S311 - no secret

    def add(self, record: CatalogueRecord, entry: CatalogueEntry) -> None:
        """One more group.

        Args:
            record: where its entry lies.
            entry: what it says.
        """
        if entry.revision > 1:
            self.repairs += 1
            return
        time_us = entry.timestamp_us
        self.groups += 1
        self.closed_by[entry.closed_by.value] += 1
        self.first_us = time_us if self.first_us is None else min(self.first_us, time_us)
        self.last_us = time_us if self.last_us is None else max(self.last_us, time_us)
        self.sequence.add(time_us)
        expected = entry.expected if not self.sources else self.sources
        present = frozenset(entry.present).intersection(expected or entry.present)
        missing = [source for source in expected if source not in present]
        self.complete += not missing
        self.images += len(present)
        self.expected.update(expected)
        self.missing.update(missing)
        received = [member.receive_time_us for member in entry.members if member.source in present]
        if received:
            low, high = min(received), max(received)
            first, last = self.received_first_us, self.received_last_us
            self.received_first_us = low if first is None else min(first, low)
            self.received_last_us = high if last is None else max(last, high)
            self._sample(Sampled(record.partition, entry.last_offset, high))

    @property
    def publications(self) -> int:
        """Groups and repairs: what `--limit` counts."""
        return self.groups + self.repairs

    @property
    def cadence_s(self) -> float | None:
        """The usual step between timestamps."""
        step_us = self.sequence.cadence_us
        return None if step_us is None else step_us / 1e6

    @property
    def rate_per_s(self) -> float | None:
        """Groups received a second, by the connector's clock; None: fewer than two."""
        first, last = self.received_first_us, self.received_last_us
        if first is None or last is None or last <= first or self.groups < 2:  # noqa: PLR2004 - as said
            return None
        return (self.groups - 1) * 1e6 / (last - first)

    def gaps(self) -> tuple[int, int, tuple[Gap, ...]]:
        """How many gaps in the timestamps, how many timestamps they lack, and the first of them."""
        return self.sequence.gaps()

    def _sample(self, group: Sampled) -> None:
        """Reservoir sampling: each group so far has the same chance to be in it."""
        if len(self.sample) < self.sample_size:
            self.sample.append(group)
            return
        place = self._random.randrange(self.groups)
        if place < self.sample_size:
            self.sample[place] = group


def percentiles(values: Collection[float], shares: Collection[float]) -> dict[float, float]:
    """The smallest value that this share of all values does not exceed (nearest rank); nothing of nothing."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        share: ordered[min(last, max(0, -int(-share * len(ordered) // 1) - 1))] for share in shares if ordered
    }
