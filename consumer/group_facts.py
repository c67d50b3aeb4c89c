"""One timestamp looked at closely: its revisions, and each image with its place, headers and pixels."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, cast

import numpy as np
from confluent_kafka import KafkaException, Message
from numpy.typing import NDArray

from consumer.errors import BrokerUnreachableError
from consumer.group_range import GroupRange
from consumer.history import History, readable_entry
from consumer.kafka_errors import stream_error
from consumer.settings import ConsumerSettings
from runtime.kafka import explain, kafka_error
from runtime.message_headers import message_headers
from runtime.peek import Peek, append_time_us
from schemas.catalogue import CatalogueEntry
from schemas.errors import SchemaError
from schemas.fits_image import decode_image
from schemas.record_headers import ImageHeaders

NEAREST: Final = 5
"""Timestamps that are named where one is not there."""

_CARD: Final = 80


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """What the pixels of an image are.

    Attributes:
        shape: axes (..., NAXIS2, NAXIS1).
        nan: how many are no number.
        minimum: of the others; None: there are no others.
        maximum: the same.
        mean: the same, computed in float64.
    """

    shape: tuple[int, ...]
    nan: int
    minimum: float | None
    maximum: float | None
    mean: float | None

    @classmethod
    def of(cls, pixels: NDArray[np.float32]) -> Self:
        """Look at an array, axes (..., NAXIS2, NAXIS1), float32."""
        numbers = pixels[~np.isnan(pixels)]
        nan = pixels.size - numbers.size
        if not numbers.size:
            return cls(pixels.shape, nan, None, None, None)
        with np.errstate(invalid="ignore"):  # of both infinities the mean is none
            mean = float(numbers.mean(dtype=np.float64))
        return cls(pixels.shape, nan, float(numbers.min()), float(numbers.max()), mean)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One image as it lies in Kafka.

    Attributes:
        source: whose.
        offset: in the partition of the groups topic that its revision lies in.
        appended_us: when the broker appended it, microseconds since 1970 UTC.
        size_bytes: of its FITS file.
        headers: of the record, all of them, as they are.
        cards: of the FITS header, without END.
        pixels: what they are; None where the file can't be read.
        problem: why not; empty where it can.
    """

    source: str
    offset: int
    appended_us: int
    size_bytes: int
    headers: tuple[tuple[str, str], ...]
    cards: tuple[str, ...]
    pixels: PixelFacts | None
    problem: str


@dataclass(frozen=True, slots=True)
class Revision:
    """One publication of a timestamp.

    Attributes:
        partition: of catalogue, groups and raw.
        catalogue_offset: of its entry.
        entry: what that says.
        images: those that are left, in the order of the group; none where retention has deleted them.
    """

    partition: int
    catalogue_offset: int
    entry: CatalogueEntry
    images: tuple[ImageFacts, ...]


class CloseLook:
    """Looks at timestamps one by one.

    Its methods raise BrokerUnreachableError or AccessError where Kafka goes away, or refuses.
    """

    def __init__(self, settings: ConsumerSettings) -> None:
        """Connect.

        Raises:
            BrokerUnreachableError, AuthenticationError, AccessError, TopicMissingError: as `History`.
        """
        self._topic = settings.topics.groups
        self._history = History(settings)
        self._peek = Peek(settings, settings.broker_wait_s)

    def revisions(self, timestamp_us: int) -> Iterator[Revision]:
        """All publications of a timestamp, in the order of the log, one with its images at a time.

        Each comes as soon as it is found; to be sure that there is no further one, the keys of all later
        entries are read after it.
        """
        for record in self._history.find(GroupRange(from_us=timestamp_us, to_us=timestamp_us + 1)):
            entry = readable_entry(record)
            if entry is not None:
                images = tuple(self._images(record.partition, entry))
                yield Revision(record.partition, record.offset, entry, images)

    def nearest(self, timestamp_us: int) -> tuple[int, ...]:
        """The timestamps next to one that is not there, ascending; looks at every key of the catalogue."""
        near: list[int] = []
        for record in self._history.find(GroupRange()):
            time_us = record.timestamp_us
            if time_us in near:
                continue
            if len(near) < NEAREST or abs(time_us - timestamp_us) < abs(near[-1] - timestamp_us):
                near.append(time_us)
                near.sort(key=lambda each: abs(each - timestamp_us))
                del near[NEAREST:]
        return tuple(sorted(near))

    def close(self) -> None:
        """Let go of Kafka."""
        self._peek.close()
        self._history.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _images(self, partition: int, entry: CatalogueEntry) -> Iterator[ImageFacts]:
        start, end = entry.first_offset, entry.last_offset + 1
        try:
            low, _ = self._peek.bounds(self._topic, partition)
            if low >= end:
                return
            with closing(self._peek.span(self._topic, partition, max(start, low), end)) as messages:
                for message in messages:
                    facts = image_facts(message, entry.group_id)
                    if facts is not None:
                        yield facts
        except KafkaException as error:
            cause = kafka_error(error)
            raise stream_error(cause, self._topic) or BrokerUnreachableError(explain(cause)) from error


def image_facts(message: Message, group_id: str) -> ImageFacts | None:
    """What a record of the groups topic holds; None: it is no image of this group."""
    try:
        pairs = message_headers(message) or ()
        headers = ImageHeaders.decode(pairs)
    except SchemaError:
        return None
    if headers.group_id != group_id:
        return None
    value = message.value() or b""
    cards: tuple[str, ...] = ()
    pixels, problem = None, ""
    try:
        text, array = decode_image(value)
    except SchemaError as error:
        problem = str(error)
    else:
        whole = text.decode("ascii", "replace")
        every = (whole[at : at + _CARD].rstrip() for at in range(0, len(whole), _CARD))
        cards = tuple(card for card in every if card and card != "END")
        pixels = PixelFacts.of(array)
    return ImageFacts(
        source=headers.source,
        offset=cast("int", message.offset()),
        appended_us=append_time_us(message),
        size_bytes=len(value),
        headers=tuple((name, _text(each)) for name, each in pairs),
        cards=cards,
        pixels=pixels,
        problem=problem,
    )


def _text(value: Any) -> str:
    return (value or b"").decode("utf-8", "replace")
