"""Recovery of one partition on assignment: what an earlier owner left, read in the order that is safe.

The session's init_transactions comes first (it ends the earlier owner's transaction and fences it),
then the committed offset, then the catalogue to its true end. Read in another order, the offset could
be of before and the catalogue of after a commit under way.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from itertools import takewhile

from confluent_kafka import Consumer, KafkaException, TopicPartition

from grouper.attendance import AUTO_GROUPS
from grouper.catalogue_log import CatalogueLog
from grouper.entry_index import EntryIndex
from grouper.errors import GrouperError
from grouper.memory import ClosedGroups
from grouper.rules import FIRST_REVISION, Rules
from runtime.logs import get_logger
from schemas.catalogue import CatalogueEntry
from schemas.errors import OffsetMetadataError
from schemas.offset_metadata import OffsetMetadata

log = get_logger(__name__)

_QUERY_TIMEOUT_S = 10.0
# One entry has at most one transaction marker behind it, so the last n groups lie in the last 2 n offsets
# where no transaction was aborted; what aborted ones hide is covered by reading a little further.
_OFFSETS_PER_GROUP = 2
_SLACK_OFFSETS = 1_000
_LOOK_BACK = 64  # offsets; transaction markers and further revisions lie between the groups looked for


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where a partition's grouping goes on.

    Attributes:
        position: the raw offset to read next.
        read_to: one past the highest raw offset handled in earlier lives.
        missed: for each source that the latest closed groups lack, how many.
        closed: the memory of closed groups.
        entries: the catalogue entries that still matter to the committed offset.
        waiting: the raw offsets below `read_to` that waited in open groups; None: not known.
        lost_offsets: raw records that retention took and that no group has; at most, since repeats and
            rejects handled before are among them.
        lost_from: the first offset that retention took.
    """

    position: int
    read_to: int
    missed: dict[str, int]
    closed: ClosedGroups
    entries: EntryIndex
    waiting: Collection[int] | None = None
    lost_offsets: int = 0
    lost_from: int = 0


def recover(
    consumer: Consumer,
    raw_topic: str,
    partition: int,
    catalogue: CatalogueLog,
    rules: Rules,
    *,
    remember: int,
) -> Recovered:
    """Read back a partition's state. The partition's session must exist already.

    Raises:
        KafkaException: Kafka could not be asked.
        GrouperError: the catalogue could not be read to its end, has a record that is no entry, or raw ends
            before what was read of it.
    """
    began_s = time.monotonic()
    (committed,) = consumer.committed([TopicPartition(raw_topic, partition)], timeout=_QUERY_TIMEOUT_S)
    if committed.error is not None:
        raise KafkaException(committed.error)
    low, end = catalogue.bounds()
    metadata = _metadata(committed)
    closed = ClosedGroups(remember, catalogue)
    start = max(low, end - _OFFSETS_PER_GROUP * remember - _SLACK_OFFSETS)
    if metadata is not None:
        start = max(low, min(start, metadata.catalogue_from))
    last = _remember(catalogue, closed, start, end)
    if start > 0:
        closed.truncated()

    position, read_to, catalogue_from, waiting = 0, 0, low, None
    if last is not None:
        position, read_to, catalogue_from = last.committed_offset, last.read_to, last.catalogue_from
    if committed.offset >= 0:
        position = committed.offset
        read_to = max(read_to, position)
    missed: dict[str, int] = {}
    if metadata is None or rules.expected is None:
        # The metadata has them, but not those that `auto` would know where it was not on before.
        count = max(rules.silent_after, AUTO_GROUPS)
        missed = _missed(_latest(catalogue, low, end, count))
    if metadata is not None:
        read_to, catalogue_from = max(read_to, metadata.read_to), metadata.catalogue_from
        missed |= metadata.missed
        waiting = metadata.waiting

    raw_low, raw_high = consumer.get_watermark_offsets(
        TopicPartition(raw_topic, partition), timeout=_QUERY_TIMEOUT_S, cached=False
    )
    if max(position, read_to) > raw_high:
        raise GrouperError(
            f"{raw_topic} [{partition}] ends at offset {raw_high}, but the grouper has read it to "
            f"{max(position, read_to)}, say its committed offset ({committed.offset}) and the catalogue. Was "
            "raw made anew, or the offset set by hand? Set it back, or make all topics anew under another "
            "TRAPLINE_TOPIC_PREFIX; grouping on would pass over records unread"
        )
    entries, named = _index(catalogue, max(low, catalogue_from), end)
    lost_from, lost = position, 0
    if position < raw_low:
        # Below read_to all were handled, but a member of a group that was still open is in no group yet.
        lost = raw_low - position - sum(position <= offset < raw_low for offset in named)
        position = raw_low
        read_to = max(read_to, raw_low)
    log.info(
        "partition recovered",
        partition=partition,
        position=position,
        read_to=read_to,
        unread=raw_high - position,
        remembered_groups=len(closed),
        lost_offsets=lost,
        took_s=round(time.monotonic() - began_s, 3),
    )
    return Recovered(position, read_to, missed, closed, entries, waiting, lost, lost_from)


def _metadata(committed: TopicPartition) -> OffsetMetadata | None:
    if committed.offset < 0 or not committed.metadata:
        return None
    try:
        return OffsetMetadata.decode(committed.metadata)
    except OffsetMetadataError as error:
        # Offsets set by hand (kafka-consumer-groups.sh --reset-offsets) carry no metadata of ours.
        log.warning("the committed offset's metadata is not ours: the catalogue is used", cause=str(error))
        return None


def _remember(catalogue: CatalogueLog, closed: ClosedGroups, start: int, end: int) -> CatalogueEntry | None:
    """Restore the memory from the keys alone, 12 times as fast as from entries; return the last entry."""
    last: tuple[int, bytes] | None = None
    for message in catalogue.messages(start, end):
        key, value, offset = message.key(), message.value(), message.offset()
        if key is not None and value is not None and offset is not None:
            closed.restore(catalogue.timestamp_us(offset, key), offset)
            last = offset, value
    return None if last is None else catalogue.entry(*last)


def _latest(catalogue: CatalogueLog, low: int, end: int, count: int) -> list[CatalogueEntry]:
    """The entries of the last groups closed, the latest last. A further revision closed no group."""
    found: list[CatalogueEntry] = []
    step = _LOOK_BACK
    while end > low and len(found) < count:
        start = max(low, end - step)
        entries = [
            catalogue.entry(offset, value)
            for message in catalogue.messages(start, end)
            if (value := message.value()) is not None and (offset := message.offset()) is not None
        ]
        found = [entry for entry in entries if entry.revision == FIRST_REVISION] + found
        end, step = start, step * 2
    return found[-count:]


def _missed(latest: list[CatalogueEntry]) -> dict[str, int]:
    """In how many of the latest groups in a row each source is missing, as far as entries tell."""
    sources = {source for entry in latest for source in (*entry.present, *entry.missing)}
    return {
        source: sum(takewhile(bool, (source not in entry.present for entry in reversed(latest))))
        for source in sources
    }


def _index(catalogue: CatalogueLog, start: int, end: int) -> tuple[EntryIndex, set[int]]:
    """The entries that still matter, and the raw offsets that they name."""
    entries = EntryIndex(start)
    named: set[int] = set()
    for message in catalogue.messages(start, end):
        value, offset = message.value(), message.offset()
        if value is not None and offset is not None:
            members = catalogue.entry(offset, value).members
            entries.add(offset, max(member.raw_offset for member in members))
            named.update(member.raw_offset for member in members)
    return entries, named
