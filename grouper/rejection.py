"""Raw records that could not be used, as they go to the rejects topic."""

import time
from collections.abc import Mapping

from confluent_kafka import Message

from grouper.publication import Reject
from grouper.raw_record import RawHead
from grouper.rules import Verdict
from schemas.errors import RejectReason
from schemas.record_headers import RejectHeaders

_MAX_KEY = 1024  # bytes; ours have 27

REASONS = {
    Verdict.CONFLICT: (
        RejectReason.CONFLICT,
        "another frame of this source and timestamp is a member of the group already",
    ),
    Verdict.LATE: (
        RejectReason.LATE,
        "its group was closed before it came; see the catalogue entry",
    ),
    Verdict.BEYOND_REPAIR: (
        RejectReason.RAW_GONE,
        (
            "its group was closed before it came, and raw no longer holds the other windows to publish it "
            "again with; raise the retention of raw"
        ),
    ),
    Verdict.OLDER: (
        RejectReason.OLDER,
        (
            "older than anything remembered, so it may have been grouped before; raise `remember`, or set "
            "`older: group`, or use a topic prefix of its own for a historical run"
        ),
    ),
    Verdict.UNKNOWN: (
        RejectReason.UNKNOWN_SOURCE,
        "its source is not one of the configured sources; add it to TRAPLINE_SOURCES of the grouper",
    ),
}
"""The verdicts that reject, with reason and detail."""


class Rejection:
    """Makes the rejects of one partition."""

    def __init__(self, prefix: str, partition: int, max_frame_bytes: int) -> None:
        self._prefix = prefix
        self._partition = partition
        self._max_frame_bytes = max_frame_bytes

    def of_record(
        self,
        message: Message,
        offset: int,
        head: RawHead | None,
        why: tuple[RejectReason, str],
        state: tuple[int, Mapping[str, int]],
    ) -> Reject:
        """A raw record that is rejected.

        Args:
            message: the record.
            offset: its raw offset.
            head: what could be read of its key and headers.
            why: reason and detail.
            state: `read_to` and `missed` from just before it.
        """
        reason, detail = why
        key, value = message.key(), message.value() or b""
        headers = RejectHeaders(
            prefix=self._prefix,
            stage="grouper",
            source=head.headers.source if head else None,
            timestamp_us=head.timestamp_us if head else None,
            reason=reason,
            detail=detail,
            receive_time_us=head.headers.receive_time_us if head else time.time_ns() // 1000,
            total_bytes=len(value),
            truncated=len(value) > self._max_frame_bytes,
            digest=head.headers.digest if head else None,
            raw_partition=self._partition,
            raw_offset=offset,
        )
        # A frame is kept whole. What is larger is none, and with our headers could be more than the topic
        # takes: then no transaction would ever get past it.
        if key is not None and len(key) > _MAX_KEY:
            key = None
        return Reject(key, value[: self._max_frame_bytes], headers, *state)

    def of_gap(self, first: int, position: int, lost: int, state: tuple[int, Mapping[str, int]]) -> Reject:
        """Raw records that retention took before they were grouped.

        Args:
            first: the first offset that is gone.
            position: where reading goes on.
            lost: how many records are in no group, at most.
            state: as of `of_record`.
        """
        headers = RejectHeaders(
            prefix=self._prefix,
            stage="grouper",
            source=None,
            timestamp_us=None,
            reason=RejectReason.RAW_GAP,
            detail=f"retention removed raw records from offset {first} to {position - 1}; up to {lost} of "
            "them are in no group",
            receive_time_us=time.time_ns() // 1000,
            total_bytes=0,
            truncated=False,
            raw_partition=self._partition,
            raw_offset=first,
        )
        return Reject(None, b"", headers, *state)
