"""Raw records without a connector: windows put into raw as schemas describes them, in any order."""

import time
from dataclasses import dataclass, field
from typing import Self

from confluent_kafka import Producer

from runtime.kafka import raw_producer
from runtime.settings import TraplineSettings, load_settings
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from schemas.digest import frame_digest
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders
from schemas.timestamp import timestamp_key
from schemas.topics import TopicNames
from tests.support.frames import make_frame
from tests.support.waiting import timeout_s

START_US = 1_795_428_000_000_000  # 2026-11-23T10:00:00Z
SECOND_US = 1_000_000


def at(second: int) -> int:
    """The timestamp of a test's second, microseconds since 1970."""
    return START_US + second * SECOND_US


@dataclass
class RawTopic:
    """The topics of one prefix, and windows for raw.

    `sent` remembers every digest by timestamp and source, as the emulator's truth file does.
    """

    bootstrap_servers: str
    prefix: str
    sources: tuple[str, ...] = ("sb0", "sb1", "sb2")
    partitions: int = 1
    sent: dict[tuple[int, str], str] = field(default_factory=dict)
    _producer: Producer | None = None

    def create(self) -> Self:
        settings = load_settings(
            TopicsSettings,
            overrides={
                "bootstrap_servers": self.bootstrap_servers,
                "topic_prefix": self.prefix,
                "partitions": self.partitions,
            },
            known=[],
        )
        create_topics(settings)
        kafka = load_settings(
            TraplineSettings, overrides={"bootstrap_servers": self.bootstrap_servers}, known=[]
        )
        self._producer = raw_producer(kafka, queue_bytes=256 * 1024**2)
        return self

    @property
    def names(self) -> TopicNames:
        return TopicNames(self.prefix)

    def frame(self, timestamp_us: int, source: str, seed: int = 0, shape=(6, 8)) -> bytes:
        number = self.sources.index(source) if source in self.sources else 99
        return make_frame(
            timestamp_us, shape=shape, frequency_hz=6.0e7 + 5e5 * number, seed=seed * 1000 + number
        )

    def send(
        self, timestamp_us: int, *sources: str, seed: int = 0, shape=(6, 8), remember: bool = True
    ) -> None:
        """Send one window a source (all of them, if none is named) and wait until the broker has them."""
        for source in sources or self.sources:
            frame = self.frame(timestamp_us, source, seed, shape)
            digest = frame_digest(frame)
            if remember:
                self.sent.setdefault((timestamp_us, source), digest)
            headers = RawHeaders(
                self.prefix, source, timestamp_us, digest, time.time_ns() // 1000, PixelOrder.FITS
            )
            self.put(timestamp_key(timestamp_us), frame, headers.encode())
        self.flush()

    def put(self, key, value, headers) -> None:
        """Put any record into raw."""
        while True:
            try:
                self._producer.produce(self.names.raw, value=value, key=key, headers=headers)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def flush(self) -> None:
        assert self._producer.flush(timeout_s(30)) == 0

    def close(self) -> None:
        """Let go of the broker."""
        self._producer = None
