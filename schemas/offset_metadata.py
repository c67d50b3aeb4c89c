"""What the grouper keeps beside its committed offset, as text in Kafka's offset metadata."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from schemas.errors import OffsetMetadataError
from schemas.json_fields import JsonObject

MAX_LENGTH: Final = 4095
"""Kafka's limit in characters; beyond it a transaction's offsets are refused for ever."""

_VERSION: Final = 1
_RANGES: Final = re.compile(r"(?:[1-9]\d{0,18}(?:-[1-9]\d{0,18})?(?:,(?!$)|$))*")
_MAX_RULES: Final = 2_000  # characters; ours have less than half, and all else has to fit beside them
_MAX_WAITING: Final = 1_000_000  # far beyond what groups may be open: a bound for text of others


@dataclass(frozen=True, slots=True)
class RegroupRun:
    """What a regrouping was begun as, so that only the same one goes on with it.

    Attributes:
        end: the raw offset at which the partition's range ends.
        rules: the rules' names, and each as text.
    """

    end: int
    rules: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OffsetMetadata:
    """The grouper's progress in one raw partition.

    Attributes:
        read_to: one past the highest raw offset handled so far; never goes back.
        catalogue_from: the first catalogue offset that may name a record at or after the committed offset.
        missed: for each source that the latest groups lack, how many.
        waiting: the raw offsets below `read_to` that wait in open groups: what became of every other one is
            published. None: not known.
        regroup: where `trapline regroup` committed it; None: a live grouper did.
    """

    read_to: int
    catalogue_from: int
    missed: Mapping[str, int] = field(default_factory=dict)
    waiting: Collection[int] | None = None
    regroup: RegroupRun | None = None

    def encode(self) -> str:
        """JSON of at most 4095 characters; first `missed`, then `waiting` is left out where it does not fit.

        A restart without `missed` waits once more for a silent source, which costs latency and no data. One
        without `waiting` judges the records of open groups again, which comes out the same with the same
        settings.
        """
        fields: dict[str, object] = {"v": _VERSION, "read_to": self.read_to, "catalogue": self.catalogue_from}
        if self.regroup is not None:
            fields["regroup"] = {"end": self.regroup.end, "rules": dict(self.regroup.rules)}
        waiting = {} if self.waiting is None else {"waiting": _as_ranges(self.waiting, self.read_to)}
        missed = {"missed": dict(self.missed)} if self.missed else {}
        for more in (waiting | missed, waiting):
            text = json.dumps(fields | more, separators=(",", ":"))
            if len(text) <= MAX_LENGTH:
                return text
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str | None) -> Self:
        """Read what `encode` wrote; unknown fields are left alone.

        Raises:
            OffsetMetadataError: it is missing or something else.
        """
        if not text:
            raise OffsetMetadataError("the committed offset has no metadata")
        fields = JsonObject.parse(text, "the offset metadata", OffsetMetadataError)
        fields.check_version(_VERSION)
        missed = fields.child("missed") if "missed" in fields else None
        read_to = fields.natural("read_to")
        return cls(
            read_to=read_to,
            catalogue_from=fields.natural("catalogue"),
            missed={} if missed is None else {source: missed.natural(source) for source in missed},
            waiting=_from_ranges(fields.text("waiting"), read_to) if "waiting" in fields else None,
            regroup=_regroup(fields.child("regroup")) if "regroup" in fields else None,
        )


def _regroup(fields: JsonObject) -> RegroupRun:
    texts = fields.child("rules")
    rules = {name: texts.text(name) for name in texts}
    if len(json.dumps(rules)) > _MAX_RULES:
        raise OffsetMetadataError(f"{fields.what}: rules has more than {_MAX_RULES} characters")
    return RegroupRun(fields.natural("end"), rules)


def _as_ranges(offsets: Collection[int], read_to: int) -> str:
    """Offsets as distances below `read_to`: '9-7,4' for read_to - 9 to read_to - 7, and read_to - 4."""
    ranges: list[list[int]] = []
    for offset in sorted(offsets):
        if ranges and offset == ranges[-1][1] + 1:
            ranges[-1][1] = offset
        else:
            ranges.append([offset, offset])
    return ",".join(
        f"{read_to - first}" if first == last else f"{read_to - first}-{read_to - last}"
        for first, last in ranges
    )


def _from_ranges(text: str, read_to: int) -> frozenset[int]:
    return frozenset(_offsets(text, read_to))


def _offsets(text: str, read_to: int) -> Iterator[int]:
    if _RANGES.fullmatch(text) is None:
        raise OffsetMetadataError(f"the offset metadata: waiting is no list of ranges: {text[:60]!r}")
    left = _MAX_WAITING
    for part in filter(None, text.split(",")):
        far, _, near = part.partition("-")
        first, last = read_to - int(far), read_to - int(near or far)
        left -= last - first + 1
        if not 0 <= first <= last or left < 0:
            raise OffsetMetadataError(f"the offset metadata: waiting names no raw offsets: {part!r}")
        yield from range(first, last + 1)
