"""What becomes of the things the decoder found: a record for raw, or one for rejects.

A frame goes to raw as soon as it has a timestamp, since that is its key. Whether its axes, frequency and
pixels can be used is judged by the grouper, which can name the raw offset of what it rejects.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from schemas.digest import frame_digest
from schemas.errors import RejectReason, SchemaError, TimestampError
from schemas.frame import Frame, Skipped
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders, RejectHeaders
from schemas.timestamp import format_timestamp, timestamp_key
from schemas.topics import TopicNames
from schemas.window import window_timestamp

_SECOND_US = 1_000_000


class Origin(Protocol):
    """Where frames come from, as far as their records say it: a source, or a segment of its spool."""

    @property
    def name(self) -> str:
        """Of the source."""

    @property
    def pixel_order(self) -> PixelOrder:
        """Of the frames."""


class Keeper(Protocol):
    """Whatever counts how many of the records that it keeps Kafka has: a segment of the spool.

    Attributes:
        settled: records that Kafka has acknowledged; written to by the thread that hears from Kafka.
    """

    settled: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A record that is handed over.

    Attributes:
        number: of all records that were handed over in this run, how many before this one.
        keeper: what keeps it until Kafka has it; None: this process's memory alone.
    """

    number: int
    keeper: Keeper | None


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A record on its way to Kafka.

    Attributes:
        topic: raw or rejects.
        key: the timestamp as ASCII; None where none is known.
        value: the frame, verbatim, or rejected bytes.
        headers: those of a frame, or of a reject.
        standing: None before it is handed over.
    """

    topic: str
    key: bytes | None
    value: bytes
    headers: RawHeaders | RejectHeaders
    standing: Standing | None = None


class RecordMaker:
    """Makes the records of one source."""

    def __init__(self, source: Origin, names: TopicNames, *, max_future_s: float) -> None:
        """Prepare.

        Args:
            source: whose frames they are.
            names: of the topics.
            max_future_s: how far DATE-OBS may be ahead of the time of arrival, in seconds.
        """
        self._source = source
        self._names = names
        self._max_future_us = round(max_future_s * _SECOND_US)
        self._latest_reject_us = 0
        self.place = ""
        """Where the source is read at present, for the details of rejects: the name of a file."""

    def frame(self, frame: Frame, receive_time_us: int) -> Record:
        """The record of a whole frame: raw, or rejects where it has no timestamp that can be used.

        Args:
            frame: as decoded.
            receive_time_us: when its last byte was read, microseconds since 1970 UTC.
        """
        digest = frame_digest(frame.data)
        timestamp_us = None
        try:
            timestamp_us = window_timestamp(frame.cards)
            if timestamp_us > receive_time_us + self._max_future_us:
                raise TimestampError(
                    f"DATE-OBS {format_timestamp(timestamp_us)} is "
                    f"{(timestamp_us - receive_time_us) / _SECOND_US:.0f} s ahead of this machine's clock "
                    f"(at most {self._max_future_us / _SECOND_US:g} s, TRAPLINE_MAX_FUTURE_S)",
                    reason=RejectReason.FAR_FUTURE,
                )
        except SchemaError as error:
            return self._reject(
                frame.data,
                len(frame.data),
                error.reason,
                str(error),
                receive_time_us,
                timestamp_us=timestamp_us,
                digest=digest,
            )
        headers = RawHeaders(
            self._names.prefix,
            self._source.name,
            timestamp_us,
            digest,
            receive_time_us,
            self._source.pixel_order,
        )
        return Record(self._names.raw, timestamp_key(timestamp_us), frame.data, headers)

    def skipped(self, skipped: Skipped, receive_time_us: int) -> Record:
        """The record of bytes that belong to no frame.

        Args:
            skipped: as decoded.
            receive_time_us: when the last of them was read, microseconds since 1970 UTC.
        """
        return self._reject(
            skipped.data, skipped.total_bytes, skipped.reason, skipped.detail, receive_time_us
        )

    def damaged(self, data: bytes, total_bytes: int, detail: str, receive_time_us: int) -> Record:
        """The record of bytes that are not what was written to the spool.

        Args:
            data: the bytes, or the first of them.
            total_bytes: how many they are.
            detail: for people.
            receive_time_us: when they were read, as far as that is known; microseconds since 1970 UTC.
        """
        return self._reject(data, total_bytes, RejectReason.DAMAGED, detail, receive_time_us)

    def reject_again(self, headers: RejectHeaders, data: bytes) -> Record:
        """The record of a reject that was made before.

        Args:
            headers: as they were.
            data: its bytes.
        """
        return _reject_record(self._names, headers, data)

    def _reject(
        self,
        data: bytes,
        total_bytes: int,
        reason: RejectReason,
        detail: str,
        receive_time_us: int,
        *,
        timestamp_us: int | None = None,
        digest: str | None = None,
    ) -> Record:
        # The id of a reject is made of its arrival; of several in one read each needs its own.
        receive_time_us = max(receive_time_us, self._latest_reject_us + 1)
        self._latest_reject_us = receive_time_us
        headers = RejectHeaders(
            self._names.prefix,
            "connector",
            self._source.name,
            timestamp_us,
            reason,
            f"{self.place}: {detail}" if self.place else detail,
            receive_time_us,
            total_bytes,
            truncated=len(data) < total_bytes,
            digest=digest,
        )
        return _reject_record(self._names, headers, data)


def too_large(names: TopicNames, frame: Record, raw: RawHeaders, limit: str) -> Record:
    """The reject of a frame that raw refuses for its size.

    Args:
        names: of the topics.
        frame: the refused record.
        raw: its headers.
        limit: Kafka's words.
    """
    headers = RejectHeaders(
        raw.prefix,
        "connector",
        raw.source,
        raw.timestamp_us,
        RejectReason.TOO_LARGE,
        f"{frame.topic} refuses a record of {len(frame.value)} bytes: {limit}",
        raw.receive_time_us,
        len(frame.value),
        truncated=False,
        digest=raw.digest,
    )
    return _reject_record(names, headers, frame.value, frame.standing)


def truncated(names: TopicNames, reject: Record, headers: RejectHeaders, max_bytes: int) -> Record:
    """The same reject with the first `max_bytes` of its value.

    Args:
        names: of the topics.
        reject: the record that is too large.
        headers: its headers.
        max_bytes: how much is kept.
    """
    cut = replace(headers, truncated=True)
    return _reject_record(names, cut, reject.value[:max_bytes], reject.standing)


def _reject_record(
    names: TopicNames, headers: RejectHeaders, value: bytes, standing: Standing | None = None
) -> Record:
    key = None if headers.timestamp_us is None else timestamp_key(headers.timestamp_us)
    return Record(names.rejects, key, value, headers, standing)
