"""Compares each group with what the image servers say they sent, to the byte and to the pixel.

The truth file has the digest of each frame as it was sent. Each frame in raw is digested anew here; each
image in groups has to have the pixels of that frame. So nothing that a process of the pipeline says of
its own work is believed.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from confluent_kafka import KafkaException, TopicPartition

from consumer.group import Group, Image
from consumer.settings import ConsumerSettings
from runtime.kafka import LogConsumer, log_consumer
from runtime.message_headers import message_headers
from schemas.digest import frame_digest
from schemas.record_headers import RawHeaders
from schemas.timestamp import format_timestamp
from schemas.topics import TopicNames
from schemas.window import Window, decode_window
from trapline.demo.processes import DemoError

_READ_S = 30.0
_TRUTH_S = 5.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class _Sent:
    """A frame as it stands in raw, digested here."""

    source: str
    digest: str
    window: Window


class Comparison:
    """Takes the groups in the order they come in, and says what is wrong with each."""

    def __init__(self, settings: ConsumerSettings, truth: Path) -> None:
        """Compare with a truth file that is still being written.

        Args:
            settings: where Kafka is; the topics have one partition.
            truth: JSON lines of the emulator.
        """
        self._truth_path = truth
        self._truth_read = 0
        self._truth: dict[tuple[str, str], str] = {}
        self._seen: set[str] = set()
        self._frames: dict[int, _Sent] = {}
        self._consumer: LogConsumer = log_consumer(settings, group_id=None)
        self._raw = TopicNames(settings.topic_prefix).raw
        self._consumer.assign([TopicPartition(self._raw, 0, 0)])

    def problems(self, group: Group) -> list[str]:
        """What is wrong with a group; nothing, as a rule.

        Raises:
            KafkaException: raw could not be read.
            DemoError: it was not read in time.
        """
        timestamp = format_timestamp(group.timestamp_us)
        if timestamp in self._seen:
            return ["this timestamp came twice"]
        self._seen.add(timestamp)
        self._wait_for_truth({(timestamp, image.source) for image in group.images})
        expected = {source for at, source in self._truth if at == timestamp}
        problems: list[str] = []
        if lacking := sorted(expected - set(group.sources)):
            problems.append(f"lacks {', '.join(lacking)}, which were sent")
        for image in group.images:
            problems += self._image_problems(timestamp, image)
        return problems

    def lost(self) -> list[str]:
        """The timestamps that were sent before the last group's and are in no group."""
        self._read_truth()
        if not self._seen:
            return []
        sent = sorted({timestamp for timestamp, _source in self._truth})
        return [
            timestamp for timestamp in sent if timestamp < max(self._seen) and timestamp not in self._seen
        ]

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def _image_problems(self, timestamp: str, image: Image) -> list[str]:
        sent = self._frame(image.raw_offset)
        true_digest = self._truth.get((timestamp, image.source))
        if true_digest is None:
            return [f"{image.source} is in the group and was not sent"]
        if sent.source != image.source or sent.digest != true_digest:
            return [f"the frame of {image.source} in raw is not what was sent"]
        if image.digest != true_digest:
            return [f"the digest of {image.source} is not that of the frame sent"]
        pixels = sent.window.pixels.reshape(sent.window.shape[-2:])
        if not np.array_equal(image.array, pixels, equal_nan=True):
            return [f"the pixels of {image.source} are not those sent"]
        return []

    def _frame(self, raw_offset: int) -> _Sent:
        while raw_offset not in self._frames:
            message = self._consumer.poll(_READ_S)
            if message is None:
                raise DemoError(
                    f"{self._raw} was not read to offset {raw_offset} within {_READ_S:.0f} s; broker.log in "
                    "the demo's folder says what Kafka does"
                )
            error = message.error()
            if error is not None:
                if error.retriable():
                    continue
                raise KafkaException(error)
            value, offset = message.value(), message.offset()
            if value is not None and offset is not None:
                headers = RawHeaders.decode(message_headers(message))
                window = decode_window(value, headers.pixel_order)
                self._frames[offset] = _Sent(headers.source, frame_digest(value), window)
        return self._frames.pop(raw_offset)

    def _wait_for_truth(self, images: set[tuple[str, str]]) -> None:
        """Read on until these are there: a frame's line is written once it is sent, and may come after it."""
        deadline_s = time.monotonic() + _TRUTH_S
        self._read_truth()
        while not images <= self._truth.keys() and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
            self._read_truth()

    def _read_truth(self) -> None:
        with self._truth_path.open() as file:
            file.seek(self._truth_read)
            for line in iter(file.readline, ""):
                if not line.endswith("\n"):
                    break  # still being written
                fields = json.loads(line)
                self._truth[fields["timestamp"], fields["source"]] = fields["digest"]
                self._truth_read = file.tell()
