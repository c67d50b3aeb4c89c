"""Verbatim frames out of the raw topic, one partition, by the offsets that catalogue entries name.

Frames of neighbouring groups lie among each other, so reading goes on in the order of the log, and what is
passed on the way to a frame is kept for a while: it is of the next group, or of one that was late.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, cast

from confluent_kafka import Message

from consumer.record_reader import RecordReader
from consumer.settings import ConsumerSettings
from runtime.logs import get_logger
from runtime.message_headers import message_headers
from schemas.catalogue import Member
from schemas.digest import frame_digest
from schemas.errors import SchemaError
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders

KEPT_BYTES: Final = 32 * 1024 * 1024  # passed on the way, of all partitions together

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class RawFrame:
    """A frame as it came from the telescope.

    Attributes:
        data: verbatim; its digest is that of the catalogue.
        pixel_order: as its source's URL said.
    """

    data: bytes
    pixel_order: PixelOrder


class RawFrames:
    """Reads frames of one raw partition. Memory: what is fetched ahead, and `KEPT_BYTES`."""

    def __init__(self, settings: ConsumerSettings, partition: int, *, share: int = 1) -> None:
        """Connect.

        Args:
            settings: where Kafka is.
            partition: of raw; that of the groups in the groups topic.
            share: how many partitions are read.

        Raises:
            KafkaException: Kafka does not answer.
        """
        self._records = RecordReader(settings, settings.topics.raw, partition, share=share)
        self._kept: OrderedDict[int, Message] = OrderedDict()
        self._kept_bytes = 0
        self._max_kept_bytes = KEPT_BYTES // share

    def close(self) -> None:
        """Let go of Kafka."""
        self._records.close()

    def frame(self, member: Member) -> RawFrame | None:
        """The frame of a group's member; None where raw does not have it (any more).

        Raises:
            StreamError: Kafka was away for longer than `broker_wait_s`, or refuses to be read.
            KafkaException: Kafka does not answer.
        """
        message = self._forget(member.raw_offset) or self._read_to(member.raw_offset)
        return None if message is None else _verified(message, member)

    def _read_to(self, offset: int) -> Message | None:
        records = self._records
        if offset >= records.end:
            records.ask_bounds()
        if not records.low <= offset < records.end:
            return None
        if not records.is_near(offset):
            records.begin_at(offset)
        while True:
            message = records.take()
            if message is None:  # retention was faster
                if offset < records.low:
                    return None
                records.begin_at(offset)
                continue
            at = cast("int", message.offset())
            if at == offset:
                return message
            self._keep(at, message)
            if at > offset:
                return None

    def _keep(self, offset: int, message: Message) -> None:
        self._forget(offset)
        self._kept[offset] = message
        self._kept_bytes += len(message)
        while self._kept_bytes > self._max_kept_bytes:
            self._forget(next(iter(self._kept)))

    def _forget(self, offset: int) -> Message | None:
        message = self._kept.pop(offset, None)
        if message is not None:
            self._kept_bytes -= len(message)
        return message


def _verified(message: Message, member: Member) -> RawFrame | None:
    """The frame, if it is the one that was grouped."""
    data = message.value() or b""
    try:
        headers = RawHeaders.decode(message_headers(message))
    except SchemaError as error:
        log.warning("raw record is no frame any more", offset=message.offset(), error=str(error))
        return None
    if headers.source == member.source and member.digest == frame_digest(data):
        return RawFrame(data, headers.pixel_order)
    log.warning(
        "raw record is another frame than was grouped: was raw made anew?",
        offset=message.offset(),
        source=member.source,
        found=headers.source,
        digest=member.digest,
    )
    return None
