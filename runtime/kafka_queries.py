"""Questions to Kafka that several rooms ask: does a topic exist, how many partitions, where it ends."""

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not in its __all__
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from runtime.errors import KafkaUnavailableError, MissingTopicError
from runtime.kafka_clients import KafkaAdmin, LogConsumer, answered
from runtime.kafka_errors import as_trapline_error, explain, is_away, kafka_error
from runtime.kafka_rights import named

_BEGIN: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_END: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_NO_LEADER = KafkaError._NOENT  # noqa: SLF001  of a broker that has just started, or there is no such topic
_STALE = frozenset(
    {
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        _NO_LEADER,
    }
)
"""What a client is answered that does not know who leads a partition now."""
_NO_TOPIC = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}  # noqa: SLF001 - librdkafka's names
)
_PAUSE_S = 0.1
_ATTEMPT_S = 5.0  # a request that went to a broker that died may wait for its answer
_ASK_S = 2.0  # one attempt; short, so that a refused login is told at once and not as a time-out

T = TypeVar("T")


def ask_within(wait_s: float, question: Callable[[float], T]) -> T:
    """The answer to a question, asked again while Kafka is away or changes its leaders.

    Args:
        wait_s: for how long.
        question: given how long it may take, in seconds.

    Raises:
        KafkaException: Kafka did not answer in time, or refused.
    """
    deadline_s = time.monotonic() + wait_s
    was_away = False
    while True:
        try:
            return question(max(0.1, min(_ATTEMPT_S, deadline_s - time.monotonic())))
        except KafkaException as error:
            cause = kafka_error(error)
            was_away = was_away or is_away(cause)
            # A broker that just started does not know its topics for a moment.
            starting = was_away and cause.code() in _NO_TOPIC
            passing = is_away(cause) or cause.code() in _STALE or starting
            if not passing or time.monotonic() >= deadline_s:
                raise
        time.sleep(_PAUSE_S)


def require_kafka(admin: KafkaAdmin, timeout_s: float = 10.0) -> None:
    """Wait until Kafka answers.

    Raises:
        KafkaUnavailableError: it did not in time, or it refused us; says which.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        try:
            admin.list_topics(timeout=max(0.1, min(_ASK_S, deadline_s - time.monotonic())))
        except KafkaException as error:
            admin.poll(0)  # runs the error callback, which alone knows of a refused login
            if admin.state.refusal is not None:
                raise KafkaUnavailableError(explain(admin.state.refusal)) from error
            if time.monotonic() >= deadline_s:
                # What the connection died of says more than that there was no answer.
                raise KafkaUnavailableError(explain(admin.state.last_error or kafka_error(error))) from error
        else:
            admin.state.works()
            return


def partition_count(admin: KafkaAdmin, topic: str, timeout_s: float = 10.0) -> int | None:
    """The number of a topic's partitions; None where the topic does not exist.

    Asks in a way that does not create the topic, which a producer's metadata request would do on brokers
    with `auto.create.topics.enable`.

    Raises:
        KafkaUnavailableError: Kafka did not answer, or refused.
        AccessDeniedError: this user has no right on the topic.
    """
    require_kafka(admin, timeout_s)
    answer = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout_s)
    try:
        return len(answered(answer[topic], timeout_s).partitions)
    except KafkaException as error:
        if kafka_error(error).code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return None
        raise as_trapline_error(error, topic) from error


def require_topic(admin: KafkaAdmin, topic: str, timeout_s: float = 10.0) -> int:
    """The number of a topic's partitions.

    Raises:
        MissingTopicError: there is no such topic.
        KafkaUnavailableError: Kafka did not answer, or refused.
        AccessDeniedError: this user has no right on the topic.
    """
    count = partition_count(admin, topic, timeout_s)
    if count is None:
        raise MissingTopicError(
            f"topic {topic} does not exist; `trapline topics create` makes it (or is "
            "TRAPLINE_TOPIC_PREFIX another one?)"
        )
    return count


def topic_retention_ms(admin: KafkaAdmin, topic: str, timeout_s: float = 10.0) -> int:
    """How long the records of a topic are kept, milliseconds; -1: for ever.

    Raises:
        KafkaException: Kafka did not answer, or this user may not look at the topic's settings.
    """
    resource = ConfigResource(ResourceType.TOPIC, topic)
    (answer,) = admin.describe_configs([resource], request_timeout=timeout_s).values()
    return int(answered(answer, timeout_s)["retention.ms"].value)


def true_end_offsets(
    client: KafkaAdmin | LogConsumer, topic: str, partitions: Iterable[int], timeout_s: float = 10.0
) -> dict[int, int]:
    """One past the last record of each partition, open transactions and markers included.

    A read_committed consumer's `get_watermark_offsets` stops short, at the last stable offset.

    Raises:
        KafkaException: Kafka did not answer, or refused.
    """
    return _offsets(client, topic, partitions, _END, timeout_s)


def true_end_offset(
    client: KafkaAdmin | LogConsumer, partition: TopicPartition, timeout_s: float = 10.0
) -> int:
    """As `true_end_offsets`, of one partition."""
    number = partition.partition
    return true_end_offsets(client, partition.topic, [number], timeout_s)[number]


def begin_offsets(
    client: KafkaAdmin | LogConsumer, topic: str, partitions: Iterable[int], timeout_s: float = 10.0
) -> dict[int, int]:
    """The oldest offset that each partition still holds.

    Raises:
        KafkaException: Kafka did not answer, or refused.
    """
    return _offsets(client, topic, partitions, _BEGIN, timeout_s)


def _offsets(
    client: KafkaAdmin | LogConsumer,
    topic: str,
    partitions: Iterable[int],
    spec: OffsetSpec,
    timeout_s: float,
) -> dict[int, int]:
    admin = client.admin if isinstance(client, LogConsumer) else client
    asked = {TopicPartition(topic, number): spec for number in partitions}
    if not asked:
        return {}
    deadline_s = time.monotonic() + timeout_s
    while True:
        answers = admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=timeout_s
        )
        try:
            return {each.partition: answered(answer, timeout_s).offset for each, answer in answers.items()}
        except KafkaException as error:
            cause = kafka_error(error)
            if cause.code() not in _STALE or time.monotonic() >= deadline_s:
                raise KafkaException(named(cause, f"READ on topic {topic}")) from error
            # An admin client asks for metadata every five minutes only, and goes on asking the old leader, or
            # with the old leader's epoch, until then.
            if cause.code() == _NO_LEADER and partition_count(admin, topic, timeout_s) is None:
                raise KafkaException(named(cause, f"READ on topic {topic}")) from error
            admin.list_topics(topic, timeout=timeout_s)
        time.sleep(_PAUSE_S)
