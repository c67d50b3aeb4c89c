"""Checks of what flows: clocks, sources that disagree about the time, positions that are in danger."""

import time
from contextlib import closing
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import KafkaException

from runtime.kafka import explain, kafka_error
from runtime.kafka_rights import DENIED
from runtime.message_headers import message_headers
from runtime.peek import Peek, append_time_us
from schemas.errors import SchemaError
from schemas.record_headers import RawHeaders
from trapline.doctor.near_misses import disagreements
from trapline.doctor.outcome import Outcome, Problem, Verdict, failure, not_done, of_error, warning
from trapline.doctor.subject import Subject
from trapline.status.consumer_groups import Committed, ConsumerGroup
from trapline.status.lag import Lag, LagMeter
from trapline.status.retention import Retention
from trapline.status.tails import open_catalogue
from trapline.tables import duration_text

SKEW_S: Final = 1.0
"""Clocks that differ by more are told of; the connector's max_future_s and retention bear much more."""

BACKLOG_S: Final = 60.0
"""A frame that took longer from the connector to Kafka waited for something, or a clock is behind."""

SOON_S: Final = 86_400.0
"""What is lost within a day is told of."""

_DEFAULT_OFFSETS_S: Final = 7 * 86_400.0  # Kafka's own offsets.retention.minutes
_SEE_GROUP: Final = (
    "let this user see it (DESCRIBE on the consumer group), or look into the log of the broker that keeps it"
)
_LOOK_BACK: Final = 4  # records before a position, to learn when it was reached


def clocks(subject: Subject) -> Outcome:
    """The broker's clock against the connector's and ours, by the newest frame of each partition of raw.

    Kafka tells no time by itself; without frames the probe measures it.
    """
    topic = subject.settings.topics.raw
    told, problems = [], []
    with closing(Peek(subject.settings)) as peek:
        for partition in range(subject.partitions.get(topic, 0)):
            begin, end = peek.bounds(topic, partition)
            if begin == end:
                continue
            message = peek.first(topic, partition, end - 1)
            now_us = time.time_ns() // 1000
            if message is None:
                continue
            try:
                headers = RawHeaders.decode(message_headers(message))
            except SchemaError:
                continue
            appended_us = append_time_us(message)
            way_s = (appended_us - headers.receive_time_us) / 1e6
            told.append(f"partition {partition}: received by the connector, {way_s:+.3f} s later in raw")
            problems += _clock_problems(headers, appended_us, now_us)
    if not told:
        return not_done("raw holds no frame to compare clocks by; --probe measures the broker's")
    return Outcome("; ".join(told), tuple(problems))


def _clock_problems(headers: RawHeaders, appended_us: int, now_us: int) -> list[Problem]:
    problems = []
    sync = "keep the clocks by NTP or PTP"
    ahead_s = (appended_us - now_us) / 1e6
    if ahead_s > SKEW_S:
        problems.append(
            warning(f"the broker's clock is at least {ahead_s:.1f} s ahead of this machine's", sync)
        )
    way_s = (appended_us - headers.receive_time_us) / 1e6
    if way_s < -SKEW_S:
        problems.append(
            warning(
                f"the connector's clock is at least {-way_s:.1f} s ahead of the broker's: ages and latencies "
                "are wrong by as much",
                sync,
            )
        )
    elif way_s > BACKLOG_S:
        problems.append(
            warning(
                f"the newest frame of {headers.source} was in Kafka {duration_text(way_s)} after it was "
                "received",
                "it waited while Kafka was away, or the connector's clock is behind: " + sync,
            )
        )
    early_s = (headers.timestamp_us - headers.receive_time_us) / 1e6
    if early_s > SKEW_S:
        problems.append(
            warning(
                f"DATE-OBS of {headers.source} is {early_s:.1f} s ahead of the connector's clock: frames "
                "more than "
                "max_future_s ahead are rejected",
                "look at the clock of the image server",
            )
        )
    return problems


def near_misses(subject: Subject) -> Outcome:
    """Sources whose timestamps of one moment disagree can never share a group."""
    entries = subject.entries
    if not entries:
        return not_done("no group is in the catalogue")
    problems = tuple(
        warning(
            str(each),
            "the clocks of these image servers differ, or they round DATE-OBS in different ways; mend it "
            "there: "
            "trapline does not guess (docs/grouping.md)",
        )
        for each in disagreements(entries)
    )
    incomplete = sum(not entry.complete for entry in entries)
    return Outcome(f"{len(entries)} last groups, {incomplete} of them incomplete", problems)


def offsets(subject: Subject) -> Outcome:
    """Positions that retention is about to overtake, or that Kafka is about to forget."""
    if not subject.partitions:
        return not_done("no topic is there that a consumer group could have a position in")
    readers = subject.readers
    config = subject.broker_config or {}
    minutes = config.get("offsets.retention.minutes")
    kept_s = float(minutes) * 60 if minutes else _DEFAULT_OFFSETS_S
    problems = [of_error(text, _SEE_GROUP, Verdict.WARNING) for text in readers.problems]
    with closing(Peek(subject.settings)) as peek, closing(open_catalogue(subject.settings)) as catalogue:
        retention = {topic: Retention.of(state) for topic, state in subject.topic_configs.items()}
        meter = LagMeter(subject.settings.topics, peek, catalogue, subject.tails, retention)
        for group in readers.groups:
            if group.empty:
                problems += _forgotten_soon(subject, peek, group, kept_s)
            for at in group.committed:
                try:
                    lag = meter.measure(group, at)
                except KafkaException as error:
                    if kafka_error(error).code() not in DENIED:
                        raise
                    problems.append(of_error(explain(kafka_error(error)), _SEE_GROUP, Verdict.WARNING))
                else:
                    problems += _overtaken_soon(lag)
    known = "" if minutes else " (Kafka's default; this user may not read the broker's)"
    names = ", ".join(group.group_id for group in readers.groups)
    return Outcome(
        f"{len(readers.groups)} consumer groups{f': {names}' if names else ''}; positions of one without "
        "members "
        f"are kept {duration_text(kept_s)}{known}",
        tuple(dict.fromkeys(problems)),
    )


def _overtaken_soon(lag: Lag) -> list[Problem]:
    where = f"consumer group {lag.group.group_id}, {lag.topic} partition {lag.partition}"
    if lag.lost_offsets:
        return [
            failure(
                f"{where}: retention has deleted {lag.lost_offsets} offsets that were not read",
                "TRAPLINE_ON_GAP=skip goes on behind them; to lose less, raise the retention of the topic",
            )
        ]
    if lag.committed > lag.end:
        return [
            failure(
                f"{where}: its position {lag.committed} is past the end, {lag.end}: the topic was made "
                "anew, or a "
                "broker lost its newest records",
                "start it with a new consumer group",
            )
        ]
    if lag.retention_left_s is not None and lag.retention_left_s < SOON_S:
        return [
            warning(
                f"{where}: retention deletes what it has not read in {duration_text(lag.retention_left_s)}",
                "start or hasten the reader, or raise retention.ms and retention.bytes of the topic",
            )
        ]
    return []


def _forgotten_soon(subject: Subject, peek: Peek, group: ConsumerGroup, kept_s: float) -> list[Problem]:
    """Kafka does not say since when a group is empty; but it read its last record after that was appended."""
    latest_us = max((_reached_us(peek, at) or 0 for at in group.committed), default=0)
    if not latest_us:
        return []
    left_s = latest_us / 1e6 + kept_s - time.time()
    if left_s > SOON_S:
        return []
    when = datetime.fromtimestamp(latest_us / 1e6 + kept_s, UTC).isoformat(timespec="minutes")
    if group.group_id == subject.settings.consumer_group:
        todo = "start a grouper; one that finds no position takes it from the catalogue"
    else:
        todo = (
            "start the reader, or raise offsets.retention.minutes on the brokers; a new start loses its place"
        )
    return [
        warning(
            f"consumer group {group.group_id} has no members, and Kafka may forget its position from "
            f"{when} on",
            todo,
        )
    ]


def _reached_us(peek: Peek, at: Committed) -> int | None:
    """When the last record before a position was appended; None: it can't be told any more."""
    begin, end = peek.bounds(at.topic, at.partition)
    stop = min(at.offset, end)
    latest = None
    with closing(peek.span(at.topic, at.partition, max(begin, stop - _LOOK_BACK), stop)) as records:
        for message in records:
            latest = append_time_us(message)
    return latest
