"""Gathers what `trapline status` shows, in a bounded time: each question to Kafka has its own limit."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaException

from consumer.history import readable_entry
from runtime.errors import AccessDeniedError, KafkaUnavailableError
from runtime.kafka import KafkaAdmin, admin_client, explain, kafka_error, require_kafka, require_topic
from runtime.kafka_rights import DENIED
from runtime.peek import Peek
from runtime.topics import describe_topics
from schemas.record_headers import RawHeaders
from schemas.topics import topic_specs
from trapline.status.consumer_groups import ConsumerGroups, consumer_groups
from trapline.status.lag import Lag, LagMeter
from trapline.status.retention import Retention
from trapline.status.settings import StatusSettings
from trapline.status.sources import SourceState, source_states
from trapline.status.tails import RejectTail, catalogue_tails, open_catalogue, raw_tail, reject_tail

_ANSWER_S: Final = 10.0  # who looks wants to know now whether Kafka is there


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found.

    Attributes:
        at_us: when, by this machine's clock, microseconds since 1970 UTC.
        groups: how many of the last groups were looked at.
        incomplete: how many of them lack a source.
        first_us: the earliest observation time among them; None: there is no group.
        last_us: the latest.
        sources: each source.
        rejects: the rejects looked at.
        lags: the positions of the consumer groups.
        problems: what could not be looked at, and why.
    """

    at_us: int
    groups: int
    incomplete: int
    first_us: int | None
    last_us: int | None
    sources: tuple[SourceState, ...]
    rejects: RejectTail
    lags: tuple[Lag, ...]
    problems: tuple[str, ...]


def survey(settings: StatusSettings, groups: int) -> Survey:
    """Look at everything once.

    Args:
        settings: where Kafka is.
        groups: how many of the last groups, of each partition, to look at.

    Raises:
        KafkaUnavailableError, AccessDeniedError: Kafka does not answer, or refuses the groups or catalogue.
        MissingTopicError: one of the topics does not exist.
        KafkaException: Kafka went away in the middle.
    """
    names = settings.topics
    admin = admin_client(settings)
    require_kafka(admin, min(settings.broker_wait_s, _ANSWER_S))
    partitions = {topic: require_topic(admin, topic) for topic in (names.groups, names.catalogue)}
    problems: list[str] = []
    for topic in (names.raw, names.rejects):
        try:
            partitions[topic] = require_topic(admin, topic)
        except AccessDeniedError as error:
            problems.append(str(error))
    with ExitStack() as stack:
        peek = stack.enter_context(closing(Peek(settings)))
        catalogue = stack.enter_context(closing(open_catalogue(settings)))
        tails = catalogue_tails(catalogue, partitions[names.catalogue], groups)
        records = [record for tail in tails.values() for record in tail]
        entries = [entry for record in records if (entry := readable_entry(record)) is not None]
        received = [member.receive_time_us for entry in entries for member in entry.members]

        raw: tuple[RawHeaders, ...] = ()
        rejects = RejectTail()
        with _denials_noted(problems):
            raw = raw_tail(peek, names.raw, partitions.get(names.raw, 0))
        with _denials_noted(problems):
            since_us = min(received, default=0)
            rejects = reject_tail(peek, names.rejects, partitions.get(names.rejects, 0), since_us)

        readers = consumer_groups(settings, admin, partitions, first=(settings.consumer_group,))
        problems += readers.problems
        if readers.not_asked:
            problems.append(f"{readers.not_asked} more consumer groups of this Kafka were not asked")
        meter = LagMeter(names, peek, catalogue, tails, _retention(admin, settings, problems))
        lags = _lags(meter, readers, problems)
    times = [entry.timestamp_us for entry in entries]
    now_us = time.time_ns() // 1000
    return Survey(
        at_us=now_us,
        groups=len(entries),
        incomplete=sum(not entry.complete for entry in entries),
        first_us=min(times, default=None),
        last_us=max(times, default=None),
        sources=source_states(entries, raw, rejects.read, now_us),
        rejects=rejects,
        lags=lags,
        problems=tuple(problems),
    )


def _retention(admin: KafkaAdmin, settings: StatusSettings, problems: list[str]) -> Mapping[str, Retention]:
    try:
        states = describe_topics(admin, topic_specs(settings.topics))
    except (AccessDeniedError, KafkaUnavailableError) as error:
        problems.append(f"retention is not known: {error}")
        return {}
    return {name: Retention.of(state.config) for name, state in states.items()}


def _lags(meter: LagMeter, readers: ConsumerGroups, problems: list[str]) -> tuple[Lag, ...]:
    lags = []
    for group in readers.groups:
        for at in group.committed:
            with _denials_noted(problems):
                lags.append(meter.measure(group, at))
    return tuple(lags)


@contextmanager
def _denials_noted(problems: list[str]) -> Iterator[None]:
    """What this user may not see is left out, and said so, once; a Kafka that is away ends it all."""
    try:
        yield
    except KafkaException as error:
        cause = kafka_error(error)
        if cause.code() not in DENIED:
            raise
        text = explain(cause)
        if text not in problems:
            problems.append(text)
