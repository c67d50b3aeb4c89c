"""The index of a segment: what the frames need beside their bytes. Lines of JSON.

The first line says whose frames they are and how their pixels lie. Each line after it is of a frame (where
it begins, its length, its time of arrival and its digest) or is itself a reject: bytes that belong to no
frame can't stand among frames, where an unfinished one would swallow the frames behind it.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final

from connector.records import Record
from schemas.digest import DIGEST
from schemas.errors import RejectReason
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RejectHeaders

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Title:
    """The first line.

    Attributes:
        prefix: of the topics that the frames are for.
        name: of their source.
        pixel_order: of the frames.
    """

    prefix: str
    name: str
    pixel_order: PixelOrder

    def encode(self) -> bytes:
        """The line."""
        return _line(
            {
                "spool": _VERSION,
                "prefix": self.prefix,
                "source": self.name,
                "pixel_order": self.pixel_order.value,
            }
        )


@dataclass(frozen=True, slots=True)
class FrameEntry:
    """The line of a frame.

    Attributes:
        offset: where it begins among the frames.
        size: its length in bytes.
        receive_time_us: when its last byte was read, microseconds since 1970 UTC.
        digest: as it was computed when the frame was read.
    """

    offset: int
    size: int
    receive_time_us: int
    digest: str

    def encode(self) -> bytes:
        """The line; there are thousands a second of them."""
        return (
            f'{{"offset":{self.offset},"bytes":{self.size},"receive_time_us":{self.receive_time_us},'
            f'"digest":"{self.digest}"}}\n'
        ).encode()


@dataclass(frozen=True, slots=True)
class RejectEntry:
    """The line of a reject that is no whole frame.

    Attributes:
        offset: where the frames ended when it came.
        headers: of the reject.
        data: its bytes, few.
    """

    offset: int
    headers: RejectHeaders
    data: bytes

    def encode(self) -> bytes:
        """The line."""
        headers = self.headers
        return _line(
            {
                "offset": self.offset,
                "reason": headers.reason.value,
                "detail": headers.detail,
                "timestamp_us": headers.timestamp_us,
                "receive_time_us": headers.receive_time_us,
                "total_bytes": headers.total_bytes,
                "truncated": headers.truncated,
                "digest": headers.digest,
                "data": base64.b64encode(self.data).decode(),
            }
        )


Entry = FrameEntry | RejectEntry


def entry_of(record: Record, offset: int) -> tuple[Entry, bytes]:
    """What stands in the index for a record, and what among the frames: itself, or nothing.

    Args:
        record: for raw or for rejects.
        offset: where the frames end.
    """
    headers = record.headers
    if isinstance(headers, RejectHeaders) and (headers.digest is None or headers.truncated):
        return RejectEntry(offset, headers, record.value), b""
    # A whole frame; if it was rejected, it will be again, for the same reason.
    entry = FrameEntry(offset, len(record.value), headers.receive_time_us, headers.digest or "")
    return entry, record.value


def read_title(line: bytes) -> Title | None:
    """The first line; None where it is damaged, or of another version."""
    try:
        fields = _fields(line)
        if fields["spool"] != _VERSION:
            return None
        return Title(_text(fields["prefix"]), _text(fields["source"]), PixelOrder(fields["pixel_order"]))
    except (ValueError, KeyError):
        return None


def read_entry(line: bytes, title: Title) -> Entry | None:
    """Any other line; None where it is damaged."""
    try:
        fields = _fields(line)
        if "reason" in fields:
            return _reject_entry(fields, title)
        digest = fields["digest"]
        if not isinstance(digest, str) or DIGEST.fullmatch(digest) is None:
            return None
        return FrameEntry(
            _natural(fields["offset"]),
            _natural(fields["bytes"]),
            _natural(fields["receive_time_us"]),
            digest,
        )
    except (ValueError, KeyError):
        return None


def _reject_entry(fields: dict[str, Any], title: Title) -> RejectEntry:
    headers = RejectHeaders(
        title.prefix,
        "connector",
        title.name,
        None if fields["timestamp_us"] is None else _natural(fields["timestamp_us"]),
        RejectReason(fields["reason"]),
        _text(fields["detail"]),
        _natural(fields["receive_time_us"]),
        _natural(fields["total_bytes"]),
        truncated=bool(fields["truncated"]),
        digest=None if fields["digest"] is None else _text(fields["digest"]),
    )
    try:
        data = base64.b64decode(_text(fields["data"]), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    return RejectEntry(_natural(fields["offset"]), headers, data)


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _fields(line: bytes) -> dict[str, Any]:
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise ValueError("a line is no object")  # noqa: TRY004  the one error of a line that is damaged
    return fields


def _natural(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no natural number")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004  as above
    return value
