"""Records of the groups topic in memory, for what needs no Kafka."""

from collections.abc import Sequence

from consumer.assembly import ImageRecord
from consumer.group import Group, group_from
from schemas.fits_image import encode_image
from schemas.pixel_order import PixelOrder
from schemas.record_headers import ImageHeaders, group_id
from schemas.window import decode_window
from tests.support.published_groups import SOURCES, START_US, frame_of, frequency_hz

DIGEST = "xxh3-128:" + "0" * 32


def image_record(
    *,
    offset: int = 0,
    index: int = 0,
    size: int = 1,
    timestamp_us: int = START_US,
    revision: int = 1,
    source: str = "sb0",
    missing: tuple[str, ...] = (),
    partition: int = 0,
    value: bytes = b"",
) -> ImageRecord:
    """One record; what is not given is plausible."""
    headers = ImageHeaders(
        prefix="test",
        source=source,
        timestamp_us=timestamp_us,
        group_id=group_id(timestamp_us, revision, 0),
        index=index,
        size=size,
        expected=size + len(missing),
        complete=not missing,
        missing=missing,
        revision=revision,
        receive_time_us=timestamp_us + index,
        pixel_order=PixelOrder.FITS,
        digest=DIGEST,
        raw_offset=100 + offset,
        frequency_hz=frequency_hz(source),
    )
    return ImageRecord(partition, offset, headers, value)


def group(
    *,
    timestamp_us: int = START_US,
    sources: Sequence[str] = SOURCES,
    missing: tuple[str, ...] = (),
    partition: int = 0,
    first_offset: int = 0,
    revision: int = 1,
    shape: Sequence[int] | None = None,
) -> Group:
    """A whole group; with real FITS values where a shape is given."""
    return group_from(
        [
            image_record(
                offset=first_offset + index,
                index=index,
                size=len(sources),
                timestamp_us=timestamp_us,
                revision=revision,
                source=source,
                missing=missing,
                partition=partition,
                value=b""
                if shape is None
                else encode_image(decode_window(frame_of(timestamp_us, source, shape))),
            )
            for index, source in enumerate(sources)
        ]
    )
