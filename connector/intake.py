"""From the decoder onwards: what it found is counted, and handed on in order."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from connector.metrics import SourceCounts
from connector.records import Record, RecordMaker
from connector.seldom import Seldom
from runtime.logs import get_logger
from schemas.frame import Frame, FrameDecoder, Skipped
from schemas.record_headers import RejectHeaders

log = get_logger(__name__)

_REJECT_LINES_S: Final = 5.0  # each reject is counted; a hostile server must not fill the log


class Taker(Protocol):
    """Whoever the frames are for."""

    def take_frame(self, frame: Frame, receive_time_us: int) -> None:
        """Take a whole frame; may wait as long as it likes."""

    def take_skipped(self, skipped: Skipped, receive_time_us: int) -> None:
        """Take bytes that belong to no frame; may wait as long as it likes."""


class Intake:
    """What one source's decoder finds, on its way to the taker."""

    def __init__(self, counts: SourceCounts, taker: Taker) -> None:
        """Begin.

        Args:
            counts: of the source.
            taker: whoever the frames are for.
        """
        self.counts = counts
        self._taker = taker

    def take(self, decoder: FrameDecoder) -> bool:
        """Hand over what the decoder has found; whether a frame was among it.

        Raises:
            ResyncError: the stream is of no more use.
        """
        receive_time_us = time.time_ns() // 1000
        ended_frame = False
        while (event := decoder.next_event()) is not None:
            if isinstance(event, Frame):
                ended_frame = True
                self._take_frame(event, receive_time_us)
            else:
                self.counts.resyncs.add()
                self._take_skipped(event, receive_time_us)
        return ended_frame

    def take_rest(self, decoder: FrameDecoder) -> None:
        """Close the decoder, and hand over what was left: an incomplete frame, and true ones it swallowed."""
        receive_time_us = time.time_ns() // 1000
        event: Frame | Skipped | None = decoder.close()
        while event is not None:
            if isinstance(event, Frame):
                self._take_frame(event, receive_time_us)
            else:
                self._take_skipped(event, receive_time_us)
            event = decoder.next_event()

    def _take_frame(self, frame: Frame, receive_time_us: int) -> None:
        self.counts.frames.add()
        self.counts.last_frame.set(receive_time_us / 1e6)
        self._taker.take_frame(frame, receive_time_us)

    def _take_skipped(self, skipped: Skipped, receive_time_us: int) -> None:
        self.counts.skipped_bytes.add(skipped.total_bytes)
        self._taker.take_skipped(skipped, receive_time_us)


class RecordTaker:
    """Makes records, tells of rejects, and publishes both."""

    def __init__(
        self, source: str, maker: RecordMaker, publish: Callable[[Record], None], counts: SourceCounts
    ) -> None:
        """Begin.

        Args:
            source: its name, for the log.
            maker: makes the source's records.
            publish: takes a record; may wait as long as it likes.
            counts: of the source.
        """
        self._source = source
        self._maker = maker
        self._publish = publish
        self._counts = counts
        self._reject_lines = Seldom(_REJECT_LINES_S)

    def at(self, place: str) -> None:
        """What comes from here on stands in this file; rejects name it. '': in none."""
        self._maker.place = place

    def take_frame(self, frame: Frame, receive_time_us: int) -> None:
        """Publish a frame, or its reject."""
        self._hand_over(self._maker.frame(frame, receive_time_us))

    def take_skipped(self, skipped: Skipped, receive_time_us: int) -> None:
        """Publish the reject of bytes that belong to no frame."""
        self._hand_over(self._maker.skipped(skipped, receive_time_us))

    def _hand_over(self, record: Record) -> None:
        if isinstance(record.headers, RejectHeaders):
            self._tell_reject(record.headers)
        self._publish(record)

    def _tell_reject(self, headers: RejectHeaders) -> None:
        self._counts.reject(headers.reason)
        untold = self._reject_lines.due(time.monotonic())
        if untold is not None:
            log.warning(
                "rejected",
                source=self._source,
                reason=headers.reason.value,
                detail=headers.detail,
                not_logged_before=untold,
            )
