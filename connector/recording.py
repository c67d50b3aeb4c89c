"""Frames into files: a folder a source, verbatim frames one after the other, names that sort."""

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from connector.errors import CaptureError
from connector.frame_files import shown
from connector.metrics import CAPTURED_BYTES, CAPTURED_FRAMES, UNCAPTURED_FRAMES, Count, SourceCounts
from connector.seldom import Seldom
from runtime.logs import get_logger
from schemas.errors import RejectReason
from schemas.frame import Frame, Skipped

log = get_logger(__name__)

_LINES_S: Final = 5.0
_MODE: Final = 0o644


class Recording:
    """The taker of one source: writes its frames to files, and counts what is no frame.

    A file holds whole frames. It is `START-NUMBER.frames`, with the run's beginning in UTC, so that the names
    of a run, and of runs one after the other, sort as they were written. A file that was closed is on the
    disk, not in the system's memory. A SIGKILL may leave the last one with a torn tail, which costs whoever
    reads it that frame alone; a full disk does not: what was not written whole is cut off again.

    Used by the source's thread; `close` after that has ended.

    Attributes:
        folder: where the files are.
        frames: written whole.
        bytes: of them.
        files: begun.
        skipped_bytes: that were no whole frame, without the frame that was under way when it was stopped.
        full: whether `max_frames` are written: frames that come now are nobody's.
    """

    def __init__(
        self,
        source: str,
        folder: Path,
        counts: SourceCounts,
        *,
        began: datetime,
        segment_bytes: int,
        max_frames: int | None,
        stop: threading.Event,
    ) -> None:
        """Make the folder.

        Args:
            source: its name.
            folder: of this source; made where it is not there.
            counts: of the source.
            began: when the run began.
            segment_bytes: size after which a new file is begun.
            max_frames: how many frames are wanted; None: all.
            stop: set when the source is read no more.

        Raises:
            CaptureError: the folder can't be made.
        """
        self.folder = folder
        self.frames = 0
        self.bytes = 0
        self.files = 0
        self.skipped_bytes = 0
        self._source = source
        self._counts = counts
        self._began = began.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        self._segment_bytes = segment_bytes
        self._max_frames = max_frames
        self._stop = stop
        self._captured_frames = Count(CAPTURED_FRAMES.labels(source))
        self._captured_bytes = Count(CAPTURED_BYTES.labels(source))
        self._uncaptured_frames = Count(UNCAPTURED_FRAMES.labels(source))
        self._lines = Seldom(_LINES_S)
        self._file: int | None = None
        self._path = folder
        self._size = 0
        self._failed = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._error("the folder can't be made", folder, error) from error

    @property
    def full(self) -> bool:
        """Whether all the frames that were wanted are there."""
        return self._max_frames is not None and self.frames >= self._max_frames

    @property
    def unrecorded(self) -> int:
        """Whole frames that were read and are in no file, because writing failed."""
        return int(self._uncaptured_frames.total)

    def take_frame(self, frame: Frame, receive_time_us: int) -> None:  # noqa: ARG002  a file has no place for it
        """Write a frame.

        Raises:
            CaptureError: it can't be written.
        """
        if self.full:
            return
        try:
            if self._failed:
                return
            self._write(frame.data)
        except OSError as error:
            self._failed = True
            raise self._error("a frame can't be written", self._path, error) from error
        finally:
            if self._failed:
                self._uncaptured_frames.add()
        self.frames += 1
        self.bytes += len(frame.data)
        self._captured_frames.add()
        self._captured_bytes.add(len(frame.data))

    def take_skipped(self, skipped: Skipped, receive_time_us: int) -> None:  # noqa: ARG002  as above
        """Count bytes that are no frame, and say so."""
        if self.full or (self._stop.is_set() and skipped.reason is RejectReason.INCOMPLETE):
            return
        self.skipped_bytes += skipped.total_bytes
        self._counts.reject(skipped.reason)
        untold = self._lines.due(time.monotonic())
        if untold is not None:
            log.warning(
                "not recorded: no whole frame",
                source=self._source,
                bytes=skipped.total_bytes,
                reason=skipped.reason.value,
                detail=skipped.detail,
                not_logged_before=untold,
            )

    def close(self) -> None:
        """End the file that is open.

        Raises:
            CaptureError: it can't be brought to the disk.
        """
        try:
            self._end_file()
        except OSError as error:
            self._failed = True
            raise self._error("the file can't be finished", self._path, error) from error

    def _write(self, data: bytes) -> None:
        if self._file is not None and self._size + len(data) > self._segment_bytes:
            self._end_file()
        if self._file is None:
            self._path = self.folder / f"{self._began}-{self.files + 1:06}.frames"
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
            self.files += 1
            self._size = 0
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)

    def _end_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def _error(self, what: str, path: Path, error: OSError) -> CaptureError:
        return CaptureError(
            f"{self._source}: {what}: {shown(path)}: {error.strerror or error}; {self.frames} frames are "
            f"recorded in {shown(self.folder)}"
        )
