"""What Kafka still holds of the past: groups found in the catalogue, and their images where they are left.

    with History(settings) as history:
        for record in history.find(group_range(from_="-1h", sources="sb0")):   # no image is read
            print(record.timestamp_us, record.entry().missing)
        for group in history.groups(group_range(last=10)):                      # images, too
            group.images[0].array

Groups come partition by partition in the order in which they were published; partitions are merged by
observation time. With one partition that is the order of the log, and times may go back in it.

What is published after the start of a search is not part of it. A broker that goes away is waited for
`broker_wait_s` long. Nothing is committed. One thread at a time.
"""

import heapq
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Self
from weakref import WeakSet

from confluent_kafka import KafkaException

from consumer.catalogue import BATCH, Catalogue, CatalogueRecord, catalogue_consumer
from consumer.errors import BrokerUnreachableError
from consumer.group import Group
from consumer.group_range import GroupRange
from consumer.groups_topic import GroupsTopic
from consumer.history_search import Search, is_meant, readable_entry
from consumer.kafka_errors import stream_error
from consumer.metrics import IMAGES_GONE
from consumer.past_images import PastImages
from consumer.settings import ConsumerSettings
from consumer.start import AtOffset, End, LastGroups
from runtime.kafka import LogConsumer, explain, kafka_error
from runtime.logs import get_logger
from schemas.timestamp import format_timestamp

__all__ = ["Gone", "History", "find_groups", "is_meant", "read_groups", "readable_entry"]

LONGEST_READ_OVER = 500  # catalogue entries: what a fetch brings anyway
_PAGE = 4096  # offsets whose bits are kept together

log = get_logger(__name__)


@dataclass(slots=True)
class Gone:
    """Groups that the catalogue names and whose images retention has deleted.

    Attributes:
        groups: how many.
        first_us: the earliest observation time among them; 0 where there are none.
        last_us: the latest.
    """

    groups: int = 0
    first_us: int = 0
    last_us: int = 0

    def add(self, timestamp_us: int) -> None:
        """One more."""
        self.first_us = min(self.first_us, timestamp_us) if self.groups else timestamp_us
        self.last_us = max(self.last_us, timestamp_us)
        self.groups += 1

    def __str__(self) -> str:
        """For people."""
        if not self.groups:
            return "every group's images are still there"
        return (
            f"the images of {self.groups} groups, {format_timestamp(self.first_us)} to "
            f"{format_timestamp(self.last_us)}, are gone: retention has deleted them"
        )


class History:
    """The groups of one topic prefix that Kafka still knows.

    Attributes:
        partitions: the partitions of the groups topic, which are those of the catalogue.
        gone: the groups that `read` and `groups` met and whose images are not there any more.
        unreadable: how many groups they met besides that could not be read: the entry is none, or not all
            of the group's records are there. A group that is met several times is counted once.
    """

    def __init__(self, settings: ConsumerSettings) -> None:
        """Connect.

        Args:
            settings: where Kafka is; `broker_wait_s` is how long it may be away, now and later.

        Raises:
            BrokerUnreachableError, AuthenticationError, AccessError: Kafka is away, or refuses us.
            TopicMissingError: the groups topic or the catalogue does not exist.
        """
        self.gone = Gone()
        self.unreadable = 0
        self._settings = settings
        self._finds: WeakSet[Generator[CatalogueRecord, None, None]] = WeakSet()
        self._images: dict[int, PastImages] = {}
        self._counted: dict[tuple[int, int], int] = {}  # by partition and page: a bit for each offset
        self._searched: GroupRange | None = None  # whose first groups these are:
        self._heads: dict[int, CatalogueRecord] = {}  # by partition, of all of them or of none
        self._gone_before: dict[int, int] = {}  # by partition: catalogue offset
        self._consumer = catalogue_consumer(settings)
        self._asking = self._catalogue(self._consumer)
        never = threading.Event()
        self._groups_topic = GroupsTopic(
            self._consumer, settings.topics.groups, never, ask_s=settings.broker_wait_s
        )
        try:
            self.partitions = self._groups_topic.connect(settings.broker_wait_s)
            GroupsTopic(self._consumer, settings.topics.catalogue, never).connect(settings.broker_wait_s)
        except BaseException:
            self.close()
            raise
        self._search = Search(self._asking, self._groups_topic, self.partitions)

    def find(self, where: GroupRange) -> Iterator[CatalogueRecord]:
        """The groups meant, from the catalogue alone; the JSON of an entry is parsed when asked.

        Memory does not depend on how many there are. To be sure that there is no further one, the keys of
        all later entries are read: times may go back. The first one does not wait for that.

        Raises:
            StartError: there is no such partition or offset.
            BrokerUnreachableError, AccessError: Kafka went away, or refuses to be read.
        """
        found = self._find(where)
        self._finds.add(found)
        return found if where.limit is None else islice(found, where.limit)

    def at(self, partition: int, offsets: Sequence[int]) -> Iterator[CatalogueRecord]:
        """The entries at these offsets of the catalogue, which ascend; those that are gone are left out.

        Raises:
            BrokerUnreachableError, AccessError: Kafka went away, or refuses to be read.
        """
        with self._named_errors(self._settings.topics.catalogue):
            for run in _runs(offsets):
                wanted = set(run)
                with closing(self._asking.read(partition, run[0], run[-1] + 1)) as records:
                    found = [record for record in records if record.offset in wanted]
                yield from found

    def oldest_image(self, partition: int) -> int:
        """The oldest offset that the groups topic still has in a partition.

        Raises:
            BrokerUnreachableError, AccessError: Kafka went away, or refuses to be read.
        """
        with self._named_errors(self._settings.topics.groups):
            return self._groups_topic.bounds(partition)[0]

    def ends(self) -> dict[int, int]:
        """By partition, where the next group of the groups topic will lie: what is published later is there.

        Raises:
            BrokerUnreachableError, AccessError: Kafka went away, or refuses to be read.
        """
        with self._named_errors(self._settings.topics.groups):
            return {partition: self._groups_topic.bounds(partition)[1] for partition in self.partitions}

    def read(self, record: CatalogueRecord, where: GroupRange | None = None) -> Group | None:
        """The group of an entry, with its images.

        Entries may come in any order; in the order of `find` the next groups are being fetched already.

        Args:
            record: the entry.
            where: its `sources` reduce the group to those images; default: all of them.

        Returns:
            The group; None where its images are gone, counted in `gone`, or it is counted in `unreadable`.

        Raises:
            StreamError: Kafka went away, or refuses to be read.
        """
        if record.offset < self._gone_before.get(record.partition, 0):
            self._count_gone(record)
            return None
        entry = readable_entry(record)
        if entry is None:
            self._count_unreadable(record)
            return None
        with self._named_errors(self._settings.topics.groups):
            images = self._images.get(record.partition)
            if images is None:
                images = PastImages(self._settings, record.partition, share=len(self.partitions))
                self._images[record.partition] = images
            group = images.read(entry)
        if group is not None:
            return group if where is None else group.only(where.sources)
        if entry.first_offset < images.low:
            self._find_what_is_gone(record, images.low)
            self._count_gone(record)
        else:
            self._count_unreadable(record)
        return None

    def groups(self, where: GroupRange) -> Iterator[Group]:
        """The groups meant, with images; those whose images are gone are left out and counted in `gone`.

        `where.limit` counts the groups that are handed out.

        Raises:
            StreamError: as `find` and `read`.
        """
        unlimited = GroupRange(
            where.place, where.from_us, where.to_us, where.sources, complete_only=where.complete_only
        )
        groups = (self.read(record, where) for record in self.find(unlimited))
        there = (group for group in groups if group is not None)
        return there if where.limit is None else islice(there, where.limit)

    def resumed(
        self, where: GroupRange, done: Mapping[int, int], groups: int = 0, lost: int | None = None
    ) -> GroupRange:
        """What is left of a range whose search was begun and broken off; asks nobody.

        Args:
            where: the range of the last `find` or `groups`.
            done: by partition, one past the last offset, in the groups topic, of the last group done.
            groups: how many were done in all.
            lost: how many others cannot be; default: those that `read` met and could not give.
        """
        if not done and not self._heads:
            return where
        # A partition where nothing was found has nothing of the last N; of another range it may get some yet.
        match where.place:
            case LastGroups():
                offsets = {}
            case AtOffset(begun):
                offsets = dict(begun)
            case _:
                offsets = dict.fromkeys(self.partitions, 0)
        for partition, record in self._heads.items():
            entry = None if partition in done else readable_entry(record)
            if entry is not None:
                offsets[partition] = entry.first_offset
        offsets |= done
        if not offsets:
            return where
        return where.resumed(offsets, groups, self.gone.groups + self.unreadable if lost is None else lost)

    def require_topic(self, name: str) -> None:
        """Look that another topic is there, too.

        Raises:
            BrokerUnreachableError, AccessError: Kafka went away, or refuses.
            TopicMissingError: it does not exist.
        """
        GroupsTopic(self._consumer, name, threading.Event()).connect(self._settings.broker_wait_s)

    def newest(self) -> CatalogueRecord | None:
        """Of the last entry of each partition the one with the latest observation time; None: there is none.

        Where times go back, earlier entries may be of a later time.

        Raises:
            BrokerUnreachableError, AccessError: Kafka went away, or refuses to be read.
        """
        with self._named_errors(self._settings.topics.catalogue):
            last = (next(self._asking.backwards(p), None) for p in self.partitions)
            there = (record for record in last if record is not None)
            return max(there, key=lambda record: record.timestamp_us, default=None)

    def stop_reading_ahead(self) -> None:
        """Throw away the images that are fetched ahead of `read`; its next call begins to fetch anew."""
        while self._images:
            self._images.popitem()[1].close()

    def close(self) -> None:
        """Let go of Kafka; searches under way end."""
        for found in tuple(self._finds):
            found.close()
        self.stop_reading_ahead()
        self._asking.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _find(self, where: GroupRange) -> Generator[CatalogueRecord, None, None]:
        if isinstance(where.place, End):
            return
        with ExitStack() as stack, self._named_errors(self._settings.topics.catalogue):
            # All ends before the first entry: what is published meanwhile is in no partition.
            ends = {p: self._asking.bounds(p)[1] for p in self.partitions}
            if where != self._searched:
                self._searched, self._heads = where, {}
            starts = self._search.starts(where, ends)
            parts, heads = [], dict[int, CatalogueRecord]()
            for partition, start in starts.items():
                catalogue = self._catalogue(catalogue_consumer(self._settings))
                stack.callback(catalogue.close)
                found = catalogue.read(
                    partition, start, ends[partition], from_us=where.from_us, to_us=where.to_us
                )
                stack.callback(found.close)
                parts.append(_meant(found, where, heads))
            merged = parts[0] if len(parts) == 1 else heapq.merge(*parts, key=lambda r: r.timestamp_us)
            for record in merged:
                # Only now the first one of every partition is known; some of them would leave the others out.
                self._heads = heads
                yield record

    def _find_what_is_gone(self, record: CatalogueRecord, oldest_image: int) -> None:
        """Which entries after this one lack their images, too: they need not be looked at one by one."""
        with self._named_errors(self._settings.topics.catalogue):
            self._gone_before[record.partition] = self._search.first_at(
                record.partition, oldest_image, after=record.offset
            )

    def _is_counted(self, record: CatalogueRecord) -> bool:
        """Whether this place was asked about before; for a week of groups these bits take 200 kB."""
        page, number = divmod(record.offset, _PAGE)
        bits = self._counted.get((record.partition, page), 0)
        self._counted[record.partition, page] = bits | 1 << number
        return bool(bits >> number & 1)

    def _count_unreadable(self, record: CatalogueRecord) -> None:
        if not self._is_counted(record):
            self.unreadable += 1

    def _count_gone(self, record: CatalogueRecord) -> None:
        if self._is_counted(record):
            return
        if not self.gone.groups:
            log.warning("images of groups asked for are gone: retention has deleted them; leaving them out")
        self.gone.add(record.timestamp_us)
        IMAGES_GONE.inc()

    def _catalogue(self, consumer: LogConsumer) -> Catalogue:
        return Catalogue(consumer, self._settings.topics.catalogue, stall_s=self._settings.broker_wait_s)

    @contextmanager
    def _named_errors(self, topic: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            cause = kafka_error(error)
            raise stream_error(cause, topic) or BrokerUnreachableError(explain(cause)) from error


def _meant(
    found: Iterable[CatalogueRecord], where: GroupRange, heads: dict[int, CatalogueRecord]
) -> Iterator[CatalogueRecord]:
    """Those that are meant; the first one is noted in `heads`."""
    for record in found:
        if is_meant(record, where):
            heads.setdefault(record.partition, record)
            yield record


def _runs(offsets: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut ascending offsets where so many lie between that asking anew costs less than reading on."""
    start = 0
    for end in range(1, len(offsets) + 1):
        if end == len(offsets) or offsets[end] - offsets[end - 1] > LONGEST_READ_OVER or end - start >= BATCH:
            yield offsets[start:end]
            start = end


def find_groups(settings: ConsumerSettings, where: GroupRange) -> Iterator[CatalogueRecord]:
    """`History.find`, with a connection of its own that ends with the iteration."""
    with History(settings) as history:
        yield from history.find(where)


def read_groups(settings: ConsumerSettings, where: GroupRange) -> Iterator[Group]:
    """`History.groups`, with a connection of its own that ends with the iteration."""
    with History(settings) as history:
        yield from history.groups(where)
