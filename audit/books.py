"""The books of all partitions: what only shows when they are held beside each other."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from audit.facts import ImageFact
from audit.findings import Finding, FindingKind
from audit.ledger import PartitionLedger


@dataclass(frozen=True, slots=True)
class Committed:
    """How far the grouper says it is in one raw partition.

    Attributes:
        offset: its committed offset; None where there is none.
        read_to: as the offset's metadata says; None where there is none of ours.
        waiting: the raw offsets below `read_to` that wait in open groups; None where it does not say.
    """

    offset: int | None
    read_to: int | None
    waiting: Collection[int] | None = None


class Books:
    """One ledger a partition, and the count of what was found.

    Use: for each round, `begin_round` with the offsets committed *before* the ends of the topics were
    asked for; feed each ledger to those ends; `end_round`.
    """

    def __init__(self, partitions: int, on_finding: Callable[[Finding], None], remember: int) -> None:
        """Open the books.

        Args:
            partitions: of raw.
            on_finding: told of each finding.
            remember: timestamps of closed groups kept a partition.
        """
        self._on_finding = on_finding
        self.found: Counter[FindingKind] = Counter()
        self.ledgers = tuple(PartitionLedger(number, self._found, remember) for number in range(partitions))

    def _found(self, finding: Finding) -> None:
        self.found[finding.kind] += 1
        self._on_finding(finding)

    def check_partitions(self, counts: Mapping[str, int]) -> None:
        """The four topics have as many partitions.

        Args:
            counts: by the topics' short names.
        """
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{topic} {count}" for topic, count in counts.items())
            self._found(
                Finding(
                    FindingKind.PARTITION, 0, None, None, (), f"the topics have different counts: {listed}"
                )
            )

    def begin_round(self, committed: Mapping[int, Committed], raw_ends: Mapping[int, int]) -> None:
        """Take the grouper's word for how far it is.

        Args:
            committed: by partition.
            raw_ends: one past the last raw record, asked for after it.
        """
        for ledger in self.ledgers:
            at = committed[ledger.partition]
            bounds = ledger.bounds
            bounds.raw_end = raw_ends[ledger.partition]
            offset = at.offset if at.offset is not None else 0
            # Offsets that were lost or set by hand: the last entry repeats what was committed with it.
            bounds.committed = offset if at.offset is not None else ledger.progress.committed
            bounds.waiting = at.waiting
            bounds.read_to = max(at.read_to or 0, offset, ledger.progress.read_to)
            if at.read_to is not None and offset > at.read_to:
                ledger.recorder.find(
                    FindingKind.OFFSETS,
                    f"the committed offset {offset} is past its own read_to {at.read_to}",
                    offsets=(("raw", offset),),
                )
            if max(at.read_to or 0, offset) > bounds.raw_end:
                ledger.recorder.find(
                    FindingKind.OFFSETS,
                    f"the grouper says it has read to {at.read_to or offset}; raw ends at {bounds.raw_end}",
                    offsets=(("raw", bounds.raw_end),),
                )

    def end_round(self) -> None:
        """Judge what has been waiting since an earlier round, and what the committed offset has passed."""
        for ledger in self.ledgers:
            ledger.judge_groups(partial(self._settle_elsewhere, ledger.partition))
        for ledger in self.ledgers:
            ledger.judge_windows()

    def _settle_elsewhere(self, partition: int, image: ImageFact) -> bool:
        headers = image.headers
        return any(
            ledger.windows.settle_same(headers.timestamp_us, headers.source, image.digest)
            for ledger in self.ledgers
            if ledger.partition != partition
        )
