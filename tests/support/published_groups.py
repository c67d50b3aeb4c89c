"""Groups in Kafka without a grouper: what a consumer may meet, written with schemas alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message
from numpy.typing import NDArray

from runtime.kafka import LogProducer, transactional_producer
from runtime.settings import TraplineSettings
from schemas.catalogue import CatalogueEntry, ClosedBy, Member
from schemas.digest import frame_digest
from schemas.fits_image import encode_image
from schemas.frame import encode_frame
from schemas.pixel_order import PixelOrder
from schemas.record_headers import CatalogueHeaders, ImageHeaders, group_id
from schemas.timestamp import format_timestamp, timestamp_key
from schemas.window import decode_window
from tests.support.waiting import timeout_s

START_US = 1_795_428_000_000_000  # 2026-11-23T10:00:00Z
SECOND_US = 1_000_000
SOURCES = ("sb0", "sb1", "sb2")
SHAPE = (6, 8)  # NAXIS2, NAXIS1: oblong, so that swapped axes show


def frequency_hz(source: str) -> float:
    """The later source has the lower frequency: order by name is not order by frequency."""
    return 60.0e6 - 0.5e6 * int(source.removeprefix("sb"))


def pixels_of(timestamp_us: int, source: str, shape: Sequence[int] = SHAPE) -> NDArray[np.float32]:
    """The pixels of one image: other ones for each timestamp and source."""
    seed = np.random.default_rng([timestamp_us, int(source.removeprefix("sb"))])
    return seed.standard_normal(tuple(shape), dtype=np.float32)


def frame_of(timestamp_us: int, source: str, shape: Sequence[int] = SHAPE) -> bytes:
    """The frame of one image as an image server sends it."""
    values = {
        "SIMPLE": "T",
        "BITPIX": "-32",
        "NAXIS": str(len(shape)),
        **{f"NAXIS{n}": str(length) for n, length in enumerate(reversed(shape), start=1)},
        "DATE-OBS": f"'{format_timestamp(timestamp_us).removesuffix('Z')}'",
        "TIMESYS": "'UTC'",
        "RESTFREQ": f"'{frequency_hz(source)}'",
        "CTYPE1": "'RA---SIN'",
        "CTYPE2": "'DEC--SIN'",
        "CRVAL1": "90.0",
        "CRVAL2": "52.9",
        "CRPIX1": "4.0",
        "CRPIX2": "3.0",
        "CDELT1": "-0.1",
        "CDELT2": "0.1",
        "CUNIT1": "'deg'",
        "CUNIT2": "'deg'",
        "BMAJ": "1.0",
        "BMIN": "0.5",
        "BPA": "0.0",
        "TELESCOP": "'AARTFAAC'",
    }
    cards = b"".join(
        f"{name:<8}= {value if value.startswith(chr(39)) else value.rjust(20)}".ljust(80).encode()
        for name, value in values.items()
    )
    return encode_frame(cards, pixels_of(timestamp_us, source, shape).tobytes())


@dataclass(frozen=True, slots=True)
class Published:
    """A group as it lies in Kafka."""

    entry: CatalogueEntry
    partition: int


@dataclass(frozen=True, slots=True)
class _Group:
    timestamp_us: int
    partition: int
    sources: tuple[str, ...]
    expected: tuple[str, ...]
    revision: int
    leave_out: tuple[int, ...]
    shape: tuple[int, ...]
    receive_time_us: int
    values: Sequence[bytes] | None


@dataclass(slots=True)
class GroupPublisher:
    """Writes groups and catalogue entries in transactions, one group each."""

    settings: TraplineSettings
    name: str = "publisher"
    raw_offset: int = 0
    _producer: LogProducer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._producer = transactional_producer(
            self.settings, f"{self.settings.topic_prefix}-test-{self.name}"
        )
        self._producer.init_transactions(timeout_s(30))

    def publish(
        self,
        timestamp_us: int,
        *,
        partition: int = 0,
        sources: Sequence[str] = SOURCES,
        expected: Sequence[str] = SOURCES,
        revision: int = 1,
        leave_out: Sequence[int] = (),
        shape: Sequence[int] = SHAPE,
        receive_time_us: int | None = None,
        values: Sequence[bytes] | None = None,
        abort: bool = False,
        catalogue: bool = True,
    ) -> Published:
        """Publish one group.

        Args:
            timestamp_us: of the group.
            partition: where.
            sources: who is there.
            expected: who should be there.
            revision: from 1.
            leave_out: indices of records that are not written: a group cut in its middle.
            shape: of each image.
            receive_time_us: of each image; default: its timestamp.
            values: other values than the images' FITS files.
            abort: abort the transaction instead of committing it.
            catalogue: whether there is an entry.
        """
        self._producer.begin_transaction()
        published = self._write(
            _Group(
                timestamp_us,
                partition,
                tuple(sources),
                tuple(expected),
                revision,
                tuple(leave_out),
                tuple(shape),
                receive_time_us if receive_time_us is not None else timestamp_us,
                values,
            ),
            catalogue=catalogue,
        )
        self._flush()
        if abort:
            self._producer.abort_transaction(timeout_s(30))
        else:
            self._producer.commit_transaction(timeout_s(30))
        return published

    def open(self, timestamp_us: int, *, partition: int = 0) -> Callable[[], None]:
        """Write a complete group and leave its transaction open; return what commits it."""
        self._producer.begin_transaction()
        wanted = _Group(timestamp_us, partition, SOURCES, SOURCES, 1, (), SHAPE, timestamp_us, None)
        self._write(wanted, catalogue=True)
        self._flush()
        return lambda: self._producer.commit_transaction(timeout_s(30))

    def run(self, count: int, *, first_us: int = START_US, partition: int = 0) -> list[Published]:
        """Publish `count` complete groups, one a second of observation time."""
        return [self.publish(first_us + n * SECOND_US, partition=partition) for n in range(count)]

    def foreign(self, partition: int = 0, value: bytes | None = b"not an image") -> None:
        """Write a record to groups that is none of ours."""
        self._producer.begin_transaction()
        self._producer.produce(self.settings.topics.groups, value, key=b"?", partition=partition)
        self._flush()
        self._producer.commit_transaction(timeout_s(30))

    def _write(self, wanted: "_Group", *, catalogue: bool) -> Published:
        prefix = self.settings.topic_prefix
        missing = tuple(source for source in wanted.expected if source not in wanted.sources)
        group = group_id(wanted.timestamp_us, wanted.revision, self.raw_offset)
        members = []
        offsets: list[int] = []
        for index, source in enumerate(wanted.sources):
            frame = frame_of(wanted.timestamp_us, source, wanted.shape)
            window = decode_window(frame)
            member = Member(
                source, self.raw_offset, frame_digest(frame), window.frequency_hz, wanted.receive_time_us
            )
            self.raw_offset += 1
            members.append(member)
            if index in wanted.leave_out:
                continue
            headers = ImageHeaders(
                prefix=prefix,
                source=source,
                timestamp_us=wanted.timestamp_us,
                group_id=group,
                index=index,
                size=len(wanted.sources),
                expected=len(wanted.expected),
                complete=not missing,
                missing=missing,
                revision=wanted.revision,
                receive_time_us=wanted.receive_time_us,
                pixel_order=PixelOrder.FITS,
                digest=member.digest,
                raw_offset=member.raw_offset,
                frequency_hz=member.frequency_hz,
            )
            self._producer.produce(
                self.settings.topics.groups,
                encode_image(window) if wanted.values is None else wanted.values[index],
                key=timestamp_key(wanted.timestamp_us),
                partition=wanted.partition,
                headers=headers.encode(),
                on_delivery=lambda error, message: _delivered(error, message, offsets),
            )
        self._flush()
        entry = CatalogueEntry(
            timestamp_us=wanted.timestamp_us,
            revision=wanted.revision,
            group_id=group,
            complete=not missing,
            closed_by=ClosedBy.GRACE if missing else ClosedBy.COMPLETE,
            expected=wanted.expected,
            present=wanted.sources,
            missing=missing,
            members=tuple(members),
            first_offset=min(offsets),
            last_offset=max(offsets),
            committed_offset=self.raw_offset,
            read_to=self.raw_offset,
            catalogue_from=0,
        )
        if catalogue:
            self._producer.produce(
                self.settings.topics.catalogue,
                entry.to_json(),
                key=timestamp_key(wanted.timestamp_us),
                partition=wanted.partition,
                timestamp=wanted.timestamp_us // 1000,
                headers=CatalogueHeaders(
                    prefix=prefix, timestamp_us=wanted.timestamp_us, group_id=group
                ).encode(),
            )
        return Published(entry, wanted.partition)

    def _flush(self) -> None:
        left = self._producer.flush(timeout_s(30))
        if left:
            raise AssertionError(f"{left} records were not delivered")


def _delivered(error: KafkaError | None, message: Message, offsets: list[int]) -> None:
    if error is not None:
        raise KafkaException(error)
    offsets.append(message.offset())
