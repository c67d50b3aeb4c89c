"""Reads files of frames as if they came off a socket: same decoder, same records, same rejects."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Final

from connector.file_order import Turns
from connector.frame_files import FrameFiles, begins_with_frame, find_frame_files, open_frame_file, shown
from connector.intake import Intake
from connector.metrics import FileOutcome
from connector.reading_keys import ReadingKeys
from runtime.logs import get_logger
from schemas.frame import FrameDecoder
from schemas.source import FileSource

log = get_logger(__name__)

_WITHOUT_END: Final = sys.maxsize
_TURN_S: Final = 0.02  # between looks at what Kafka has acknowledged, while that is waited for


class FileReader:
    """One thread, one open file. Reads a source's files once, one after the other, as one stream.

    A frame may go on in the next file, as `split` cuts them. Where the next one begins with a frame of its
    own, what the file before it left unfinished is rejected: the torn tail of a recording that was killed.
    What is no frame is skipped, however much it is: no byte of a file is left unread.

    A file that can't be read is told and counted (`unread_files`), and the others are read all the same.

    Attributes:
        source: what is read.
        problem: why no frames can come; None while it reads.
        untried: whether it has not begun yet.
        failure: what ended the thread, if anything but the end of the files or a stop did.
        finished: whether everything was read and handed over.
        unread_files: files that could not be read, or not to their end.
    """

    def __init__(
        self,
        source: FileSource,
        settings: ReadingKeys,
        *,
        intake: Intake,
        stop: threading.Event,
        waiting_bytes: Callable[[], int],
        max_waiting_bytes: int,
        at: Callable[[str], None],
        turns: Turns | None = None,
    ) -> None:
        """Prepare; `find` looks for the files, `start` reads.

        Args:
            source: what is read.
            settings: limits.
            intake: where what is read goes; also has the source's counts.
            stop: set when reading is to end.
            waiting_bytes: how much of this source Kafka has not acknowledged.
            max_waiting_bytes: with more than that, nothing is read. A disk is faster than Kafka, and would
                leave the image servers beside it no room in the queue.
            at: told the name of each file when it is begun, and '' in the end, to say where a reject is from.
            turns: its place among the files of other sources; None where there are none.
        """
        self.source = source
        self.problem: str | None = "not begun yet"
        self.untried = True
        self.failure: Exception | None = None
        self.finished = False
        self.unread_files = 0
        # No frame is further away than the files are long, and reading on costs nobody a connection.
        limits = settings.frame_limits
        self._limits = replace(limits, max_resync_bytes=_WITHOUT_END)
        self._intake = intake
        self._counts = intake.counts
        self._stop = stop
        self._waiting_bytes = waiting_bytes
        self._max_waiting_bytes = max_waiting_bytes
        self._at = at
        self._turns = turns
        self._found = FrameFiles(())
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name=f"source {source.name}", daemon=True)

    def find(self) -> None:
        """Look for the files, so that what is wrong at once is told before anything is read.

        Raises:
            FileSourceError: there is none, or it can't be read.
        """
        self._found = find_frame_files(self.source)
        for path in self._found.left_out:
            self._counts.files[FileOutcome.LEFT_OUT].add()
            log.warning("left out: it is no file", source=self.source.name, path=shown(path))

    def start(self) -> None:
        """Read, in a thread."""
        self._idle.clear()
        self._thread.start()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """After a stop: wait until all that was read is handed over."""
        return self._idle.wait(timeout_s)

    def _run(self) -> None:
        log.info("reading files", source=self.source.name, url=self.source.url, files=len(self._found.files))
        self.problem = None
        self.untried = False
        self._counts.connected.set(1)
        try:
            self._read_all()
        except Exception as error:  # noqa: BLE001  told to whoever watches the process
            self.problem = f"failed: {error}"
            self.failure = error
        finally:
            self._counts.connected.set(0)
            if self._turns is not None:
                self._turns.leave()
            self._idle.set()

    def _read_all(self) -> None:
        decoder = FrameDecoder(self._limits)
        for path in self._found.files:
            if self._ends(decoder):
                break
            try:
                with open_frame_file(path) as file:
                    if (decoder.in_frame or decoder.skipped_bytes) and begins_with_frame(file):
                        decoder = self._anew(decoder)
                    self._at(shown(path.name))
                    if self._read(file, decoder):
                        self._counts.files[FileOutcome.READ].add()
            except OSError as error:
                self._tell_unread(path, error)
                decoder = self._anew(decoder)
        self._intake.take_rest(decoder)
        self._at("")
        if self._turns is not None:
            self._turns.end()
        self._end()

    def _read(self, file: FileIO, decoder: FrameDecoder) -> bool:
        """Read a file; whether to its end.

        Raises:
            OSError: it can't be read on.
        """
        while not self._ends(decoder):
            self._wait_for_turn()
            size = file.readinto(decoder.get_buffer())
            if size == 0:
                return True
            decoder.received(size)
            self._counts.read_bytes.add(size)
            self._intake.take(decoder)
        return False

    def _ends(self, decoder: FrameDecoder) -> bool:
        """Whether to read no more: never within a frame, whose beginning would be rejected for nothing."""
        return self._stop.is_set() and not decoder.in_frame

    def _wait_for_turn(self) -> None:
        if self._waiting_bytes() <= self._max_waiting_bytes:
            return
        began_s = time.monotonic()
        while self._waiting_bytes() > self._max_waiting_bytes and not self._stop.wait(_TURN_S):
            pass
        self._counts.back_pressure_s.add(time.monotonic() - began_s)

    def _anew(self, decoder: FrameDecoder) -> FrameDecoder:
        """What this decoder holds goes no further; the next one."""
        self._intake.take_rest(decoder)
        return FrameDecoder(self._limits)

    def _tell_unread(self, path: Path, error: OSError) -> None:
        self.unread_files += 1
        self._counts.files[FileOutcome.FAILED].add()
        log.error(
            "a file can't be read",
            source=self.source.name,
            path=shown(path),
            cause=error.strerror or str(error),
        )

    def _end(self) -> None:
        stopped = self._stop.is_set()
        self.problem = "asked to stop" if stopped else "all its files were read"
        self.finished = True
        read = int(self._counts.files[FileOutcome.READ].total)
        log.info(
            "stopped reading files" if stopped else "all files were read",
            source=self.source.name,
            files=read,
            frames=int(self._counts.frames.total),
            read_bytes=int(self._counts.read_bytes.total),
        )
