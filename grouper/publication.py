"""What one transaction of the grouper carries, and the records it turns into."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from grouper.rules import ClosedGroup
from schemas.catalogue import CatalogueEntry
from schemas.record_headers import CatalogueHeaders, ImageHeaders, RejectHeaders, group_id
from schemas.timestamp import timestamp_key

KafkaHeaders = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Reject:
    """A raw record that could not be used, on its way to the rejects topic with its reason.

    Attributes:
        read_to: where a restart goes on that does not know of this reject: at its own record.
        missed: for each source that the groups closed before it lack, how many.
    """

    key: bytes | None
    value: bytes | None
    headers: RejectHeaders
    read_to: int
    missed: Mapping[str, int]

    @property
    def size(self) -> int:
        """Bytes of its value."""
        return len(self.value or b"")


@dataclass(frozen=True, slots=True)
class Publication:
    """One transaction's worth of one partition.

    Attributes:
        partition: of raw, groups, catalogue and rejects alike.
        groups: closed groups, in the order they were closed in.
        rejects: raw records that could not be used.
        committed_offset: the raw offset to commit; never past the first record of an open group.
        read_to: one past the highest raw offset handled when these were closed.
        missed: for each source that the latest closed groups lack, how many.
        waiting: the raw offsets below `read_to` that wait in open groups; None: not known.
    """

    partition: int
    groups: tuple[ClosedGroup, ...]
    rejects: tuple[Reject, ...]
    committed_offset: int
    read_to: int
    missed: Mapping[str, int]
    waiting: Collection[int] | None

    @property
    def images(self) -> int:
        """How many image records its groups have."""
        return sum(len(group.members) for group in self.groups)


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One record of the groups topic."""

    key: bytes
    value: bytes
    headers: KafkaHeaders


def image_records(prefix: str, group: ClosedGroup) -> Iterator[ImageRecord]:
    """The records of a group, one image each, in the group's order of sources."""
    key = timestamp_key(group.timestamp_us)
    name = group_id(group.timestamp_us, group.revision, group.first_raw_offset)
    for index, member in enumerate(group.members):
        headers = ImageHeaders(
            prefix=prefix,
            source=member.source,
            timestamp_us=group.timestamp_us,
            group_id=name,
            index=index,
            size=len(group.members),
            expected=len(group.expected),
            complete=group.complete,
            missing=group.missing,
            revision=group.revision,
            receive_time_us=member.receive_time_us,
            pixel_order=member.pixel_order,
            digest=member.digest,
            raw_offset=member.offset,
            frequency_hz=member.frequency_hz,
        )
        yield ImageRecord(key, member.image(), headers.encode())


def catalogue_entry(
    group: ClosedGroup,
    publication: Publication,
    *,
    first_offset: int,
    last_offset: int,
    catalogue_from: int,
) -> CatalogueEntry:
    """The catalogue entry of a group whose images have their offsets in the groups topic."""
    return CatalogueEntry(
        timestamp_us=group.timestamp_us,
        revision=group.revision,
        group_id=group_id(group.timestamp_us, group.revision, group.first_raw_offset),
        complete=group.complete,
        closed_by=group.closed_by,
        expected=group.expected,
        present=tuple(member.source for member in group.members),
        missing=group.missing,
        members=tuple(member.member() for member in group.members),
        first_offset=first_offset,
        last_offset=last_offset,
        committed_offset=publication.committed_offset,
        read_to=publication.read_to,
        catalogue_from=catalogue_from,
    )


def catalogue_headers(prefix: str, entry: CatalogueEntry) -> KafkaHeaders:
    """The headers of a catalogue record."""
    return CatalogueHeaders(prefix=prefix, timestamp_us=entry.timestamp_us, group_id=entry.group_id).encode()
