"""Raw records as the connector writes them, over all partitions: so many groups, or until told to stop."""

import threading
import time
from types import TracebackType
from typing import Final, Self

from benchmarks.plan import SOURCES
from emulator.camera import ImageSize
from emulator.images import SkyImages
from emulator.pacing import Pace
from runtime.kafka import raw_producer
from runtime.settings import TraplineSettings
from schemas.digest import frame_digest
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders
from schemas.timestamp import timestamp_key

START_US: Final = 1_795_428_000_000_000  # 2026-11-23T10:00:00Z
_CADENCE_US: Final = 1_000_000
_QUEUE_BYTES: Final = 128 * 1024**2
_ROOM_S: Final = 0.005


class RawLoad:
    """Whole groups into raw, each key in its own partition, on a thread; ends with its context.

    The frames of a few timestamps are made beforehand and only given their own DATE-OBS.
    """

    def __init__(
        self,
        settings: TraplineSettings,
        size: int,
        *,
        groups: int | None = None,
        rate_hz: float | None = None,
    ) -> None:
        """Make the images.

        Args:
            settings: whose raw topic.
            size: pixels a side.
            groups: how many; None: until the context ends.
            rate_hz: groups a second; None: as fast as they go.
        """
        self.sent = 0
        self.error: Exception | None = None
        self._settings = settings
        self._groups = groups
        self._rate_hz = rate_hz
        self._images = SkyImages(1, ImageSize(size, size), SOURCES, 2, PixelOrder.FITS)
        self._images.prepare(Pace(None, START_US, _CADENCE_US).begin(START_US, 0.0))
        self._producer = raw_producer(settings, queue_bytes=_QUEUE_BYTES)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def finish(self) -> None:
        """Stop where there is no end by itself, and wait until all is in raw."""
        if self._groups is None:
            self._stop.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self._send_all()
        except Exception as error:  # noqa: BLE001  raised in the caller's thread
            self.error = error

    def _send_all(self) -> None:
        began_s = time.monotonic()
        while not self._stop.is_set() and self.sent != self._groups:
            self._send(START_US + self.sent * _CADENCE_US, self.sent)
            self.sent += 1
            if self._rate_hz is not None:
                self._stop.wait(max(0.0, began_s + self.sent / self._rate_hz - time.monotonic()))
        self._producer.flush()

    def _send(self, timestamp_us: int, step: int) -> None:
        for number, exposure in enumerate(self._images.take(step)):
            if exposure is None:
                continue
            source = f"sb{number}"
            outgoing = exposure.frame(source, timestamp_us)
            frame = b"".join((outgoing.header, outgoing.text, outgoing.pixels))
            now_us = time.time_ns() // 1000
            headers = RawHeaders(
                self._settings.topic_prefix,
                source,
                timestamp_us,
                frame_digest(frame),
                now_us,
                PixelOrder.FITS,
            )
            self._produce(frame, timestamp_key(timestamp_us), headers)

    def _produce(self, frame: bytes, key: bytes, headers: RawHeaders) -> None:
        while True:
            try:
                self._producer.produce(self._settings.topics.raw, frame, key, headers=[*headers.encode()])
            except BufferError:
                self._producer.poll(_ROOM_S)
            else:
                self._producer.poll(0)
                return
