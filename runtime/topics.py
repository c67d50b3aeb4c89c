"""Makes the topics, and looks at those that exist."""

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not in its __all__
    ConfigResource,
    NewTopic,
    ResourceType,
)

from runtime.errors import KafkaUnavailableError, TopicCheckError
from runtime.kafka import (
    KafkaAdmin,
    admin_client,
    answered,
    as_trapline_error,
    begin_offsets,
    explain,
    kafka_error,
    log_consumer,
    max_record_bytes,
    require_kafka,
    true_end_offsets,
)
from runtime.kafka_rights import named
from runtime.topic_check import Finding, Severity, TopicState, check_brokers, check_layout
from runtime.topic_settings import TopicsSettings
from schemas.offset_metadata import OffsetMetadata
from schemas.topics import TopicSpec, topic_specs

_REQUEST_S = 30.0  # one request of an admin client, creation on a slow cluster included
_VISIBLE_S = 30.0  # a new topic reaches all brokers' metadata a moment after it was created
_POLL_S = 0.1
_UNANSWERED = frozenset({KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.REQUEST_TIMED_OUT})  # noqa: SLF001 - librdkafka's names
"""After these a request may have been done all the same."""
_NO_OFFSET = -1  # Kafka's offsets are 0 and up; below are librdkafka's words, such as 'none'


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one thing that `create_topics` looked after."""

    name: str
    text: str


def specs_of(settings: TopicsSettings) -> tuple[TopicSpec, ...]:
    """The topics as we would create them."""
    return topic_specs(
        settings.topics,
        partitions=settings.partitions,
        max_frame_bytes=settings.max_frame_bytes,
        retention_ms=round(settings.retention_hours * 3_600_000),
        retention_bytes=settings.retention_bytes,
        catalogue_retention_bytes=settings.catalogue_retention_bytes,
    )


def create_topics(settings: TopicsSettings, admin: KafkaAdmin | None = None) -> tuple[Outcome, ...]:
    """Make the topics that do not exist, and have a grouper that never ran start at the beginning.

    Topics that exist are left as they are; `check_topics` says whether they will do.

    Raises:
        KafkaUnavailableError: Kafka did not answer, or refused.
    """
    admin = admin or admin_client(settings)
    require_kafka(admin)
    specs = specs_of(settings)
    outcomes = [_create(admin, settings, spec) for spec in specs]
    _wait_until_visible(admin, specs)
    outcomes += _first_offsets(admin, settings)
    return tuple(outcomes)


def check_topics(settings: TopicsSettings, admin: KafkaAdmin | None = None) -> tuple[Finding, ...]:
    """What is wrong with the topics; empty where all is well.

    Raises:
        KafkaUnavailableError: Kafka did not answer, or refused.
    """
    admin = admin or admin_client(settings)
    require_kafka(admin)
    specs = specs_of(settings)
    states = describe_topics(admin, specs)
    asked = settings.partitions if "partitions" in settings.model_fields_set else None
    return (
        *check_layout(settings.topics, specs, states, asked_partitions=asked),
        *check_brokers(_request_limits(admin), max_record_bytes(settings)),
    )


def require_good_topics(findings: tuple[Finding, ...]) -> None:
    """Let warnings pass.

    Raises:
        TopicCheckError: there are errors; names each.
    """
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        lines = [f"{finding.topic}: {finding.setting}: {finding.text}" for finding in errors]
        raise TopicCheckError(
            "\n  ".join([f"the topics can't be used, {len(errors)} settings are wrong:", *lines])
        )


def describe_topics(admin: KafkaAdmin, specs: tuple[TopicSpec, ...]) -> dict[str, TopicState]:
    """The topics that exist, as they are, by name."""
    names = [spec.name for spec in specs]
    states = {}
    described = admin.describe_topics(TopicCollection(names), request_timeout=_REQUEST_S)
    for name in names:
        try:
            partitions = answered(described[name], _REQUEST_S).partitions
        except KafkaException as error:
            if kafka_error(error).code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            raise as_trapline_error(error, name) from error
        try:
            resource = ConfigResource(ResourceType.TOPIC, name)
            (answer,) = admin.describe_configs([resource], request_timeout=_REQUEST_S).values()
            config = answered(answer, _REQUEST_S)
        except KafkaException as error:
            cause = kafka_error(error)
            if cause.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                continue
            if cause.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                # A right of its own, which nobody needs for the topic itself: the caller may do without.
                right = f"DESCRIBE_CONFIGS on topic {name}"
                raise KafkaUnavailableError(explain(named(cause, right))) from error
            raise as_trapline_error(error, name) from error
        states[name] = TopicState(
            name,
            partitions=len(partitions),
            replicas=min((len(partition.replicas) for partition in partitions), default=0),
            config={key: entry.value or "" for key, entry in config.items()},
        )
    return states


def _request_limits(admin: KafkaAdmin) -> dict[int, int]:
    """Each broker's limit of a request; none where this user may not read the brokers' settings."""
    try:
        nodes = answered(admin.describe_cluster(request_timeout=_REQUEST_S), _REQUEST_S).nodes
        limits = {}
        for node in nodes:
            # One broker a call: librdkafka refuses two, since each answers for itself alone.
            resource = ConfigResource(ResourceType.BROKER, str(node.id))
            (answer,) = admin.describe_configs([resource], request_timeout=_REQUEST_S).values()
            limits[node.id] = int(answered(answer, _REQUEST_S)["socket.request.max.bytes"].value)
    except KafkaException as error:
        if kafka_error(error).code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:
            return {}
        raise as_trapline_error(error) from error
    return limits


def _create(admin: KafkaAdmin, settings: TopicsSettings, spec: TopicSpec) -> Outcome:
    replicas = settings.replication_factor
    config = dict(spec.config)
    if replicas is not None and replicas >= 3:  # noqa: PLR2004  fewer can't lose one and still have two
        config["min.insync.replicas"] = "2"
    topic = NewTopic(
        spec.name,
        num_partitions=spec.partitions,
        replication_factor=-1 if replicas is None else replicas,
        config=config,
    )
    try:
        answered(admin.create_topics([topic], request_timeout=_REQUEST_S)[spec.name], _REQUEST_S)
    except KafkaException as error:
        cause = kafka_error(error)
        if cause.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return Outcome(spec.name, "exists")
        ours = as_trapline_error(error, spec.name)
        if cause.code() in _UNANSWERED:
            raise KafkaUnavailableError(
                f"{ours}. Whether Kafka made the topic is not known: run `trapline topics create` again, "
                "which leaves what is there as it is"
            ) from error
        raise ours from error
    return Outcome(spec.name, f"created, {spec.partitions} partitions")


def _wait_until_visible(admin: KafkaAdmin, specs: tuple[TopicSpec, ...]) -> None:
    deadline_s = time.monotonic() + _VISIBLE_S
    while len(states := describe_topics(admin, specs)) < len(specs):
        if time.monotonic() > deadline_s:
            missing = ", ".join(spec.name for spec in specs if spec.name not in states)
            raise KafkaUnavailableError(
                f"created, but Kafka does not know them after {_VISIBLE_S:.0f} s: {missing}"
            )
        time.sleep(_POLL_S)


def _first_offsets(admin: KafkaAdmin, settings: TopicsSettings) -> list[Outcome]:
    """Commit the beginning of raw for the groupers, where nothing is committed.

    A consumer without an offset gets an error (`auto.offset.reset=error`): 'latest' would lose what was
    sent before the first grouper ran, and 'earliest' would group everything again once offsets have
    expired. So the beginning is written down here, once; but not where the catalogue holds groups:
    there offsets have been lost, and the grouper finds its place from the catalogue.
    """
    group = settings.consumer_group
    raw, catalogue = settings.topics.raw, settings.topics.catalogue
    try:
        partitions = describe_topics(admin, specs_of(settings))[raw].partitions
        asked = [TopicPartition(raw, each) for each in range(partitions)]
        # A consumer that joins no group. AdminClient.list_consumer_group_offsets ends the process where
        # the group's coordinator is not there yet, as on a new cluster (librdkafka#5040).
        with closing(log_consumer(settings, group_id=group)) as offsets:
            answer = offsets.committed(asked, timeout=_REQUEST_S)
            _raise_first([each.error for each in answer])
            committed: Mapping[int, int] = {each.partition: each.offset for each in answer}
            unset = [each for each in range(partitions) if committed.get(each, _NO_OFFSET) <= _NO_OFFSET]
            begins = begin_offsets(admin, raw, unset)
            entries = true_end_offsets(admin, catalogue, unset)
            fresh = [each for each in unset if entries.get(each, 0) == 0]
            if fresh:
                first = [_first_offset(raw, each, begins[each]) for each in fresh]
                _raise_first([each.error for each in offsets.commit(offsets=first, asynchronous=False)])
    except KafkaException as error:
        raise as_trapline_error(error, f"offsets of consumer group {group}") from error
    outcomes = []
    if fresh:
        outcomes.append(Outcome(group, f"starts at the beginning of {raw}, partitions {_numbers(fresh)}"))
    kept = [each for each in range(partitions) if each not in unset]
    if kept:
        outcomes.append(Outcome(group, f"goes on where it is, partitions {_numbers(kept)}"))
    lost = [each for each in unset if each not in fresh]
    if lost:
        outcomes.append(
            Outcome(
                group, f"finds its place from the catalogue, which holds groups, partitions {_numbers(lost)}"
            )
        )
    return outcomes


def _raise_first(errors: list[KafkaError | None]) -> None:
    for error in errors:
        if error is not None:
            raise KafkaException(error)


def _first_offset(raw: str, partition: int, begin: int) -> TopicPartition:
    metadata = OffsetMetadata(read_to=begin, catalogue_from=0).encode()
    return TopicPartition(raw, partition, begin, metadata=metadata)


def _numbers(partitions: list[int]) -> str:
    return ", ".join(str(each) for each in partitions)
