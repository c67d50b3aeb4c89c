"""Days of history on a broker: every group in the catalogue, and the images of some in its middle.

The catalogue is what a search goes through, so it is whole: an entry a group as the grouper writes it, with
all its members. Images are there for `IMAGES_OF` groups; the records of the others, which nobody reads here,
are empty ones in their places, so that every entry's offsets hold. `READ_OF` of the groups with images are
read; behind them lie more than a reader fetches ahead, since it bounds bytes and would hold millions of empty
records. The last seventh of the history is a second run over the time of the seventh before it, half a second
off: times go back in the log there.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.lane import Lane
from runtime.kafka import LogProducer, raw_producer
from schemas.catalogue import CatalogueEntry, ClosedBy, Member, record_time_ms
from schemas.digest import frame_digest
from schemas.fits_image import encode_image
from schemas.frame import encode_frame
from schemas.pixel_order import PixelOrder
from schemas.record_headers import CatalogueHeaders, ImageHeaders, group_id
from schemas.timestamp import format_timestamp, timestamp_key
from schemas.window import decode_window

SOURCES = tuple(f"sb{number}" for number in range(8))
IMAGES_OF = 600
READ_OF = 200
START_US = 1_794_787_200_000_000  # 2026-11-16T00:00:00Z
_SECOND_US = 1_000_000
_RUNS_BACK = 7
_SIDE = 128
_QUEUE_BYTES = 256 * 1024**2
_ROOM_S = 0.01


@dataclass(frozen=True, slots=True)
class LongHistory:
    """What lies there.

    Attributes:
        groups: how many.
    """

    groups: int

    @property
    def first_with_images(self) -> int:
        """The number of the first group whose images are there: they lie in the middle."""
        return (self.groups - IMAGES_OF) // 2

    def timestamp_us(self, number: int) -> int:
        """Observation time of a group, by its number from 0."""
        back = self.groups // _RUNS_BACK
        if number < self.groups - back:
            return START_US + number * _SECOND_US
        return START_US + (number - back) * _SECOND_US + _SECOND_US // 2

    def write(self, lane: Lane) -> None:
        """Write all of it into the topics of a lane."""
        producer = raw_producer(lane.settings, queue_bytes=_QUEUE_BYTES)
        for number in range(self.groups):
            self._write_group(producer, lane, number)
        producer.flush()
        if lane.end(lane.names.catalogue) != self.groups:
            raise AssertionError("the catalogue does not hold what was written")

    def _write_group(self, producer: LogProducer, lane: Lane, number: int) -> None:
        timestamp_us = self.timestamp_us(number)
        key, first_raw = timestamp_key(timestamp_us), number * len(SOURCES)
        name, prefix = group_id(timestamp_us, 1, first_raw), lane.settings.topic_prefix
        whole = 0 <= number - self.first_with_images < IMAGES_OF
        members = []
        for index, source in enumerate(SOURCES):
            frame = _frame(timestamp_us, index) if whole else b""
            member = Member(source, first_raw + index, frame_digest(frame), 6e7 + 5e5 * index, timestamp_us)
            members.append(member)
            value, headers = b"", []
            if whole:
                value = encode_image(decode_window(frame))
                headers = ImageHeaders(
                    prefix=prefix,
                    source=source,
                    timestamp_us=timestamp_us,
                    group_id=name,
                    index=index,
                    size=len(SOURCES),
                    expected=len(SOURCES),
                    complete=True,
                    missing=(),
                    revision=1,
                    receive_time_us=timestamp_us,
                    pixel_order=PixelOrder.FITS,
                    digest=member.digest,
                    raw_offset=member.raw_offset,
                    frequency_hz=member.frequency_hz,
                ).encode()
            _produce(producer, lane.names.groups, value, key=key, headers=headers)
        entry = CatalogueEntry(
            timestamp_us=timestamp_us,
            revision=1,
            group_id=name,
            complete=True,
            closed_by=ClosedBy.COMPLETE,
            expected=SOURCES,
            present=SOURCES,
            missing=(),
            members=tuple(members),
            first_offset=first_raw,
            last_offset=first_raw + len(SOURCES) - 1,
            committed_offset=first_raw + len(SOURCES),
            read_to=first_raw + len(SOURCES),
            catalogue_from=0,
        )
        _produce(
            producer,
            lane.names.catalogue,
            entry.to_json(),
            key=key,
            headers=CatalogueHeaders(prefix=prefix, timestamp_us=timestamp_us, group_id=name).encode(),
            timestamp=record_time_ms(timestamp_us),
        )


def _frame(timestamp_us: int, number: int) -> bytes:
    values = {
        "NAXIS": "2",
        "NAXIS1": str(_SIDE),
        "NAXIS2": str(_SIDE),
        "DATE-OBS": f"'{format_timestamp(timestamp_us).removesuffix('Z')}'",
        "RESTFREQ": str(6e7 + 5e5 * number),
    }
    cards = "".join(
        f"{name:<8}= {value if value.startswith(chr(39)) else value.rjust(20)}".ljust(80)
        for name, value in values.items()
    )
    return encode_frame(cards.encode(), np.full((_SIDE, _SIDE), number, np.float32).tobytes())


def _produce(producer: LogProducer, topic: str, value: bytes, **record: object) -> None:
    while True:
        try:
            producer.produce(topic, value, partition=0, **record)
        except BufferError:
            producer.poll(_ROOM_S)
        else:
            return
