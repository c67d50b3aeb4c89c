"""What an audit can find: a closed set of kinds, each with where it is and a sentence for people."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.timestamp import format_timestamp

MAX_DETAIL: Final = 400
"""Characters of a finding's sentence; it may quote bytes of others."""


class FindingKind(StrEnum):
    """What is wrong. docs/auditing.md says of each how it is told from its neighbours."""

    # windows: raw against everything else
    COMMITTED_TOO_FAR = "committed_too_far"  # the committed offset is past a window that went nowhere
    MEMBER_DROPPED = "member_dropped"  # in raw when its group was published, and not in it
    REJECT_MISSING = "reject_missing"  # dropped, and nothing in rejects says so
    WINDOW_TWICE = "window_twice"  # one raw record has two fates
    OFFSETS = "offsets"  # committed offset and read_to cannot be true
    # groups
    GROUP_TWICE = "group_twice"  # same timestamp, same revision
    GROUP_TORN = "group_torn"  # not all of its records, or not in one transaction
    GROUP_MIXED = "group_mixed"  # holds what belongs to another group
    REVISION = "revision"  # no revision of what was published before
    MISSING_LIST = "missing_list"  # complete, expected or missing is untrue
    PARTITION = "partition"  # not in its raw partition's number
    # bytes
    DIGEST = "digest"  # of the frame, in a header or in the catalogue
    PIXELS = "pixels"  # the image's are not the frame's
    CHECKSUM = "checksum"  # the FITS file's own
    KEY = "key"  # key, ce_time and DATE-OBS name different times
    UNREADABLE = "unreadable"  # a record that is none of ours
    # catalogue and rejects
    ENTRY_MISSING = "entry_missing"  # a group without a catalogue entry
    ENTRY_OFFSETS = "entry_offsets"  # an entry that points elsewhere
    ENTRY_MEMBERS = "entry_members"  # an entry that describes another group
    GROUP_MISSING = "group_missing"  # an entry without a group
    REJECT_WITHOUT_RAW = "reject_without_raw"  # a reject that names no raw record, or another one


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: what it is.
        partition: of the topics.
        timestamp_us: of the window or group, microseconds since 1970 UTC, where it is known.
        source: whose window, where it is one.
        offsets: where to look, as (topic's short name, offset): ('raw', 17).
        detail: a sentence for people.
    """

    kind: FindingKind
    partition: int
    timestamp_us: int | None
    source: str | None
    offsets: tuple[tuple[str, int], ...]
    detail: str

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "finding": self.kind.value,
            "partition": self.partition,
            "timestamp": None if self.timestamp_us is None else format_timestamp(self.timestamp_us),
            "source": self.source,
            "offsets": [{"topic": topic, "offset": offset} for topic, offset in self.offsets],
            "detail": self.detail,
        }

    def line(self) -> str:
        """For people."""
        where = " ".join(f"{topic}@{offset}" for topic, offset in self.offsets)
        parts = [
            f"{self.kind.value}:",
            "" if self.timestamp_us is None else format_timestamp(self.timestamp_us),
            self.source or "",
            f"partition {self.partition}",
            where,
            f"- {printable(self.detail)}",
        ]
        return " ".join(part for part in parts if part)


def printable(text: str) -> str:
    """A text that may quote bytes of others: one printable line, and short."""
    short = text if len(text) <= MAX_DETAIL else text[: MAX_DETAIL - 1] + "…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in short)
