"""The Kafka that is examined: what several checks ask of it, asked once."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not in its __all__
    ConfigResource,
    ResourceType,
)

from consumer.catalogue import CatalogueRecord
from consumer.history import readable_entry
from runtime.errors import AccessDeniedError, KafkaUnavailableError
from runtime.kafka import KafkaAdmin, admin_client, answered, kafka_error, require_kafka, require_topic
from runtime.kafka_rights import DENIED
from runtime.topic_check import Finding
from runtime.topics import check_topics, describe_topics, specs_of
from schemas.catalogue import CatalogueEntry
from schemas.errors import TraplineError
from trapline.doctor.settings import DoctorSettings
from trapline.status.consumer_groups import ConsumerGroups, consumer_groups
from trapline.status.tails import catalogue_tails, open_catalogue

ASK_S: Final = 10.0
"""How long Kafka may think about one question."""

_NOW_S: Final = 3.0

TAIL: Final = 300
"""Groups of each partition that are looked at."""


class Subject:
    """One Kafka, and the topics of one prefix.

    What is asked raises KafkaException, or one of our errors, where there is no answer.

    Attributes:
        settings: of all processes.
        admin: a client.
    """

    def __init__(self, settings: DoctorSettings) -> None:
        """Prepare; nothing is connected yet."""
        self.settings = settings
        self.admin: KafkaAdmin = admin_client(settings)

    def answers(self) -> bool:
        """Whether Kafka answers now."""
        try:
            require_kafka(self.admin, _NOW_S)
        except KafkaUnavailableError:
            return False
        return True

    @cached_property
    def brokers(self) -> tuple[Any, ...]:
        """The brokers as the cluster names them: confluent_kafka.Node, with id, host and port."""
        cluster = answered(self.admin.describe_cluster(request_timeout=ASK_S), ASK_S)
        return tuple(sorted(cluster.nodes, key=lambda node: int(node.id)))

    @cached_property
    def broker_config(self) -> dict[str, str] | None:
        """The settings of the first broker that answers; None where this user may not read them."""
        resource = ConfigResource(ResourceType.BROKER, str(self.brokers[0].id))
        (answer,) = self.admin.describe_configs([resource], request_timeout=ASK_S).values()
        try:
            found = answered(answer, ASK_S)
        except KafkaException as error:
            if kafka_error(error).code() in DENIED:
                return None
            raise
        return {name: entry.value or "" for name, entry in found.items()}

    @cached_property
    def partitions(self) -> dict[str, int]:
        """The topics that exist and that this user may see, with the number of their partitions."""
        counts = {}
        for topic in self.settings.topics.all():
            try:
                counts[topic] = require_topic(self.admin, topic, ASK_S)
            except KafkaUnavailableError:
                raise
            except TraplineError:  # missing, or hidden from this user: other checks say so
                continue
        return counts

    @cached_property
    def topic_findings(self) -> tuple[Finding, ...] | None:
        """What is wrong with the topics' settings; None where this user may not read them."""
        try:
            return check_topics(self.settings, self.admin)
        except AccessDeniedError:
            return None
        except KafkaUnavailableError as error:
            cause = error.__cause__
            if isinstance(cause, KafkaException) and kafka_error(cause).code() in DENIED:
                return None
            raise

    @cached_property
    def topic_configs(self) -> dict[str, Mapping[str, str]]:
        """The settings in force of each topic that is there; nothing where this user may not read them."""
        if self.topic_findings is None:
            return {}
        specs = [spec for spec in specs_of(self.settings) if spec.name in self.partitions]
        return {name: state.config for name, state in describe_topics(self.admin, tuple(specs)).items()}

    @cached_property
    def tails(self) -> dict[int, tuple[CatalogueRecord, ...]]:
        """The last entries of each partition of the catalogue, the newest last."""
        count = self.partitions.get(self.settings.topics.catalogue, 0)
        catalogue = open_catalogue(self.settings)
        try:
            return dict(catalogue_tails(catalogue, count, TAIL))
        finally:
            catalogue.close()

    @property
    def entries(self) -> tuple[CatalogueEntry, ...]:
        """What these say, as far as they can be read."""
        records = (record for tail in self.tails.values() for record in tail)
        return tuple(entry for record in records if (entry := readable_entry(record)) is not None)

    @cached_property
    def readers(self) -> ConsumerGroups:
        """The consumer groups with positions in these topics."""
        first = (self.settings.consumer_group,)
        return consumer_groups(self.settings, self.admin, self.partitions, first=first)

    def describe(self, topics: list[str]) -> dict[str, Any]:
        """Kafka's TopicDescription of each topic that exists, with our rights on it; None: it is hidden."""
        answers = self.admin.describe_topics(
            TopicCollection(topics), include_authorized_operations=True, request_timeout=ASK_S
        )
        described: dict[str, Any] = {}
        for name, answer in answers.items():
            try:
                described[name] = answered(answer, ASK_S)
            except KafkaException as error:
                code = kafka_error(error).code()
                if code in DENIED:
                    described[name] = None
                elif code != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        return described
