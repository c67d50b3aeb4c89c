"""The headers of the records of the four topics: CloudEvents 1.0 in Kafka's binary mode.

All values are UTF-8 text, so that a consumer in any language reads them without this code. Attributes of
CloudEvents carry the prefix `ce_`; our extension attributes have names of lower-case letters and digits
only, as the specification asks. json/*-headers.schema.json describe the same sets, and the tests hold the
two together.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, Self

from schemas.errors import RecordHeaderError, RejectReason
from schemas.header_fields import HeaderFields, KafkaHeaders
from schemas.pixel_order import PixelOrder
from schemas.replay_mark import ReplayMark
from schemas.timestamp import format_timestamp

FRAME_TYPE: Final = "trapline.frame.v1"
IMAGE_TYPE: Final = "trapline.image.v1"
GROUP_TYPE: Final = "trapline.group.v1"
REJECT_TYPE: Final = "trapline.reject.v1"

FRAME_CONTENT: Final = "application/vnd.aartfaac.frame"
IMAGE_CONTENT: Final = "application/fits"
GROUP_CONTENT: Final = "application/json"
REJECT_CONTENT: Final = "application/octet-stream"

MAX_DETAIL: Final = 500
"""Characters of `ce_detail`."""

Stage = Literal["connector", "grouper"]

_SPEC_VERSION: Final = "1.0"
_CE_SOURCE: Final = re.compile(r"/([A-Za-z0-9._-]+)/(connector|grouper)")
_PIXEL_ORDERS: Final = tuple(order.value for order in PixelOrder)
_REASONS: Final = frozenset(reason.value for reason in RejectReason)


def group_id(timestamp_us: int, revision: int, first_raw_offset: int) -> str:
    """The id of a group: '{timestamp}/r{revision}/o{raw offset of its first record}'.

    The offset tells two groups of one timestamp apart, should one be published again after its catalogue
    entry was lost.

    Raises:
        TimestampError: before 1970 or after 9999.
    """
    return f"{format_timestamp(timestamp_us)}/r{revision}/o{first_raw_offset}"


@dataclass(frozen=True, slots=True)
class RawHeaders:
    """Headers of a frame in the raw topic.

    Attributes:
        prefix: of the topics.
        source: the name of its image server.
        timestamp_us: DATE-OBS, microseconds since 1970 UTC.
        digest: of the verbatim frame.
        receive_time_us: when its last byte was read, microseconds since 1970 UTC.
        pixel_order: as the source's URL says.
    """

    prefix: str
    source: str
    timestamp_us: int
    digest: str
    receive_time_us: int
    pixel_order: PixelOrder

    def encode(self) -> list[tuple[str, bytes]]:
        """The headers for Kafka.

        Raises:
            TimestampError: a time outside 1970 to 9999.
        """
        timestamp = format_timestamp(self.timestamp_us)
        return _encode(
            ("ce_specversion", _SPEC_VERSION),
            ("ce_type", FRAME_TYPE),
            ("ce_source", f"/{self.prefix}/connector"),
            ("ce_id", f"{self.source}/{timestamp}/{self.digest}"),
            ("ce_time", timestamp),
            ("ce_subject", self.source),
            ("content-type", FRAME_CONTENT),
            ("ce_digest", self.digest),
            ("ce_receivetime", format_timestamp(self.receive_time_us)),
            ("ce_pixelorder", self.pixel_order.value),
        )

    @classmethod
    def decode(cls, headers: KafkaHeaders | None) -> Self:
        """Read the headers of a raw record.

        Raises:
            RecordHeaderError: names the header that is missing or wrong.
        """
        fields = HeaderFields(headers)
        prefix, _ = _envelope(fields, FRAME_TYPE, FRAME_CONTENT, ("connector",))
        return cls(
            prefix=prefix,
            source=fields.source("ce_subject"),
            timestamp_us=fields.time("ce_time"),
            digest=fields.digest("ce_digest"),
            receive_time_us=fields.time("ce_receivetime"),
            pixel_order=PixelOrder(fields.one_of("ce_pixelorder", _PIXEL_ORDERS)),
        )


@dataclass(frozen=True, slots=True)
class ImageHeaders:
    """Headers of an image in the groups topic.

    Attributes:
        prefix: of the topics.
        source: whose image it is.
        timestamp_us: of the group, microseconds since 1970 UTC.
        group_id: the same for all images of the group's revision.
        index: its place in the group, from 0 on.
        size: how many images the group has.
        expected: how many it should have had.
        complete: whether every expected source is present.
        missing: the sources it lacks.
        revision: 1, or more where a late image was put in.
        receive_time_us: when the connector had read it, microseconds since 1970 UTC.
        pixel_order: of the frame it came from; the FITS file is always in FITS order.
        digest: of that frame.
        raw_offset: of that frame in the raw partition.
        frequency_hz: in Hz.
        replay: where it was replayed from; None: the grouper wrote it.
    """

    prefix: str
    source: str
    timestamp_us: int
    group_id: str
    index: int
    size: int
    expected: int
    complete: bool
    missing: tuple[str, ...]
    revision: int
    receive_time_us: int
    pixel_order: PixelOrder
    digest: str
    raw_offset: int
    frequency_hz: float
    replay: ReplayMark | None = None

    @property
    def publication(self) -> tuple[str, int]:
        """What the records of one group have in common: its id, and which replay wrote it (0: none)."""
        return self.group_id, 0 if self.replay is None else self.replay.began_us

    def encode(self) -> list[tuple[str, bytes]]:
        """The headers for Kafka.

        Raises:
            TimestampError: a time outside 1970 to 9999.
        """
        return _encode(
            ("ce_specversion", _SPEC_VERSION),
            ("ce_type", IMAGE_TYPE),
            ("ce_source", f"/{self.prefix}/grouper"),
            ("ce_id", f"{self.group_id}/{self.index}"),
            ("ce_time", format_timestamp(self.timestamp_us)),
            ("ce_subject", self.source),
            ("content-type", IMAGE_CONTENT),
            ("ce_groupid", self.group_id),
            ("ce_groupindex", str(self.index)),
            ("ce_groupsize", str(self.size)),
            ("ce_groupexpected", str(self.expected)),
            ("ce_groupcomplete", _boolean(self.complete)),
            ("ce_groupmissing", ",".join(self.missing)),
            ("ce_grouprevision", str(self.revision)),
            ("ce_receivetime", format_timestamp(self.receive_time_us)),
            ("ce_pixelorder", self.pixel_order.value),
            ("ce_digest", self.digest),
            ("ce_rawoffset", str(self.raw_offset)),
            ("ce_frequency", repr(float(self.frequency_hz))),
        ) + _marked(self.replay)

    @classmethod
    def decode(cls, headers: KafkaHeaders | None) -> Self:
        """Read the headers of a record of the groups topic.

        Raises:
            RecordHeaderError: names the header that is missing or wrong.
        """
        fields = HeaderFields(headers)
        prefix, _ = _envelope(fields, IMAGE_TYPE, IMAGE_CONTENT, ("grouper",))
        index, size = fields.natural("ce_groupindex"), fields.natural("ce_groupsize")
        if index >= size:
            raise RecordHeaderError(f"the record's header ce_groupindex is {index} in a group of {size}")
        return cls(
            prefix=prefix,
            source=fields.source("ce_subject"),
            timestamp_us=fields.time("ce_time"),
            group_id=fields.text("ce_groupid"),
            index=index,
            size=size,
            expected=fields.natural("ce_groupexpected"),
            complete=fields.boolean("ce_groupcomplete"),
            missing=fields.sources("ce_groupmissing"),
            revision=fields.natural("ce_grouprevision"),
            receive_time_us=fields.time("ce_receivetime"),
            pixel_order=PixelOrder(fields.one_of("ce_pixelorder", _PIXEL_ORDERS)),
            digest=fields.digest("ce_digest"),
            raw_offset=fields.natural("ce_rawoffset"),
            frequency_hz=fields.positive_number("ce_frequency"),
            replay=ReplayMark.decode(fields),
        )


@dataclass(frozen=True, slots=True)
class CatalogueHeaders:
    """Headers of a catalogue record; its subject is the timestamp, since it is about all sources.

    Attributes:
        prefix: of the topics.
        timestamp_us: of the group, microseconds since 1970 UTC.
        group_id: of the group.
        replay: where it was replayed from; None: the grouper wrote it.
    """

    prefix: str
    timestamp_us: int
    group_id: str
    replay: ReplayMark | None = None

    def encode(self) -> list[tuple[str, bytes]]:
        """The headers for Kafka.

        Raises:
            TimestampError: a time outside 1970 to 9999.
        """
        timestamp = format_timestamp(self.timestamp_us)
        return _encode(
            ("ce_specversion", _SPEC_VERSION),
            ("ce_type", GROUP_TYPE),
            ("ce_source", f"/{self.prefix}/grouper"),
            ("ce_id", self.group_id),
            ("ce_time", timestamp),
            ("ce_subject", timestamp),
            ("content-type", GROUP_CONTENT),
        ) + _marked(self.replay)

    @classmethod
    def decode(cls, headers: KafkaHeaders | None) -> Self:
        """Read the headers of a catalogue record.

        Raises:
            RecordHeaderError: names the header that is missing or wrong.
        """
        fields = HeaderFields(headers)
        prefix, _ = _envelope(fields, GROUP_TYPE, GROUP_CONTENT, ("grouper",))
        timestamp_us = fields.time("ce_time")
        fields.constant("ce_subject", fields.text("ce_time"))
        return cls(
            prefix=prefix,
            timestamp_us=timestamp_us,
            group_id=fields.text("ce_id"),
            replay=ReplayMark.decode(fields),
        )


@dataclass(frozen=True, slots=True)
class RejectHeaders:
    """Headers of a record of the rejects topic. What is None has no header.

    Attributes:
        prefix: of the topics.
        stage: who rejected it.
        source: whose it was, where that is known.
        timestamp_us: DATE-OBS, where it could be read.
        reason: why, for programs.
        detail: why, for people; at most 500 printable characters are kept.
        receive_time_us: when the connector had read it, microseconds since 1970 UTC.
        total_bytes: how many bytes were rejected.
        truncated: whether the record's value holds only the first of them.
        digest: of a whole frame.
        raw_partition: where the grouper read it,
        raw_offset: and at which offset.
    """

    prefix: str
    stage: Stage
    source: str | None
    timestamp_us: int | None
    reason: RejectReason
    detail: str
    receive_time_us: int
    total_bytes: int
    truncated: bool
    digest: str | None = None
    raw_partition: int | None = None
    raw_offset: int | None = None

    @property
    def event_id(self) -> str:
        """The same for the same reject, however often it is written: its place in raw, or its arrival."""
        if self.raw_offset is not None:
            return f"{self.stage}/{self.raw_partition}/{self.raw_offset}/{self.reason.value}"
        arrival = format_timestamp(self.receive_time_us)
        what = self.digest or str(self.total_bytes)
        return f"{self.stage}/{self.source or '-'}/{arrival}/{self.reason.value}/{what}"

    def encode(self) -> list[tuple[str, bytes]]:
        """The headers for Kafka.

        Raises:
            TimestampError: a time outside 1970 to 9999.
        """
        optional = (
            ("ce_time", None if self.timestamp_us is None else format_timestamp(self.timestamp_us)),
            ("ce_subject", self.source),
            ("ce_digest", self.digest),
            ("ce_rawpartition", None if self.raw_partition is None else str(self.raw_partition)),
            ("ce_rawoffset", None if self.raw_offset is None else str(self.raw_offset)),
        )
        return _encode(
            ("ce_specversion", _SPEC_VERSION),
            ("ce_type", REJECT_TYPE),
            ("ce_source", f"/{self.prefix}/{self.stage}"),
            ("ce_id", self.event_id),
            ("content-type", REJECT_CONTENT),
            ("ce_reason", self.reason.value),
            ("ce_detail", _safe(self.detail)),
            ("ce_receivetime", format_timestamp(self.receive_time_us)),
            ("ce_bytes", str(self.total_bytes)),
            ("ce_truncated", _boolean(self.truncated)),
            *((name, value) for name, value in optional if value is not None),
        )

    @classmethod
    def decode(cls, headers: KafkaHeaders | None) -> Self:
        """Read the headers of a reject.

        Raises:
            RecordHeaderError: names the header that is missing or wrong.
        """
        fields = HeaderFields(headers)
        prefix, stage = _envelope(fields, REJECT_TYPE, REJECT_CONTENT, ("connector", "grouper"))
        return cls(
            prefix=prefix,
            stage=stage,
            source=fields.source("ce_subject") if "ce_subject" in fields else None,
            timestamp_us=fields.time("ce_time") if "ce_time" in fields else None,
            reason=_reason(fields),
            detail=fields.text_or_empty("ce_detail"),
            receive_time_us=fields.time("ce_receivetime"),
            total_bytes=fields.natural("ce_bytes"),
            truncated=fields.boolean("ce_truncated"),
            digest=fields.digest("ce_digest") if "ce_digest" in fields else None,
            raw_partition=fields.natural("ce_rawpartition") if "ce_rawpartition" in fields else None,
            raw_offset=fields.natural("ce_rawoffset") if "ce_rawoffset" in fields else None,
        )


def _encode(*headers: tuple[str, str]) -> list[tuple[str, bytes]]:
    return [(name, value.encode("utf-8")) for name, value in headers]


def _marked(replay: ReplayMark | None) -> list[tuple[str, bytes]]:
    return [] if replay is None else replay.encode()


def _envelope(
    fields: HeaderFields, event_type: str, content_type: str, stages: tuple[Stage, ...]
) -> tuple[str, Stage]:
    """Check what all events have in common: the topic prefix and the stage in ce_source."""
    fields.constant("ce_specversion", _SPEC_VERSION)
    fields.constant("ce_type", event_type)
    fields.constant("content-type", content_type)
    fields.text("ce_id")
    origin = fields.matching("ce_source", _CE_SOURCE, "/PREFIX/connector or /PREFIX/grouper")
    for stage in stages:
        if origin[2] == stage:
            return origin[1], stage
    raise RecordHeaderError(f"the record's header ce_source is {origin[0]!r}, not of {' or '.join(stages)}")


def _reason(fields: HeaderFields) -> RejectReason:
    reason = fields.text("ce_reason")
    if reason not in _REASONS:
        raise RecordHeaderError(f"the record's header ce_reason is {reason[:80]!r}, no reason known here")
    return RejectReason(reason)


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _safe(detail: str) -> str:
    """Text that may quote bytes of others: printable, and short."""
    short = detail if len(detail) <= MAX_DETAIL else detail[: MAX_DETAIL - 1] + "…"
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in short
    )
