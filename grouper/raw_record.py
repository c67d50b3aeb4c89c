"""One record of the raw topic, as the grouper holds it: decoded on arrival, encoded until it is published."""

from collections.abc import Callable
from dataclasses import dataclass

from grouper.encoding import Encoded, encode_when_asked
from schemas.catalogue import Member
from schemas.errors import RejectReason, SchemaError
from schemas.header_fields import KafkaHeaders
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders
from schemas.timestamp import parse_key
from schemas.window import Window, decode_window


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A usable window of the raw topic.

    Attributes:
        offset: its offset in its raw partition.
        log_time_ms: the broker's append time, milliseconds since 1970 UTC.
        timestamp_us: DATE-OBS, microseconds since 1970 UTC.
        source: the name of the image server.
        digest: XXH3-128 of the verbatim frame, as the connector computed it.
        receive_time_us: when the connector had read its last byte, microseconds since 1970 UTC.
        frequency_hz: the image's frequency in Hz.
        pixel_order: the order of the pixels in the verbatim frame.
        size: bytes that an open group holds for this record: the frame's.
        image: returns the FITS file that is published as the record's value. No window fails here that
            `decode_record` has let through.
    """

    offset: int
    log_time_ms: int
    timestamp_us: int
    source: str
    digest: str
    receive_time_us: int
    frequency_hz: float
    pixel_order: PixelOrder
    size: int
    image: Encoded

    def member(self) -> Member:
        """This record as a catalogue entry names it."""
        return Member(
            source=self.source,
            raw_offset=self.offset,
            digest=self.digest,
            frequency_hz=self.frequency_hz,
            receive_time_us=self.receive_time_us,
        )


@dataclass(frozen=True, slots=True)
class RawHead:
    """What a raw record says of itself before its frame is decoded: enough to judge a repeat."""

    offset: int
    log_time_ms: int
    timestamp_us: int
    headers: RawHeaders


def read_head(offset: int, log_time_ms: int, key: bytes | None, headers: KafkaHeaders | None) -> RawHead:
    """Read key and headers of a raw record.

    Raises:
        SchemaError: the key or a header is missing or not as schemas/ describes it, or the two name
            different timestamps. `.reason` is the reject's reason.
    """
    raw = RawHeaders.decode(headers)
    if key is None:
        raise SchemaError("the raw record has no key", reason=RejectReason.RECORD_HEADERS)
    timestamp_us = parse_key(key)
    if timestamp_us != raw.timestamp_us:
        raise SchemaError(
            f"the raw record's key {key!r} and its header ce_time name different timestamps",
            reason=RejectReason.RECORD_HEADERS,
        )
    return RawHead(offset, log_time_ms, timestamp_us, raw)


def decode_record(
    head: RawHead, value: bytes | None, encode: Callable[[Window], Encoded] = encode_when_asked
) -> RawRecord:
    """Decode a raw record's frame.

    Args:
        head: of the record.
        value: the frame.
        encode: has the window encoded.

    Raises:
        SchemaError: the frame is not a usable window, or is of another timestamp than its key.
    """
    if value is None:
        raise SchemaError("the raw record has no value", reason=RejectReason.RECORD_HEADERS)
    window = decode_window(value, head.headers.pixel_order)
    if window.timestamp_us != head.timestamp_us:
        raise SchemaError(
            "the frame's DATE-OBS and the raw record's key name different timestamps",
            reason=RejectReason.RECORD_HEADERS,
        )
    return RawRecord(
        offset=head.offset,
        log_time_ms=head.log_time_ms,
        timestamp_us=head.timestamp_us,
        source=head.headers.source,
        digest=head.headers.digest,
        receive_time_us=head.headers.receive_time_us,
        frequency_hz=window.frequency_hz,
        pixel_order=window.pixel_order,
        size=len(value),
        image=encode(window),
    )
