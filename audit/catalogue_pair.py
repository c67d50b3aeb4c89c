"""Reads the catalogues of two sets of groups beside each other, and compares them: `verify --against`."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from confluent_kafka import TopicPartition

from audit.comparison import Difference, NotCompared, PartitionComparison, Reach
from audit.errors import AuditError
from audit.settings import AuditSettings
from audit.topic_reader import TopicReader
from runtime.kafka import admin_client, begin_offsets, log_consumer, require_topic, true_end_offsets
from runtime.shutdown import Shutdown
from schemas.catalogue import CatalogueEntry
from schemas.errors import CatalogueError, OffsetMetadataError
from schemas.offset_metadata import OffsetMetadata
from schemas.topics import TopicNames

_QUERY_S = 30.0
_FETCH_BYTES = 4 * 1024**2


class CataloguePair:
    """The groups of the audited topics, and those of another prefix made from the same raw."""

    def __init__(
        self, settings: AuditSettings, against: str, on_difference: Callable[[Difference], None]
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            settings: the auditor's settings.
            against: the other prefix.
            on_difference: told of each difference.
        """
        self._settings = settings
        self._against = against
        self._on_difference = on_difference
        self._names = settings.topics
        self._there = TopicNames(against)
        self._equal = 0
        self._unexplained = 0
        self._explained: Counter[str] = Counter()
        self._not_compared: Counter[NotCompared] = Counter()

    def run(self, shutdown: Shutdown) -> None:
        """Compare what is there; a stop leaves it half done.

        Raises:
            AuditError: the two don't fit together, or a catalogue can't be read.
            MissingTopicError, KafkaUnavailableError, KafkaException: a topic is missing, or Kafka away.
        """
        admin = admin_client(self._settings)
        topics = self._names.catalogue, self._there.catalogue
        partitions = require_topic(admin, self._names.raw)
        counts = [require_topic(admin, topic) for topic in topics]
        if set(counts) != {partitions}:
            raise AuditError(
                f"{self._names.raw} has {partitions} partitions, {topics[0]} {counts[0]} and {topics[1]} "
                f"{counts[1]}: they were not made from one another"
            )
        numbers = range(partitions)
        raw_begins = begin_offsets(admin, self._names.raw, numbers, _QUERY_S)
        here = self._reaches((self._settings.consumer_group,), numbers)
        groups = (f"{self._against}.grouper", f"{self._against}.regroup")
        given = self._settings.grouper_group_id
        there = self._reaches((given, *groups) if given else groups, numbers)
        # Asked after the offsets: what those say is published can be read up to here.
        ends = [true_end_offsets(admin, topic, numbers, _QUERY_S) for topic in topics]
        begins = [begin_offsets(admin, topic, numbers, _QUERY_S) for topic in topics]
        with ExitStack() as stack:
            readers = [_reader(stack, self._settings, topic) for topic in topics]
            for number in numbers:
                for reader, begin in zip(readers, begins, strict=True):
                    reader.start_at(number, begin[number])
                here[number].cut = raw_begins[number] > 0
                comparison = PartitionComparison(
                    number, here[number], there[number], raw_begins[number], self._found
                )
                sides = (comparison.add_here, here[number]), (comparison.add_there, there[number])
                self._read(readers, sides, [end[number] for end in ends], number, shutdown)
                if shutdown.requested:
                    return
                comparison.end()
                self._equal += comparison.equal
                self._not_compared.update(comparison.not_compared)

    def _reaches(self, groups: tuple[str, ...], numbers: range) -> dict[int, Reach]:
        """How far the owner of one of these consumer groups has come, in each partition of raw."""
        asked = [TopicPartition(self._names.raw, number) for number in numbers]
        reaches = {number: Reach() for number in numbers}
        for group in groups:
            consumer = log_consumer(self._settings, group_id=group, isolation_level="read_uncommitted")
            try:
                found = consumer.committed(asked, timeout=_QUERY_S)
            finally:
                consumer.close()
            for at in found:
                if at.offset < 0:
                    continue
                reach = reaches[at.partition]
                reach.committed = reach.read_to = at.offset
                try:
                    metadata = OffsetMetadata.decode(at.metadata)
                except OffsetMetadataError:
                    continue
                reach.read_to, reach.waiting = metadata.read_to, metadata.waiting
            if any(at.offset >= 0 for at in found):
                break
        return reaches

    def _read(
        self,
        readers: list[TopicReader],
        sides: tuple[tuple[Callable[[CatalogueEntry], None], Reach], ...],
        ends: list[int],
        number: int,
        shutdown: Shutdown,
    ) -> None:
        """Read both in step, the one that is behind in raw first: little waits for its counterpart."""
        for reader, end in zip(readers, ends, strict=True):
            reader.open(number, end)
        at = [0, 0]
        while not shutdown.requested:
            behind = [side for side in (0, 1) if not readers[side].done]
            if not behind:
                return
            side = min(behind, key=at.__getitem__)
            message = readers[side].read()
            if message is None:
                continue
            try:
                entry = CatalogueEntry.from_json(message.value())
            except CatalogueError as error:
                raise AuditError(
                    f"{readers[side].topic} [{number}] at offset {message.offset()} is no entry: {error}"
                ) from error
            add, reach = sides[side]
            # Where no offset is kept, the entries say what was committed with them.
            reach.read_to = max(reach.read_to, entry.read_to)
            reach.committed = max(reach.committed, entry.committed_offset)
            add(entry)
            at[side] = entry.read_to

    def _found(self, difference: Difference) -> None:
        if difference.explained_by is None:
            self._unexplained += 1
        else:
            self._explained[difference.explained_by] += 1
        self._on_difference(difference)

    @property
    def differs(self) -> bool:
        """Whether anything differs that no clock and no memory explains."""
        return self._unexplained > 0

    def summary(self) -> dict[str, Any]:
        """All counts, ready for JSON."""
        return {
            "against": self._against,
            "equal": self._equal,
            "different": self._unexplained,
            "explained": dict(sorted(self._explained.items())),
            "not_compared": {why.value: self._not_compared[why] for why in NotCompared},
        }

    def line(self) -> str:
        """A summary for people."""
        explained = ", ".join(f"{count} by {why}" for why, count in sorted(self._explained.items()))
        text = f"against {self._against}: {self._equal} groups are equal, {self._unexplained} differ"
        if explained:
            text += f"; differences explained: {explained}"
        if self._not_compared[NotCompared.NOT_REACHED]:
            text += f"; not reached by the other: {self._not_compared[NotCompared.NOT_REACHED]}"
        if self._not_compared[NotCompared.RAW_GONE]:
            text += f"; raw gone by retention: {self._not_compared[NotCompared.RAW_GONE]}"
        return text


def _reader(stack: ExitStack, settings: AuditSettings, topic: str) -> TopicReader:
    reader = TopicReader(settings, topic, fetch_bytes=_FETCH_BYTES, stall_s=settings.audit_stall_s)
    stack.callback(reader.close)
    return reader
