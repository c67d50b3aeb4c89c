"""The probe: a frame from raw to groups, on topics of its own, through a grouper of its own.

Nothing of it touches the topics that are examined. What it makes it deletes, however it ends.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isqrt
from typing import Final, cast

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message

from connector.records import RecordMaker
from consumer.group import Group
from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from grouper.service import GrouperService
from grouper.settings import GrouperSettings
from runtime.health import Heartbeat
from runtime.kafka import answered, as_trapline_error, explain, kafka_error, raw_producer
from runtime.settings import TraplineSettings
from runtime.shutdown import Shutdown
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from schemas.errors import TraplineError
from schemas.frame import Frame, FrameDecoder, encode_frame
from schemas.source import ServerSource
from schemas.timestamp import format_timestamp
from trapline.doctor.outcome import BROKERS_LOGS, Outcome, Problem, of_error, warning
from trapline.doctor.stream import SKEW_S
from trapline.doctor.subject import ASK_S, Subject
from trapline.tables import bytes_text

SIDE: Final = 1024
"""Pixels of the probe's image along each axis: 4 MiB, as AARTFAAC's."""

PATIENCE_S: Final = 60.0
"""How long the frame may take from raw to groups, the grouper's start included."""

_MEND: Final = "mend what this says; the brokers' logs, and `trapline doctor --log-level debug`, say more"
_SOURCE: Final = ServerSource("probe", "127.0.0.1", 1)  # nobody connects to it
_LOOK_S: Final = 2.0
_STOP_S: Final = 30.0
_HEADER_BYTES: Final = 16 * 1024  # more than the probe's frame has besides its pixels


class ProbeError(TraplineError):
    """The probe's frame did not come through; says how far it came."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """When the frame was put into raw: our clock before and after, the broker's in between."""

    before_us: int
    appended_us: int
    after_us: int
    digest: str


def probe(subject: Subject) -> Outcome:
    """Send a frame, group it, read it back, and compare."""
    settings = subject.settings
    prefix = f"{settings.topic_prefix}-probe-{uuid.uuid4().hex[:8]}"
    common = {name: getattr(settings, name) for name in TraplineSettings.model_fields}
    common |= {"topic_prefix": prefix, "sources": (_SOURCE,)}
    problems: list[Problem] = []
    summary = f"a frame on topics of its own, {prefix}"
    try:
        _make_topics(settings, common)
        made_s = time.monotonic()
        pixels = _pixels(settings.max_frame_bytes)
        with _grouping(common) as failed:
            sent = _send(TraplineSettings(**common), pixels)
            group = _receive(ConsumerSettings(**common), failed)
        through_s = time.monotonic() - made_s
        _compare(group, sent, pixels)
        problems += _clock_problems(sent)
        summary = _summary(sent, pixels.nbytes, through_s)
    except KafkaException as error:
        problems.append(of_error(as_trapline_error(error), BROKERS_LOGS))
    except TraplineError as error:
        problems.append(of_error(error, _MEND))
    finally:
        problems += _delete(subject, TraplineSettings(**common))
    return Outcome(summary, tuple(problems))


def _summary(sent: _Sent, size: int, through_s: float) -> str:
    acknowledged_ms = (sent.after_us - sent.before_us) / 1000
    return (
        f"a frame of {bytes_text(size)} went from raw to groups and came back the same, {through_s:.1f} s "
        "with "
        f"the start of a grouper; raw had it after {acknowledged_ms:.0f} ms, connecting included; the "
        "broker's "
        f"clock is {_skew_s(sent):+.3f} s from ours"
    )


def _make_topics(settings: TopicsSettings, common: dict[str, object]) -> None:
    given = {"replication_factor": settings.replication_factor, "partitions": 1, "grouper_group_id": None}
    try:
        create_topics(TopicsSettings(**{**common, **given}))  # type: ignore[arg-type]  # as they were checked
    except TraplineError as error:
        raise ProbeError(
            f"the probe's own topics can't be made: {error}; run it as a user who may create topics, or "
            "leave "
            "--probe out"
        ) from error


def _pixels(max_frame_bytes: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """An image, axes (NAXIS2, NAXIS1), float32: no two pixels alike, none of them NaN."""
    side = min(SIDE, isqrt(max(1, (max_frame_bytes - _HEADER_BYTES) // 4)))
    return np.arange(side * side, dtype=np.float32).reshape(side, side)


def _frame(pixels: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> bytes:
    """A frame as an image server sends it, of now."""
    now = format_timestamp(time.time_ns() // 1000).removesuffix("Z")
    rows, columns = pixels.shape
    cards = {
        "SIMPLE": "T", "BITPIX": "-32", "NAXIS": "2", "NAXIS1": str(columns), "NAXIS2": str(rows),
        "DATE-OBS": f"'{now}'", "TIMESYS": "'UTC     '", "RESTFRQ": "60000000.0",
        "OBJECT": "'trapline probe'",
    }  # fmt: skip
    text = "".join(f"{name:<8}= {value:>20}".ljust(80) for name, value in cards.items())
    return encode_frame(text.encode("ascii"), pixels.astype("<f4").tobytes())


@contextmanager
def _grouping(common: dict[str, object]) -> Iterator[Callable[[], BaseException | None]]:
    """A grouper on a thread; gives a function that says what ended it."""
    own = {"grouper_group_id": None, "group_instance_id": None, "expected": "sources"}
    service = GrouperService(GrouperSettings(**{**common, **own}), Heartbeat())  # type: ignore[arg-type]  # the same
    shutdown = Shutdown()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            service.run(shutdown)
        except Exception as error:  # noqa: BLE001  told by whoever waits for the group
            errors.append(error)

    thread = threading.Thread(target=run, name="probe's grouper", daemon=True)
    thread.start()
    try:
        yield lambda: errors[0] if errors else None
    finally:
        shutdown.request()
        thread.join(_STOP_S)


def _send(settings: TraplineSettings, pixels: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> _Sent:
    decoder = FrameDecoder()
    decoder.feed(_frame(pixels))
    frame = cast("Frame", decoder.next_event())
    before_us = time.time_ns() // 1000
    maker = RecordMaker(_SOURCE, settings.topics, max_future_s=PATIENCE_S)
    record = maker.frame(frame, before_us)
    reports: list[tuple[KafkaError | None, int, int]] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        reports.append((error, message.timestamp()[1] * 1000, time.time_ns() // 1000))

    producer = raw_producer(settings, queue_bytes=2 * settings.max_frame_bytes)
    producer.produce(
        record.topic,
        value=record.value,
        key=record.key,
        headers=record.headers.encode(),
        on_delivery=delivered,
    )
    producer.flush(PATIENCE_S)
    if not reports:
        producer.purge()
        raise ProbeError(f"Kafka did not acknowledge the probe's frame within {PATIENCE_S:g} s")
    error, appended_us, after_us = reports[0]
    if error is not None:
        raise ProbeError(f"Kafka did not take the probe's frame: {explain(error)}")
    digest = getattr(record.headers, "digest", None) or ""
    return _Sent(before_us, appended_us, after_us, digest)


def _receive(settings: ConsumerSettings, failed: Callable[[], BaseException | None]) -> Group:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        with GroupStream(settings, start="beginning", max_groups=1, idle_timeout_s=_LOOK_S) as stream:
            for group in stream:
                return group
        error = failed()
        if error is not None:
            raise ProbeError(f"the frame is in raw, and the grouper ended: {error}") from error
    raise ProbeError(
        f"the frame is in raw, and no group came within {PATIENCE_S:g} s: transactions do not work here; "
        "look at the brokers' logs and at the replication of __transaction_state"
    )


def _compare(group: Group, sent: _Sent, pixels: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
    (image,) = group.images
    if image.digest != sent.digest or not np.array_equal(image.array, pixels):
        raise ProbeError(f"the image that came back is another one: {image.digest}, sent was {sent.digest}")


def _skew_s(sent: _Sent) -> float:
    """How far the broker's clock is ahead of ours, at least; 0 where it lies between sending and hearing."""
    if sent.appended_us > sent.after_us:
        return (sent.appended_us - sent.after_us) / 1e6
    # Kafka's times are whole milliseconds, rounded down.
    return min(0.0, (sent.appended_us + 1000 - sent.before_us) / 1e6)


def _clock_problems(sent: _Sent) -> list[Problem]:
    skew_s = _skew_s(sent)
    if abs(skew_s) <= SKEW_S:
        return []
    word = "ahead of" if skew_s > 0 else "behind"
    return [
        warning(
            f"the broker's clock is at least {abs(skew_s):.1f} s {word} this machine's",
            "keep the clocks by NTP or PTP",
        )
    ]


def _delete(subject: Subject, settings: TraplineSettings) -> list[Problem]:
    """Remove what the probe has made; what can't be removed is named."""
    left: dict[str, str] = {}
    topics = subject.admin.delete_topics(
        list(settings.topics.all()), operation_timeout=_STOP_S, request_timeout=_STOP_S
    )
    groups = subject.admin.delete_consumer_groups([f"{settings.topic_prefix}.grouper"], request_timeout=ASK_S)
    for kind, answers in (("topic", topics), ("consumer group", groups)):
        for name, answer in answers.items():
            try:
                answered(answer, _STOP_S)
            except KafkaException as error:
                cause = kafka_error(error)
                if cause.code() not in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND):
                    left[f"{kind} {name}"] = str(as_trapline_error(error))
    return [
        warning(f"the probe's {what} could not be deleted: {why}", "delete it") for what, why in left.items()
    ]
