"""A catalogue entry: what the grouper says of one group, one small JSON record."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from schemas.digest import DIGEST
from schemas.errors import CatalogueError
from schemas.json_fields import JsonObject
from schemas.timestamp import format_timestamp

_VERSION: Final = 1
_WHAT: Final = "the catalogue entry"


class ClosedBy(StrEnum):
    """Why a group was closed.

    `complete`: every expected source was there. `overtaken`: all missing ones had moved on. `grace`: log
    time had passed. `quiet`: nothing more came. `bound`: too many groups were open.
    """

    COMPLETE = "complete"
    OVERTAKEN = "overtaken"
    GRACE = "grace"
    QUIET = "quiet"
    BOUND = "bound"


def record_time_ms(timestamp_us: int) -> int:
    """The time of a catalogue record: its group's, in Kafka's milliseconds since 1970 UTC.

    At least 1, since Kafka's clients take 0 for "now", which would put an entry of 1970 at the end of the
    index.
    """
    return max(1, timestamp_us // 1000)


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a group.

    Attributes:
        source: whose image it is.
        raw_offset: of its frame in the raw partition.
        digest: of the verbatim frame.
        frequency_hz: in Hz.
        receive_time_us: when the connector had read it, microseconds since 1970 UTC.
    """

    source: str
    raw_offset: int
    digest: str
    frequency_hz: float
    receive_time_us: int


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One group, or one revision of it.

    Attributes:
        timestamp_us: of the group, microseconds since 1970 UTC.
        revision: 1, or more where a late image was put in.
        group_id: as in the headers of its images.
        complete: whether every expected source is present.
        closed_by: the rule that closed it.
        expected: the sources it should have had.
        present: the sources it has, in the order of its records.
        missing: the expected ones it lacks.
        members: its images, in the order of its records.
        first_offset: of its first record in the groups topic.
        last_offset: of its last; other records may lie between.
        committed_offset: the raw offset committed with it.
        read_to: one past the highest raw offset handled when it was published.
        catalogue_from: the first catalogue offset that may name a record at or after `committed_offset`.
    """

    timestamp_us: int
    revision: int
    group_id: str
    complete: bool
    closed_by: ClosedBy
    expected: tuple[str, ...]
    present: tuple[str, ...]
    missing: tuple[str, ...]
    members: tuple[Member, ...]
    first_offset: int
    last_offset: int
    committed_offset: int
    read_to: int
    catalogue_from: int

    def to_json(self) -> bytes:
        """The record's value, as catalogue-entry.schema.json describes it.

        Raises:
            TimestampError: a time outside 1970 to 9999.
        """
        entry = {
            "v": _VERSION,
            "timestamp": format_timestamp(self.timestamp_us),
            "revision": self.revision,
            "group_id": self.group_id,
            "complete": self.complete,
            "closed_by": self.closed_by.value,
            "expected": self.expected,
            "present": self.present,
            "missing": self.missing,
            "members": [
                {
                    "source": member.source,
                    "raw_offset": member.raw_offset,
                    "digest": member.digest,
                    "frequency_hz": member.frequency_hz,
                    "receive_time": format_timestamp(member.receive_time_us),
                }
                for member in self.members
            ],
            "first_offset": self.first_offset,
            "last_offset": self.last_offset,
            "committed": self.committed_offset,
            "read_to": self.read_to,
            "catalogue": self.catalogue_from,
        }
        return json.dumps(entry, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def from_json(cls, value: bytes | None) -> Self:
        """Read a record's value; unknown fields are left alone.

        Raises:
            CatalogueError: names the field that is missing or wrong.
        """
        if value is None:
            raise CatalogueError("the catalogue record has no value")
        entry = JsonObject.parse(value, _WHAT, CatalogueError)
        entry.check_version(_VERSION)
        members = tuple(_member(member) for member in entry.children("members"))
        if not members:
            raise CatalogueError(f"{_WHAT}: members is empty; a group has at least one image")
        present = entry.texts("present")
        if present != tuple(member.source for member in members):
            raise CatalogueError(f"{_WHAT}: present and members name different sources")
        closed_by = entry.text("closed_by")
        if closed_by not in set(ClosedBy):
            raise CatalogueError(
                f"{_WHAT}: closed_by is {closed_by[:40]!r}, not one of {', '.join(ClosedBy)}"
            )
        return cls(
            timestamp_us=entry.time("timestamp"),
            revision=entry.natural("revision"),
            group_id=entry.text("group_id"),
            complete=entry.boolean("complete"),
            closed_by=ClosedBy(closed_by),
            expected=entry.texts("expected"),
            present=present,
            missing=entry.texts("missing"),
            members=members,
            first_offset=entry.natural("first_offset"),
            last_offset=entry.natural("last_offset"),
            committed_offset=entry.natural("committed"),
            read_to=entry.natural("read_to"),
            catalogue_from=entry.natural("catalogue"),
        )


def _member(fields: JsonObject) -> Member:
    digest = fields.text("digest")
    if DIGEST.fullmatch(digest) is None:
        raise CatalogueError(f"{fields.what}: {digest[:60]!r} is no digest")
    return Member(
        source=fields.text("source"),
        raw_offset=fields.natural("raw_offset"),
        digest=digest,
        frequency_hz=fields.number("frequency_hz"),
        receive_time_us=fields.time("receive_time"),
    )
