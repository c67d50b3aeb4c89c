"""`CaptureService` in a thread, and what it has recorded."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from connector.capture import Captured, CaptureService
from connector.capture_settings import CaptureSettings
from runtime.settings import load_settings
from runtime.shutdown import Shutdown
from schemas.source import Source
from tests.support.waiting import timeout_s, wait_until

MIB = 1024**2


def recorded(folder: Path) -> list[bytes]:
    """The files of one source, in the order of their names."""
    return [path.read_bytes() for path in sorted(folder.iterdir())]


class RunningCapture:
    """Runs while it is entered.

    Attributes:
        service: it.
        error: what ended it.
        captured: what it says it has recorded, once it has ended.
    """

    def __init__(self, output: Path, *sources: Source, **settings: object) -> None:
        quick = {"reconnect_min_s": 0.02, "reconnect_max_s": 0.1, "max_frame_bytes": 16 * MIB}
        where = {"capture_output": output, "sources": sources}
        self.service = CaptureService(
            load_settings(CaptureSettings, overrides={**quick, **where, **settings}, known=[])
        )
        self.error: BaseException | None = None
        self.captured: tuple[Captured, ...] = ()
        self._shutdown = Shutdown()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def wait_for(self, *frames: int) -> None:
        """Until so many frames of each source are recorded."""
        wait_until(
            lambda: self.error or [line.recording.frames for line in self.service._lines] == list(frames),
            lambda: f"{frames} frames; {self.service.not_ready()}",
        )
        assert self.error is None, self.error

    def stop(self) -> tuple[Captured, ...]:
        """As Ctrl-C does."""
        self._shutdown.request()
        return self.wait()

    def wait(self) -> tuple[Captured, ...]:
        """Until it has ended by itself, without an error."""
        self.wait_for_end()
        assert self.error is None, self.error
        return self.captured

    def wait_for_end(self) -> None:
        """Until it has ended by itself."""
        self._thread.join(timeout_s(30))
        assert not self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shutdown.request()
        self._thread.join(timeout_s(30))

    def _run(self) -> None:
        try:
            self.captured = self.service.run(self._shutdown)
        except BaseException as error:  # noqa: BLE001  the test looks at it
            self.error = error
