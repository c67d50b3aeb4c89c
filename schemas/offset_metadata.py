"""What the grouper keeps beside its committed offset, as text in Kafka's offset metadata."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from schemas.errors import OffsetMetadataError
from schemas.json_fields import JsonObject

MAX_LENGTH: Final = 4095
"""Kafka's limit in characters; beyond it a transaction's offsets are refused for ever."""

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class OffsetMetadata:
    """The grouper's progress in one raw partition.

    Attributes:
        read_to: one past the highest raw offset handled so far; never goes back.
        catalogue_from: the first catalogue offset that may name a record at or after the committed offset.
        missed: for each source that the latest groups lack, how many.
    """

    read_to: int
    catalogue_from: int
    missed: Mapping[str, int] = field(default_factory=dict)

    def encode(self) -> str:
        """JSON of at most 4095 characters; `missed` is left out where it does not fit.

        A restart without it waits once more for a silent source, which costs latency and no data.
        """
        fields: dict[str, object] = {"v": _VERSION, "read_to": self.read_to, "catalogue": self.catalogue_from}
        short = json.dumps(fields, separators=(",", ":"))
        if not self.missed:
            return short
        text = json.dumps({**fields, "missed": dict(self.missed)}, separators=(",", ":"))
        return text if len(text) <= MAX_LENGTH else short

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
        return cls(
            read_to=fields.natural("read_to"),
            catalogue_from=fields.natural("catalogue"),
            missed={} if missed is None else {source: missed.natural(source) for source in missed},
        )
