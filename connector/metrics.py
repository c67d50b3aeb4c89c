"""The connector's metrics, and the same figures of this run for its last log lines.

Every way a byte can take is counted: read = in whole frames + skipped; handed over = delivered + waiting
+ undelivered. Each series is touched at the start, so that it is scraped as 0 before 1.
"""

from collections.abc import Mapping
from enum import StrEnum

from prometheus_client import Counter, Gauge, Histogram

from schemas.errors import RejectReason


class Ending(StrEnum):
    """Why a connection to an image server ended."""

    CLOSED = "closed"  # by the server
    BROKEN = "broken"  # by an error of the network
    STALLED = "stalled"  # by us: a frame did not go on
    NO_FRAME = "no_frame"  # by us: no frame began for too long
    STOPPED = "stopped"  # by us: asked to stop


class FileOutcome(StrEnum):
    """What became of a file of a file:// source."""

    READ = "read"  # to its end
    FAILED = "failed"  # could not be opened, or not be read to its end
    LEFT_OUT = "left_out"  # a folder, a pipe or a device, in a folder of files


class Refusal(StrEnum):
    """Why Kafka did not take a record."""

    TOO_LARGE = "too_large"  # goes to rejects
    CONFIGURATION = "configuration"  # no such topic, no right: the connector stops
    BROKEN = "broken"  # anything else: sent again by a new producer


class Destination(StrEnum):
    """Where a record goes."""

    RAW = "raw"
    REJECTS = "rejects"


REASONS = (
    RejectReason.BAD_MAGIC,
    RejectReason.LENGTHS_REFUSED,
    RejectReason.LENGTH_MISMATCH,
    RejectReason.HEADER_UNREADABLE,
    RejectReason.INCOMPLETE,
    RejectReason.NO_NAXIS,
    RejectReason.BAD_AXES,
    RejectReason.NO_DATE_OBS,
    RejectReason.BAD_DATE_OBS,
    RejectReason.TIME_SYSTEM,
    RejectReason.FAR_FUTURE,
    RejectReason.TOO_LARGE,
    RejectReason.DAMAGED,
)
"""Why the connector rejects; the others are the grouper's."""

_SOURCE = ["source"]

FRAMES = Counter("trapline_connector_frames_total", "Whole frames read.", _SOURCE)
READ_BYTES = Counter("trapline_connector_read_bytes_total", "Bytes read.", _SOURCE)
RESYNCS = Counter(
    "trapline_connector_resyncs_total", "Times a frame was looked for among other bytes.", _SOURCE
)
SKIPPED_BYTES = Counter(
    "trapline_connector_skipped_bytes_total", "Bytes read that belong to no whole frame.", _SOURCE
)
REJECTS = Counter(
    "trapline_connector_rejects_total", "Frames and runs of bytes rejected.", ["source", "reason"]
)
STALLED_FRAMES = Counter(
    "trapline_connector_stalled_frames_total", "Frames given up because they did not go on.", _SOURCE
)
CONNECTIONS = Counter("trapline_connector_connections_total", "Connections made.", _SOURCE)
RECONNECTS = Counter("trapline_connector_reconnects_total", "Connections made after the first.", _SOURCE)
CONNECT_FAILURES = Counter(
    "trapline_connector_connect_failures_total", "Attempts to connect that failed.", _SOURCE
)
ENDINGS = Counter(
    "trapline_connector_connections_ended_total", "Connections by what ended them.", ["source", "cause"]
)
FILES = Counter(
    "trapline_connector_files_total",
    "Files of a file:// source by what became of them.",
    ["source", "outcome"],
)
CONNECTED = Gauge(
    "trapline_connector_connected", "1 while the source is connected, or its files are read.", _SOURCE
)
SILENT = Gauge(
    "trapline_connector_silent", "1 while the source is connected and has sent nothing for long.", _SOURCE
)
LAST_FRAME = Gauge(
    "trapline_connector_last_frame_time_seconds",
    "When the last whole frame was read, seconds since 1970.",
    _SOURCE,
)
DELIVERED = Counter(
    "trapline_connector_delivered_records_total", "Records Kafka has acknowledged.", ["source", "topic"]
)
DELIVERY_FAILURES = Counter(
    "trapline_connector_delivery_failures_total", "Records Kafka did not take.", ["source", "cause"]
)
PRODUCE_LATENCY = Histogram(
    "trapline_connector_produce_latency_seconds",
    "From a record handed to Kafka's client until Kafka has acknowledged it: the queue, and the way.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
UNDELIVERED = Counter(
    "trapline_connector_undelivered_records_total",
    "Records given up at a stop before Kafka acknowledged them: read, and lost with this process.",
    _SOURCE,
)
QUEUE_RECORDS = Gauge(
    "trapline_connector_queue_records", "Records in memory that Kafka has not acknowledged.", _SOURCE
)
QUEUE_BYTES = Gauge("trapline_connector_queue_bytes", "Bytes of those records.", _SOURCE)
BACK_PRESSURE = Counter(
    "trapline_connector_back_pressure_seconds_total",
    "Seconds the source was not read because the queue was full.",
    _SOURCE,
)
CAPTURED_FRAMES = Counter(
    "trapline_connector_captured_frames_total",
    "Frames that `trapline capture` has written to files.",
    _SOURCE,
)
CAPTURED_BYTES = Counter("trapline_connector_captured_bytes_total", "Bytes of those frames.", _SOURCE)
UNCAPTURED_FRAMES = Counter(
    "trapline_connector_uncaptured_frames_total",
    "Whole frames that `trapline capture` has read and could not write.",
    _SOURCE,
)
PRODUCERS_RENEWED = Counter(
    "trapline_connector_producers_renewed_total", "Producers replaced after an error that ends a producer."
)


class Count:
    """One series of a counter, and how much of it is of this run. Added to by one thread only."""

    __slots__ = ("_series", "total")

    def __init__(self, series: Counter) -> None:
        self._series = series
        self.total: float = 0

    def add(self, amount: float = 1) -> None:
        """Count."""
        self.total += amount
        self._series.inc(amount)


class SourceCounts:
    """The figures of one source; the attributes mean what the metrics of the same names mean."""

    def __init__(self, source: str) -> None:
        """Touch every series of the source."""
        self._source = source
        self.frames = Count(FRAMES.labels(source))
        self.read_bytes = Count(READ_BYTES.labels(source))
        self.resyncs = Count(RESYNCS.labels(source))
        self.skipped_bytes = Count(SKIPPED_BYTES.labels(source))
        self._rejects = {reason: Count(REJECTS.labels(source, reason.value)) for reason in REASONS}
        self.stalled_frames = Count(STALLED_FRAMES.labels(source))
        self.connections = Count(CONNECTIONS.labels(source))
        self.reconnects = Count(RECONNECTS.labels(source))
        self.connect_failures = Count(CONNECT_FAILURES.labels(source))
        self.endings: Mapping[Ending, Count] = {
            ending: Count(ENDINGS.labels(source, ending.value)) for ending in Ending
        }
        self.files: Mapping[FileOutcome, Count] = {
            outcome: Count(FILES.labels(source, outcome.value)) for outcome in FileOutcome
        }
        self.delivered: Mapping[Destination, Count] = {
            destination: Count(DELIVERED.labels(source, destination.value)) for destination in Destination
        }
        self.delivery_failures: Mapping[Refusal, Count] = {
            refusal: Count(DELIVERY_FAILURES.labels(source, refusal.value)) for refusal in Refusal
        }
        self.undelivered = Count(UNDELIVERED.labels(source))
        self.back_pressure_s = Count(BACK_PRESSURE.labels(source))
        self.connected = CONNECTED.labels(source)
        self.silent = SILENT.labels(source)
        self.last_frame = LAST_FRAME.labels(source)
        self.queue_records = QUEUE_RECORDS.labels(source)
        self.queue_bytes = QUEUE_BYTES.labels(source)

    def reject(self, reason: RejectReason) -> None:
        """Count a frame or a run of bytes that is rejected."""
        if reason not in self._rejects:
            self._rejects[reason] = Count(REJECTS.labels(self._source, reason.value))
        self._rejects[reason].add()

    @property
    def rejects(self) -> int:
        """Frames and runs of bytes rejected, for whatever reason."""
        return int(sum(count.total for count in self._rejects.values()))
