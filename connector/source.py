"""Reads one image server: connects, cuts the stream into frames, hands them over, and connects again."""

import socket
import threading
import time
from typing import Final

from connector.backoff import Backoff
from connector.connection import connect
from connector.frame_watch import FrameWatch
from connector.intake import Intake
from connector.metrics import Ending
from connector.reading_keys import ReadingKeys
from runtime.logs import get_logger
from schemas.errors import ResyncError
from schemas.frame import FrameDecoder
from schemas.source import ServerSource

log = get_logger(__name__)

_TICK_S: Final = 0.2  # between looks at the clock, and at whether to stop, while no byte comes


class SourceReader:
    """One thread. What it reads is handed over before it reads on, so a full queue stops the server.

    Attributes:
        source: which server.
        problem: why no frames can come at present; None while connected.
        untried: whether the first attempt to connect has come to no end yet.
        failure: what ended the thread, if anything but a stop did.
        finished: whether there is nothing more to read; a server may always send more.
    """

    def __init__(
        self,
        source: ServerSource,
        settings: ReadingKeys,
        *,
        intake: Intake,
        stop: threading.Event,
    ) -> None:
        """Prepare; `start` connects.

        Args:
            source: which server.
            settings: limits and time-outs.
            intake: where what is read goes; also has the source's counts.
            stop: set when reading is to end.
        """
        self.source = source
        self.problem: str | None = "not connected yet"
        self.untried = True
        self.failure: Exception | None = None
        self.finished: Final = False
        self._settings = settings
        self._intake = intake
        self._counts = intake.counts
        self._stop = stop
        self._silent = False
        self._backoff = Backoff(settings.reconnect_min_s, settings.reconnect_max_s)
        self._idle = threading.Event()  # no connection is open, and nothing read is in hand
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name=f"source {source.name}", daemon=True)

    def start(self) -> None:
        """Connect and read, in a thread."""
        self._thread.start()

    def wait_until_idle(self, timeout_s: float) -> bool:
        """After a stop: wait until all that was read is handed over, but for no attempt to connect."""
        return self._idle.wait(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._connect_and_read()
                self._stop.wait(self._backoff.next_s())
        except Exception as error:  # noqa: BLE001  told to whoever watches the process
            self.problem = f"failed: {error}"
            self.failure = error
        finally:
            self._idle.set()

    def _connect_and_read(self) -> None:
        try:
            connection = connect(self.source, timeout_s=self._settings.connect_timeout_s, tick_s=_TICK_S)
        except OSError as error:
            self._not_connected(error)
            return
        self._idle.clear()
        frames = self._counts.frames.total
        with connection:
            self._connected()
            ending, cause = self._read(connection)
        if self._counts.frames.total > frames:
            self._backoff.reset()
        self._disconnected(ending, cause)
        self._idle.set()

    def _read(self, connection: socket.socket) -> tuple[Ending, str]:
        """Read until the connection ends or has to; why it did, in a word and in words."""
        settings = self._settings
        decoder = FrameDecoder(settings.frame_limits)
        watch = FrameWatch(
            time.monotonic(),
            stall_timeout_s=settings.stall_timeout_s,
            max_frame_time_s=settings.max_frame_time_s,
        )
        read_bytes = self._counts.read_bytes
        try:
            while not self._stop.is_set():
                try:
                    size = connection.recv_into(decoder.get_buffer())
                except BlockingIOError:  # a tick without a byte
                    self._show_silence(watch.silent_s(time.monotonic()))
                else:
                    if size == 0:
                        return Ending.CLOSED, "the server closed the connection"
                    decoder.received(size)
                    read_bytes.add(size)
                    if self._silent:
                        self._show_silence(0.0)
                    ended_frame = self._intake.take(decoder)
                    watch.received(time.monotonic(), in_frame=decoder.in_frame, ended_frame=ended_frame)
                stalled = watch.stalled(time.monotonic()) if decoder.in_frame else None
                if stalled is not None:
                    self._counts.stalled_frames.add()
                    return Ending.STALLED, stalled
        except ResyncError as error:
            return Ending.NO_FRAME, str(error)
        except OSError as error:
            return Ending.BROKEN, error.strerror or str(error)
        else:
            return Ending.STOPPED, "asked to stop"
        finally:
            self._intake.take_rest(decoder)

    def _show_silence(self, silent_s: float) -> None:
        """Tell once when a source falls silent, and once when it is back."""
        silent = silent_s >= self._settings.silence_warning_s
        if silent == self._silent:
            return
        self._silent = silent
        self._counts.silent.set(silent)
        if silent:
            log.warning("the source is silent", source=self.source.name, silent_s=round(silent_s, 1))
        else:
            log.info("the source is not silent any more", source=self.source.name)

    def _connected(self) -> None:
        if self._counts.connections.total:
            self._counts.reconnects.add()
        self._counts.connections.add()
        self._counts.connected.set(1)
        self.problem = None
        self.untried = False
        log.info("connected", source=self.source.name, url=self.source.url)

    def _not_connected(self, error: OSError) -> None:
        self._counts.connect_failures.add()
        problem = f"can't connect to {self.source.url}: {error.strerror or error}"
        if problem != self.problem:  # else each attempt would tell the same
            log.warning("can't connect", source=self.source.name, url=self.source.url, cause=str(error))
        self.problem = problem
        self.untried = False

    def _disconnected(self, ending: Ending, cause: str) -> None:
        self._counts.endings[ending].add()
        self._counts.connected.set(0)
        self._silent = False
        self._counts.silent.set(0)
        self.problem = f"not connected: {cause}"
        tell = log.info if ending is Ending.STOPPED else log.warning
        tell("disconnected", source=self.source.name, ending=ending.value, cause=cause)
