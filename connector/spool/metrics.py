"""The spool's metrics; a source without one has none of these series."""

from enum import StrEnum
from typing import Protocol

from prometheus_client import Counter, Gauge

from connector.metrics import Count

_SOURCE = ["source"]

LIMIT = Gauge("trapline_connector_spool_limit_bytes", "What the spool may take on disk (spool_max_bytes).")
BYTES = Gauge("trapline_connector_spool_bytes", "What the spool takes on disk.", _SOURCE)
RECORDS = Gauge(
    "trapline_connector_spool_records", "Records on disk that Kafka has not acknowledged.", _SOURCE
)
SEGMENTS = Gauge("trapline_connector_spool_segments", "Segments on disk.", _SOURCE)
WRITTEN_BYTES = Counter(
    "trapline_connector_spool_written_bytes_total", "Bytes written to the spool.", _SOURCE
)
WRITTEN_RECORDS = Counter(
    "trapline_connector_spool_written_records_total", "Records written to the spool.", _SOURCE
)
READ_RECORDS = Counter(
    "trapline_connector_spool_read_records_total",
    "Records read back from disk and handed to Kafka's client.",
    _SOURCE,
)
FOUND_RECORDS = Counter(
    "trapline_connector_spool_found_records_total",
    "Records that an earlier run left, all of which are sent, some perhaps once more.",
    _SOURCE,
)
TORN = Counter(
    "trapline_connector_spool_torn_total",
    "Segments found at a start whose last frame was not written to its end; it is cut off.",
    _SOURCE,
)
TORN_BYTES = Counter("trapline_connector_spool_torn_bytes_total", "Bytes of such frames.", _SOURCE)
DAMAGED_BYTES = Counter(
    "trapline_connector_spool_damaged_bytes_total",
    "Bytes that came back from disk other than they were written; they go to rejects.",
    _SOURCE,
)
DISK_ERRORS = Counter(
    "trapline_connector_spool_disk_errors_total",
    "Attempts to write, read or delete that failed; each is repeated.",
    ["source", "operation"],
)


class Operation(StrEnum):
    """What was tried on the disk."""

    WRITE = "write"
    READ = "read"
    DELETE = "delete"


class Sized(Protocol):
    """What the gauges ask of a source's spool."""

    @property
    def bytes(self) -> int:
        """What it takes on disk."""

    @property
    def entries(self) -> int:
        """Records on disk that Kafka has not acknowledged."""

    @property
    def segments(self) -> int:
        """Segments on disk."""


class SpoolCounts:
    """The figures of one source's spool; the attributes mean what the metrics of the same names mean."""

    def __init__(self, source: str, spool: Sized) -> None:
        """Touch every series of the source."""
        BYTES.labels(source).set_function(lambda: spool.bytes)
        RECORDS.labels(source).set_function(lambda: spool.entries)
        SEGMENTS.labels(source).set_function(lambda: spool.segments)
        self.written_bytes = Count(WRITTEN_BYTES.labels(source))
        self.written_records = Count(WRITTEN_RECORDS.labels(source))
        self.read_records = Count(READ_RECORDS.labels(source))
        self.found_records = Count(FOUND_RECORDS.labels(source))
        self.torn = Count(TORN.labels(source))
        self.torn_bytes = Count(TORN_BYTES.labels(source))
        self.damaged_bytes = Count(DAMAGED_BYTES.labels(source))
        self.disk_errors = {
            operation: Count(DISK_ERRORS.labels(source, operation.value)) for operation in Operation
        }
