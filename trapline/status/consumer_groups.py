"""The consumer groups that have positions in our topics, whoever's they are.

Their offsets are asked through a consumer a group that joins nothing: the admin client's way to ask ends
the process where a coordinator is not there (librdkafka#5040). So does its way to have them described
(librdkafka#4605), so they are described only where each broker has just answered.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException, TopicPartition

from runtime.kafka import KafkaAdmin, answered, explain, kafka_error, log_consumer, require_kafka
from runtime.kafka_rights import DENIED, named
from runtime.settings import TraplineSettings

MAX_ASKED: Final = 100  # consumer groups whose offsets are asked for: 0.1 s each, several at a time
_AT_A_TIME: Final = 8
_ASK_S: Final = 10.0
_AWAY_S: Final = 2.0
_QUEUE_BYTES: Final = 1024 * 1024  # nothing is fetched


@dataclass(frozen=True, slots=True)
class Committed:
    """A position that Kafka keeps.

    Attributes:
        topic: where,
        partition: in which partition,
        offset: the offset that is read next.
        metadata: what was written beside it; the grouper's is schemas.offset_metadata's.
    """

    topic: str
    partition: int
    offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """One consumer group.

    Attributes:
        group_id: its name.
        state: Kafka's word, in lower case: 'stable', 'empty', ...; 'unknown' where it could not be asked.
        members: how many there are at present; None: could not be asked.
        committed: its positions in our topics.
    """

    group_id: str
    state: str
    members: int | None
    committed: tuple[Committed, ...]

    @property
    def empty(self) -> bool:
        """Nobody is a member, so Kafka's time to forget its offsets runs."""
        return self.members == 0


@dataclass(frozen=True, slots=True)
class ConsumerGroups:
    """What was found.

    Attributes:
        groups: those with positions in our topics, by name.
        not_asked: how many others of this Kafka were passed over, because there are more than `MAX_ASKED`.
        problems: what could not be asked, and why.
    """

    groups: tuple[ConsumerGroup, ...]
    not_asked: int = 0
    problems: tuple[str, ...] = ()


def consumer_groups(
    settings: TraplineSettings,
    admin: KafkaAdmin,
    partitions: Mapping[str, int],
    *,
    first: Iterable[str] = (),
) -> ConsumerGroups:
    """All consumer groups with positions in some topics.

    Args:
        settings: where Kafka is.
        admin: a client of it.
        partitions: topic -> how many partitions it has.
        first: names to ask in any case, also where this user may not list the groups.

    Raises:
        KafkaUnavailableError: Kafka went away meanwhile.
    """
    problems: list[str] = []
    names = dict.fromkeys(first)
    away = True  # some broker, perhaps a coordinator: to have its groups described would end the process
    try:
        listed = answered(admin.list_consumer_groups(request_timeout=_ASK_S), _ASK_S)
        names |= dict.fromkeys(each.group_id for each in listed.valid)
        problems += [
            f"some consumer groups could not be listed: {explain(kafka_error(error))}"
            for error in listed.errors
        ]
        away = bool(listed.errors)
    except KafkaException as error:
        problems.append(f"the consumer groups could not be listed: {explain(kafka_error(error))}")
    described, hidden = ({}, {}) if away else _describe(admin, list(names))
    problems += [f"offsets of consumer group {name}: {text}" for name, text in hidden.items()]
    for name in hidden:  # its offsets would be asked for until the time is up
        del names[name]
    ordered = sorted(names, key=lambda name: _rank(name, described.get(name), settings, partitions))
    asked = ordered[:MAX_ASKED]
    where = [TopicPartition(topic, each) for topic, count in partitions.items() for each in range(count)]
    groups = []
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for name, answer in zip(asked, pool.map(partial(_committed, settings, where), asked), strict=True):
            if isinstance(answer, KafkaError):
                problems.append(f"offsets of consumer group {name}: {explain(answer)}")
                if answer.code() not in DENIED:
                    # One coordinator may be away for a moment; where all of Kafka is, nothing more is asked.
                    require_kafka(admin, _AWAY_S)
            elif answer:
                state, members = _state(described.get(name))
                groups.append(ConsumerGroup(name, state, members, answer))
    return ConsumerGroups(
        tuple(sorted(groups, key=lambda group: group.group_id)), len(ordered) - len(asked), tuple(problems)
    )


def _describe(admin: KafkaAdmin, names: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Kafka's description of each, where it gives one; and why not of those that this user may not see."""
    described, hidden = {}, {}
    if names:
        for name, answer in admin.describe_consumer_groups(names, request_timeout=_ASK_S).items():
            try:
                described[name] = answered(answer, _ASK_S)
            except KafkaException as error:
                cause = kafka_error(error)
                if cause.code() in DENIED:
                    hidden[name] = explain(named(cause, f"DESCRIBE on consumer group {name}"))
    return described, hidden


def _rank(
    name: str, described: Any, settings: TraplineSettings, partitions: Mapping[str, int]
) -> tuple[bool, bool, str]:
    """Those that read our topics now come first, then those named after them."""
    reads = described is not None and any(
        each.topic in partitions
        for member in described.members
        if member.assignment is not None
        for each in member.assignment.topic_partitions
    )
    return not reads, not name.startswith(f"{settings.topic_prefix}."), name


def _state(described: Any) -> tuple[str, int | None]:
    if described is None:
        return "unknown", None
    state = described.state
    name = state.name.lower() if isinstance(state, ConsumerGroupState) else str(state)
    return name, len(described.members)


def _committed(
    settings: TraplineSettings, where: list[TopicPartition], name: str
) -> tuple[Committed, ...] | KafkaError:
    """The positions of one group, or why there are none to be had."""
    try:
        with closing(log_consumer(settings, group_id=name, queue_bytes=_QUEUE_BYTES)) as consumer:
            answer: list[TopicPartition] = consumer.committed(where, timeout=_ASK_S)
    except KafkaException as error:
        return kafka_error(error)
    for each in answer:
        if each.error is not None:
            return each.error
    return tuple(
        Committed(each.topic, each.partition, each.offset, each.metadata or "")
        for each in answer
        if each.offset >= 0
    )
