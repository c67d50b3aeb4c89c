"""Records of the groups topic back into groups, pure: no Kafka, no clock.

A group is the records of one Kafka transaction. What belongs together is said by the headers alone:
group id, index, size. Offsets are never counted on, because aborted records and transaction markers
may lie between two records of a group, and between two groups.

A group's records lie together in one partition: the next group is written after this one's commit.
So a record of another group while one is unfinished means that the unfinished one will never be
whole for this reader. It was cut by retention, by a start in its middle, or by a gap; it is reported
and forgotten, and what was read of it is never mixed into another group.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeAlias

from schemas.record_headers import ImageHeaders

REMEMBERED_GROUPS = 1024  # whole groups known again if their records come a second time: about 100 KB


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One record of the groups topic: an image.

    Attributes:
        partition: the partition it was read from.
        offset: its offset there.
        headers: what its headers say.
        value: the image as a FITS file, exactly the bytes the Kafka client gave.
    """

    partition: int
    offset: int
    headers: ImageHeaders
    value: bytes


@dataclass(frozen=True, slots=True)
class Whole:
    """All records of a group, in the order of their index."""

    records: tuple[ImageRecord, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """A group that this reader saw a part of and will not see whole.

    Attributes:
        group_id: the group's id.
        timestamp_us: its timestamp, microseconds since 1970 UTC.
        partition: where it lies.
        held: how many of its records were read.
        size: how many it has.
        first_offset: lowest offset among those read.
        last_offset: highest offset among those read.
    """

    group_id: str
    timestamp_us: int
    partition: int
    held: int
    size: int
    first_offset: int
    last_offset: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """A record of a group that has this index already; it is dropped."""

    record: ImageRecord


Assembled: TypeAlias = Whole | Cut | Repeated


class GroupAssembler:
    """Puts the records of one partition together into groups.

    It holds the records of at most one group. Records of a group may come in any order of index.
    """

    def __init__(self) -> None:
        self._records: dict[int, ImageRecord] = {}
        self._id: tuple[str, int] | None = None
        self._size = 0
        self._finished: OrderedDict[tuple[str, int], None] = OrderedDict()

    @property
    def held(self) -> int:
        """Records of the unfinished group."""
        return len(self._records)

    def add(self, record: ImageRecord) -> tuple[Assembled, ...]:
        """Take the next record of the partition; return what it finished, in order."""
        headers = record.headers
        publication = headers.publication
        if publication in self._finished:
            return (Repeated(record),)
        found: list[Assembled] = []
        if self._id is not None and (publication != self._id or headers.size != self._size):
            found.extend(self.give_up())
        if self._id is None:
            self._id, self._size = publication, headers.size
        if headers.index in self._records:
            found.append(Repeated(record))
            return tuple(found)
        self._records[headers.index] = record
        if len(self._records) == self._size:
            found.append(self._finish())
        return tuple(found)

    def give_up(self) -> tuple[Cut, ...]:
        """Forget the unfinished group, because its other records will not come; return it as cut."""
        if self._id is None:
            return ()
        records = self._records.values()
        some = next(iter(records))
        offsets = [record.offset for record in records]
        cut = Cut(
            group_id=self._id[0],
            timestamp_us=some.headers.timestamp_us,
            partition=some.partition,
            held=len(offsets),
            size=self._size,
            first_offset=min(offsets),
            last_offset=max(offsets),
        )
        self._clear()
        return (cut,)

    def _finish(self) -> Whole:
        whole = Whole(tuple(self._records[index] for index in sorted(self._records)))
        self._finished[whole.records[0].headers.publication] = None
        if len(self._finished) > REMEMBERED_GROUPS:
            self._finished.popitem(last=False)
        self._clear()
        return whole

    def _clear(self) -> None:
        self._records = {}
        self._id = None
        self._size = 0
