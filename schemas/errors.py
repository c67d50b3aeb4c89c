"""Every error this project raises on purpose, and the reasons it gives for rejecting bytes.

The tree; rooms above add their own branches below `TraplineError`::

    TraplineError
    ├── SchemaError (also ValueError)   bytes or values that do not follow the contract; has a `.reason`
    │   ├── FrameError                  the 512-byte header, the lengths
    │   │   └── ResyncError             too many bytes went by without a frame's magic
    │   ├── HeaderError                 the FITS header: cards, axes
    │   ├── TimestampError              DATE-OBS, TIMESYS, a record key
    │   ├── FrequencyError              RESTFRQ, RESTFREQ, the FREQ axis
    │   ├── PixelsError                 an image's pixels or its FITS file
    │   ├── RecordHeaderError           the headers of a Kafka record
    │   ├── CatalogueError              a catalogue entry
    │   └── OffsetMetadataError         the metadata of a committed offset
    ├── SourceError (also ValueError)   a source given as NAME=URL
    └── TopicNameError (also ValueError)  a topic prefix

Whoever reads bytes of others catches `SchemaError`, and only that.
"""

from enum import StrEnum
from typing import ClassVar


class RejectReason(StrEnum):
    """Why bytes could not be used: a closed set, for the header `ce_reason` and the labels of counters."""

    # found by the frame decoder
    BAD_MAGIC = "bad_magic"
    LENGTHS_REFUSED = "lengths_refused"
    LENGTH_MISMATCH = "length_mismatch"
    HEADER_UNREADABLE = "header_unreadable"
    INCOMPLETE = "incomplete"
    # found in a well-framed window
    NO_NAXIS = "no_naxis"
    BAD_AXES = "bad_axes"
    EMPTY_IMAGE = "empty_image"
    NO_DATE_OBS = "no_date_obs"
    BAD_DATE_OBS = "bad_date_obs"
    TIME_SYSTEM = "time_system"
    FAR_FUTURE = "far_future"
    NO_FREQUENCY = "no_frequency"
    BAD_FREQUENCY = "bad_frequency"
    BAD_PIXELS = "bad_pixels"
    TOO_LARGE = "too_large"
    # found in the connector's spool
    DAMAGED = "damaged"
    # found in a Kafka record
    RECORD_KEY = "record_key"
    RECORD_HEADERS = "record_headers"
    CATALOGUE_ENTRY = "catalogue_entry"
    OFFSET_METADATA = "offset_metadata"
    # decided by the grouper
    UNKNOWN_SOURCE = "unknown_source"
    LATE = "late"
    CONFLICT = "conflict"
    OLDER = "older"
    RAW_GAP = "raw_gap"
    RAW_GONE = "raw_gone"


class TraplineError(Exception):
    """The root: something this project noticed and can name. Its text is fit for a user."""


class SchemaError(TraplineError, ValueError):
    """Bytes or values that do not follow the contract.

    Attributes:
        reason: one of `RejectReason`, for headers and counters; the text is for people.
    """

    default_reason: ClassVar[RejectReason] = RejectReason.HEADER_UNREADABLE
    reason: RejectReason

    def __init__(self, message: str, *, reason: RejectReason | None = None) -> None:
        """Give the sentence for people, and the reason where it is not the class's usual one."""
        super().__init__(message)
        self.reason = self.default_reason if reason is None else reason


class FrameError(SchemaError):
    """The bytes are not a frame: magic or lengths are wrong."""

    default_reason = RejectReason.LENGTH_MISMATCH


class ResyncError(FrameError):
    """More than `FrameLimits.max_resync_bytes` went by without a frame's magic: reconnect."""

    default_reason = RejectReason.BAD_MAGIC


class HeaderError(SchemaError):
    """The FITS header cannot be read, or what it says of the axes cannot be used."""

    default_reason = RejectReason.HEADER_UNREADABLE


class TimestampError(SchemaError):
    """A time that is no time, lies outside 1970 to 9999, or cannot be converted to UTC."""

    default_reason = RejectReason.BAD_DATE_OBS


class FrequencyError(SchemaError):
    """No usable frequency in the header."""

    default_reason = RejectReason.NO_FREQUENCY


class PixelsError(SchemaError):
    """The pixels do not fit the header, or a FITS value is not the file we publish."""

    default_reason = RejectReason.BAD_PIXELS


class RecordHeaderError(SchemaError):
    """A header of a Kafka record is missing or holds what it may not."""

    default_reason = RejectReason.RECORD_HEADERS


class CatalogueError(SchemaError):
    """A record of the catalogue is not an entry."""

    default_reason = RejectReason.CATALOGUE_ENTRY


class OffsetMetadataError(SchemaError):
    """The metadata of a committed offset is not ours."""

    default_reason = RejectReason.OFFSET_METADATA


class SourceError(TraplineError, ValueError):
    """A source given as NAME=URL is wrong; the text names the part."""


class TopicNameError(TraplineError, ValueError):
    """A topic prefix that Kafka would not take, or that would make the names too long."""
