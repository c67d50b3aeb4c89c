"""Raw records as the connector writes them, so that the grouper and the consumer are measured alone."""

from benchmarks.lane import Lane
from benchmarks.plan import SOURCES
from benchmarks.producing import produce
from emulator.camera import ImageSize
from emulator.images import SkyImages
from emulator.pacing import Pace
from runtime.kafka import raw_producer
from schemas.digest import frame_digest
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders
from schemas.timestamp import timestamp_key

_QUEUE_BYTES = 128 * 1024**2
_CADENCE_US = 1_000_000
_START_US = 1_795_428_000_000_000  # 2026-11-23T10:00:00Z
_RING = 2


def fill_raw(lane: Lane, size: int, groups: int) -> None:
    """Write so many whole groups to raw, all sources of a timestamp before the next.

    Args:
        lane: whose raw topic.
        size: pixels a side.
        groups: of `SOURCES` frames each.
    """
    images = SkyImages(1, ImageSize(size, size), SOURCES, _RING, PixelOrder.FITS)
    images.prepare(Pace(None, _START_US, _CADENCE_US).begin(_START_US, 0.0))
    prefix, topic = lane.settings.topic_prefix, lane.names.raw
    producer = raw_producer(lane.settings, queue_bytes=_QUEUE_BYTES)
    for step in range(groups):
        timestamp_us = _START_US + step * _CADENCE_US
        for number, exposure in enumerate(images.take(step)):
            if exposure is None:
                continue
            source = f"sb{number}"
            outgoing = exposure.frame(source, timestamp_us)
            frame = b"".join((outgoing.header, outgoing.text, outgoing.pixels))
            headers = RawHeaders(
                prefix, source, timestamp_us, frame_digest(frame), timestamp_us, PixelOrder.FITS
            )
            produce(producer, topic, frame, timestamp_key(timestamp_us), headers.encode())
    producer.flush()
    if lane.end(topic) != groups * SOURCES:
        raise AssertionError("raw does not hold what was written")
