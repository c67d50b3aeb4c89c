"""A client of one image server: reads frames in a thread until the end of the stream."""

import socket
import threading
from types import TracebackType
from typing import Self

from schemas.frame import Frame, FrameDecoder, Skipped
from tests.support.waiting import timeout_s, wait_until


class FrameReader:
    """Reads everything a server sends; the events in order.

    Attributes:
        events: frames and skipped bytes so far.
        bytes_read: so many came, of frames that are not whole, too.
        ended: the stream has ended or broken.
        error: what broke it, if anything did.
    """

    def __init__(self, host: str, port: int) -> None:
        self.events: list[Frame | Skipped] = []
        self.bytes_read = 0
        self.ended = threading.Event()
        self.error: OSError | None = None
        self._socket = socket.create_connection((host, port), timeout=timeout_s(60))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def frames(self) -> list[bytes]:
        """The frames so far, verbatim."""
        return [event.data for event in list(self.events) if isinstance(event, Frame)]

    @property
    def skipped(self) -> list[Skipped]:
        """The bytes so far that were no frame."""
        return [event for event in list(self.events) if isinstance(event, Skipped)]

    def wait_for(self, frames: int) -> list[bytes]:
        """The frames, once there are so many."""
        wait_until(lambda: len(self.frames) >= frames or self.ended.is_set(), f"{frames} frames")
        if len(self.frames) < frames:
            raise AssertionError(
                f"the stream ended after {len(self.frames)} of {frames} frames: {self.error}"
            )
        return self.frames

    def wait_for_end(self) -> list[bytes]:
        """The frames, once the stream has ended."""
        wait_until(self.ended.is_set, "the end of the stream", 60)
        return self.frames

    def close(self) -> None:
        """Hang up."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # gone already
            self.ended.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        decoder = FrameDecoder()
        try:
            while count := self._socket.recv_into(decoder.get_buffer()):
                self.bytes_read += count
                decoder.received(count)
                while event := decoder.next_event():
                    self.events.append(event)
            event = decoder.close()
            while event:
                self.events.append(event)
                event = decoder.next_event()
        except OSError as error:
            self.error = error
        finally:
            self._socket.close()
            self.ended.set()
