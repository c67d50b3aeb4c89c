"""Recording: the connector's readers, with files in the place of Kafka."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from connector.capture_settings import CaptureSettings
from connector.errors import CaptureError
from connector.intake import Intake
from connector.metrics import SourceCounts
from connector.recording import Recording
from connector.source import SourceReader
from runtime.health import Heartbeat
from runtime.logs import get_logger
from runtime.shutdown import Shutdown
from schemas.source import FileSource, ServerSource

log = get_logger(__name__)

_WATCH_S: Final = 0.1
_STUCK_AFTER_S: Final = 30.0
_LAST_TURN_S: Final = 30.0  # for a slow disk to take the frame in hand


@dataclass(frozen=True, slots=True)
class Captured:
    """What was recorded of one source.

    Attributes:
        source: what to give the connector to publish it.
        frames: recorded, verbatim.
        recorded_bytes: of those.
        files: they are in.
        skipped_bytes: read, and no whole frame; in no file. The frame under way at the end is not counted.
    """

    source: FileSource
    frames: int
    recorded_bytes: int
    files: int
    skipped_bytes: int


class _Line:
    """One source: its reader, and where its frames go."""

    def __init__(
        self, source: ServerSource, settings: CaptureSettings, folder: Path, began: datetime
    ) -> None:
        self.source = source
        self.stop = threading.Event()
        self.counts = SourceCounts(source.name)
        self.recording = Recording(
            source.name,
            folder / source.name,
            self.counts,
            began=began,
            segment_bytes=settings.capture_segment_bytes,
            max_frames=settings.capture_frames,
            stop=self.stop,
        )
        self.reader = SourceReader(
            source, settings, intake=Intake(self.counts, self.recording), stop=self.stop
        )

    @property
    def problem(self) -> str | None:
        """Why nothing comes at present."""
        return f"{self.source.name}: {self.reader.problem}" if self.reader.problem else None

    def captured(self) -> Captured:
        recording = self.recording
        return Captured(
            FileSource(self.source.name, recording.folder, pixel_order=self.source.pixel_order),
            recording.frames,
            recording.bytes,
            recording.files,
            recording.skipped_bytes,
        )

    def end(self, timeout_s: float) -> None:
        """After the stop: wait for the frame in hand, and finish the file.

        Raises:
            CaptureError: it could not be written, or not in time.
        """
        if not self.reader.wait_until_idle(timeout_s):
            raise CaptureError(
                f"{self.source.name}: the last frames were not written within {_LAST_TURN_S:g} s"
            )
        self.recording.close()


class CaptureService:
    """Records every source until a stop is asked for, or enough was recorded."""

    def __init__(self, settings: CaptureSettings) -> None:
        """Make the folders; nothing is connected yet.

        Raises:
            CaptureError: a folder can't be made.
        """
        if settings.capture_output is None:
            raise CaptureError("no folder for the recording: --output DIR")
        self._settings = settings
        self._heartbeat = Heartbeat(_STUCK_AFTER_S)
        began = datetime.now(UTC)
        folder = settings.capture_output.absolute()
        self._lines = [_Line(source, settings, folder, began) for source in settings.servers]

    def stuck(self) -> str | None:
        """Why the process should be restarted; None while it turns."""
        return self._heartbeat.problem()

    def not_ready(self) -> str | None:
        """Why nothing can be recorded at present; None where one source at least can."""
        problems = [line.problem for line in self._lines if line.problem]
        return "; ".join(problems) if len(problems) == len(self._lines) else None

    def run(self, shutdown: Shutdown) -> tuple[Captured, ...]:
        """Record; what there is in the end, a source each.

        Raises:
            CaptureError: a file can't be written, or nothing was recorded.
        """
        deadline_s = None if self._settings.capture_s is None else time.monotonic() + self._settings.capture_s
        for line in self._lines:
            line.reader.start()
        while self._failure() is None and not shutdown.wait(_WATCH_S):
            self._heartbeat.beat()
            for line in self._lines:
                if line.recording.full:
                    line.stop.set()
            if all(line.recording.full for line in self._lines):
                break
            if deadline_s is not None and time.monotonic() >= deadline_s:
                break
        return self._end()

    def _failure(self) -> Exception | None:
        failures = (line.reader.failure for line in self._lines)
        return next((failure for failure in failures if failure is not None), None)

    def _end(self) -> tuple[Captured, ...]:
        """Read no more, finish the files, and say what there is."""
        why_none = self.not_ready()
        for line in self._lines:
            line.stop.set()
        deadline_s = time.monotonic() + _LAST_TURN_S
        failure: Exception | None = None
        for line in self._lines:
            try:
                line.end(deadline_s - time.monotonic())
            except CaptureError as error:
                failure = failure or error
        failure = self._failure() or failure
        captured = tuple(line.captured() for line in self._lines)
        for line, each in zip(self._lines, captured, strict=True):
            log.info(
                "recorded",
                source=each.source.name,
                url=each.source.url,
                frames=each.frames,
                bytes=each.recorded_bytes,
                files=each.files,
                skipped_bytes=each.skipped_bytes,
                unrecorded_frames=line.recording.unrecorded,
            )
        if failure is not None:
            raise failure
        if not any(each.frames for each in captured):
            raise CaptureError(f"nothing was recorded; {why_none or 'the servers sent no frame'}")
        return captured
