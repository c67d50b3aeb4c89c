"""Catalogue entries: true by themselves, true to their groups, true to those before them."""

from collections.abc import Iterator
from dataclasses import dataclass

from audit.facts import Problem
from audit.findings import FindingKind
from audit.groups import SeenGroup
from schemas.catalogue import CatalogueEntry
from schemas.timestamp import format_timestamp


@dataclass(frozen=True, slots=True)
class SeenEntry:
    """An entry where it lies.

    Attributes:
        offset: in the catalogue.
        entry: what it says.
        seen: the round in which it was read.
        committed_before: the offset that the transaction before its own committed.
    """

    offset: int
    entry: CatalogueEntry
    seen: int
    committed_before: int


class Progress:
    """What the entries of a partition say of the committed offset, from one transaction to the next.

    Attributes:
        committed: by the latest transaction with a group.
        committed_before: by the one before it.
        read_to: the highest of all.
    """

    def __init__(self) -> None:
        self.committed_before = 0
        self.committed = 0
        self.read_to = 0
        self._next_offset = 0

    def next(self, offset: int, entry: CatalogueEntry) -> str | None:
        """Take an entry in, in the order of the catalogue; say what cannot be true of its figures."""
        read_to_before = self.read_to
        if offset != self._next_offset:  # a marker lies between: another transaction
            self.committed_before = self.committed
        self._next_offset = offset + 1
        self.committed, self.read_to = entry.committed_offset, max(self.read_to, entry.read_to)
        if entry.committed_offset > entry.read_to:
            return f"committed {entry.committed_offset} is past read_to {entry.read_to}"
        if entry.read_to < read_to_before:
            return f"read_to went back from {read_to_before} to {entry.read_to}"
        highest = max((member.raw_offset for member in entry.members), default=-1)
        if highest >= entry.read_to:
            return f"read_to is {entry.read_to}, but its member at raw offset {highest} was read"
        return None


def examine_entry(entry: CatalogueEntry) -> str | None:
    """What `complete`, `expected`, `present` and `missing` say that cannot be true together."""
    missing = tuple(source for source in entry.expected if source not in entry.present)
    if entry.missing != missing:
        return (
            f"the entry names {','.join(entry.missing) or 'none'} as missing; of what it expects, "
            f"{','.join(missing) or 'none'} is"
        )
    if entry.complete != (not missing):
        return f"the entry says complete: {entry.complete}, and lacks {','.join(missing) or 'none'}"
    strangers = set(entry.present) - set(entry.expected)
    if strangers:
        return f"the entry holds {','.join(sorted(strangers))}, which it does not expect"
    return None


def compare(group: SeenGroup, seen: SeenEntry) -> Iterator[Problem]:
    """Where a whole group and its entry differ."""
    entry = seen.entry
    if group.offsets != (entry.first_offset, entry.last_offset):
        first, last = group.offsets
        yield Problem(
            FindingKind.ENTRY_OFFSETS,
            f"the entry points to {entry.first_offset} to {entry.last_offset}, the group is at {first} to "
            f"{last}",
        )
    headers = group.first.headers
    if (entry.revision, entry.group_id) != (headers.revision, headers.group_id):
        yield Problem(FindingKind.REVISION, f"the entry says revision {entry.revision}")
    if entry.timestamp_us != headers.timestamp_us:
        yield Problem(
            FindingKind.ENTRY_MEMBERS,
            f"the entry is of {format_timestamp(entry.timestamp_us)}, its group not",
        )
    if (entry.complete, len(entry.expected), entry.missing) != (
        headers.complete,
        headers.expected,
        headers.missing,
    ):
        yield Problem(
            FindingKind.MISSING_LIST,
            f"the entry has {len(entry.expected)} expected, missing {','.join(entry.missing) or 'none'}; the "
            f"images {headers.expected}, missing {','.join(headers.missing) or 'none'}",
        )
    yield from _compare_members(group, entry)


def _compare_members(group: SeenGroup, entry: CatalogueEntry) -> Iterator[Problem]:
    if len(entry.members) != len(group.images):
        yield Problem(
            FindingKind.ENTRY_MEMBERS,
            f"the entry lists {','.join(entry.present)}; the group holds "
            f"{','.join(image.headers.source for image in group.images)}",
        )
        return
    for member, image in zip(entry.members, group.images, strict=True):
        headers = image.headers
        if (member.source, member.raw_offset) != (headers.source, headers.raw_offset):
            yield Problem(
                FindingKind.ENTRY_MEMBERS,
                f"the entry's {member.source} of raw offset {member.raw_offset} is {headers.source} of "
                f"{headers.raw_offset} in the group",
            )
        elif member.digest != headers.digest:
            yield Problem(
                FindingKind.DIGEST,
                f"the entry says {member.digest}, the image {headers.digest}",
                member.source,
            )
        elif (member.frequency_hz, member.receive_time_us) != (headers.frequency_hz, headers.receive_time_us):
            yield Problem(
                FindingKind.ENTRY_MEMBERS, "frequency or receive time is not the image's", member.source
            )
