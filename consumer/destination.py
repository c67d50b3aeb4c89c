"""Where a replay writes to, and whether it can, and may.

A *topic* gets the images alone: GroupStream and any Kafka consumer can read them. A *prefix* gets the
catalogue entries as well, so that every verb works on it as on the original.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException

from consumer.errors import DestinationError
from consumer.settings import ConsumerSettings, TargetSettings, settings_with
from runtime.errors import AccessDeniedError, KafkaUnavailableError, MissingTopicError
from runtime.kafka import (
    KafkaAdmin,
    admin_client,
    as_trapline_error,
    partition_count,
    require_kafka,
    true_end_offsets,
)
from runtime.logs import get_logger
from runtime.settings import TraplineSettings, load_settings
from runtime.topic_check import check_topic
from runtime.topics import describe_topics, require_good_topics
from schemas.errors import TopicNameError
from schemas.topics import TopicNames, TopicSpec, check_topic_name, topic_specs

# What a topic that nobody but a replay and its readers knows has to be set to.
_OF_ANY_TOPIC: Final = ("max.message.bytes", "cleanup.policy")

log = get_logger(__name__)


def target_settings(
    source: ConsumerSettings, config_file: Path | None, bootstrap_servers: str | None
) -> TraplineSettings:
    """How to reach the cluster that is written to.

    Args:
        source: the settings of the one that is read, which hold for both where nothing else is said.
        config_file: a TOML file with the settings of the other one, security included. Nothing of the
            environment or of `source` is used then, so that no password goes to the wrong cluster.
        bootstrap_servers: of the other one; with `config_file` over what that says.

    Raises:
        SettingsError: lists everything that is wrong.
    """
    overrides = {} if bootstrap_servers is None else {"bootstrap_servers": bootstrap_servers}
    if config_file is None:
        return settings_with(source, overrides)
    return load_settings(
        TargetSettings,
        overrides=overrides,
        config_file=config_file,
        option_names={"bootstrap_servers": "--to-bootstrap-servers"},
        environ={},
    )


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a replay writes to.

    Attributes:
        settings: of the cluster.
        topic: gets the images.
        catalogue: gets the entries; None: nobody wants them.
        prefix: of both, where it is one.
    """

    settings: TraplineSettings
    topic: str
    catalogue: str | None = None
    prefix: str | None = None

    @classmethod
    def of_topic(cls, settings: TraplineSettings, topic: str) -> "Destination":
        """A topic of any name.

        Raises:
            TopicNameError: Kafka can have none of this name.
        """
        check_topic_name(topic)
        return cls(settings, topic)

    @classmethod
    def of_prefix(cls, settings: TraplineSettings, prefix: str) -> "Destination":
        """PREFIX.groups and PREFIX.catalogue.

        Raises:
            TopicNameError: this can be no prefix.
        """
        names = TopicNames(prefix)
        return cls(settings, names.groups, names.catalogue, prefix)


def check_destination(destination: Destination, source: ConsumerSettings, wait_s: float) -> int:
    """See whether a replay can write there, and may; return how many partitions there are.

    Raises:
        DestinationError: it is what is read, groups of a grouper lie there, or it is one of several topics of
            a prefix.
        MissingTopicError: a topic does not exist.
        TopicCheckError: a topic's settings would lose or refuse records.
        KafkaUnavailableError: Kafka did not answer, or refused.
        AccessDeniedError: this user has no right on a topic.
    """
    admin = admin_client(destination.settings)
    try:
        require_kafka(admin, wait_s)
    except KafkaUnavailableError as error:
        where = destination.settings.bootstrap_servers
        raise KafkaUnavailableError(f"the Kafka to write to ({where}): {error}") from error
    if _cluster(admin) == _cluster(admin_client(source)):
        _refuse_what_is_read(destination, source.topics)
    counts = {topic: _partitions(admin, destination, topic) for topic in _topics(destination)}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{topic} {count}" for topic, count in counts.items())
        raise DestinationError(
            f"the topics of {destination.prefix} have different numbers of partitions ({found}), and an "
            "entry goes to its group's; make new ones with `trapline topics create` under another prefix"
        )
    _refuse_what_a_grouper_writes(admin, destination)
    _check_settings(admin, destination, counts)
    return counts[destination.topic]


def _topics(destination: Destination) -> tuple[str, ...]:
    named = (destination.topic, destination.catalogue)
    return tuple(topic for topic in named if topic is not None)


def _cluster(admin: KafkaAdmin) -> str | None:
    try:
        return admin.list_topics(timeout=10.0).cluster_id
    except KafkaException as error:
        raise as_trapline_error(error) from error


def _refuse_what_is_read(destination: Destination, names: TopicNames) -> None:
    if destination.prefix == names.prefix:
        raise DestinationError(
            f"--to-prefix {names.prefix} is the prefix that is read; a replay goes to topics of its own: "
            "make some with `trapline topics create --topic-prefix OTHER`"
        )
    if destination.topic in names.all():
        raise DestinationError(
            f"--to-topic {destination.topic} is a topic of {names.prefix}, which is read; a replay goes to a "
            "topic of its own"
        )


def _partitions(admin: KafkaAdmin, destination: Destination, topic: str) -> int:
    count = partition_count(admin, topic)
    if count is None:
        make = (
            f"`trapline topics create --topic-prefix {destination.prefix}` makes it"
            if destination.prefix is not None
            else f"make it: kafka-topics.sh --create --topic {topic} --config max.message.bytes="
            f"{_spec(destination, topic, 1).config['max.message.bytes']}"
        )
        raise MissingTopicError(f"topic {topic}, to be replayed to, does not exist; {make}")
    return count


def _refuse_what_a_grouper_writes(admin: KafkaAdmin, destination: Destination) -> None:
    """A grouper takes what is in its catalogue for its own, and a catalogue has to name all groups."""
    prefix = destination.prefix
    if prefix is None:
        _refuse_topics_of_a_prefix(admin, destination.topic)
        return
    ends = _ends(admin, TopicNames(prefix).raw)
    if ends is not None and any(ends.values()):
        raise DestinationError(
            f"--to-prefix {prefix}: it has frames in {prefix}.raw, so a grouper publishes to it; a replay "
            "goes to topics of its own: make some with `trapline topics create --topic-prefix OTHER`"
        )


def _refuse_topics_of_a_prefix(admin: KafkaAdmin, topic: str) -> None:
    """In raw a grouper would take FITS files for frames, and the others hold no images."""
    prefix, _, last = topic.rpartition(".")
    try:
        names = TopicNames(prefix)
    except TopicNameError:
        return
    if topic not in names.all():
        return
    sister = next((each for each in names.all() if each != topic and _ends(admin, each) is not None), None)
    if sister is None:
        return
    if topic == names.groups:
        what = f"whose catalogue would not know of the groups; say --to-prefix {prefix}"
    else:
        what = f"whose programs expect no images in its {last}; name a topic of another kind"
    raise DestinationError(f"topic {topic} belongs to the prefix {prefix} (there is {sister}, too), {what}")


def _ends(admin: KafkaAdmin, topic: str) -> Mapping[int, int] | None:
    """One past the last record of each partition; None: there is no such topic, as far as we may know."""
    try:
        count = partition_count(admin, topic)
        return None if count is None else true_end_offsets(admin, topic, range(count))
    except AccessDeniedError:
        return None
    except KafkaException as error:
        raise as_trapline_error(error, topic) from error


def _spec(destination: Destination, topic: str, partitions: int) -> TopicSpec:
    names = TopicNames(destination.prefix or "any")
    specs = topic_specs(names, partitions=partitions, max_frame_bytes=destination.settings.max_frame_bytes)
    if destination.prefix is not None:
        (spec,) = (each for each in specs if each.name == topic)
        return spec
    (images,) = (each for each in specs if each.name == names.groups)
    return TopicSpec(topic, partitions, {name: images.config[name] for name in _OF_ANY_TOPIC})


def _check_settings(admin: KafkaAdmin, destination: Destination, counts: Mapping[str, int]) -> None:
    specs = tuple(_spec(destination, topic, count) for topic, count in counts.items())
    try:
        states = describe_topics(admin, specs)
    except KafkaUnavailableError as error:
        # It answered a moment ago: this user may write to the topic, and not look at its settings.
        log.warning("the settings of the topics to be written could not be checked", cause=str(error))
        return
    require_good_topics(
        tuple(
            finding
            for spec in specs
            if spec.name in states
            for finding in check_topic(spec, states[spec.name])
        )
    )
