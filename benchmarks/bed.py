"""The broker that everything in a run is measured on."""

import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not in its __all__
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from benchmarks.producing import produce
from runtime.kafka import KafkaAdmin, admin_client, kafka_error, raw_producer
from runtime.settings import TraplineSettings, load_settings
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from trapline.embedded import EmbeddedKafka

_ASK_S = 30.0
_WARM_BYTES = 512 * 1024**2
_WARM_RECORD = bytes(4 * 1024**2)


class Bed:
    """An embedded Kafka of its own in a temporary folder; both are gone at the end."""

    def __init__(self, nodes: int = 1) -> None:
        """Prepare.

        Args:
            nodes: of Kafka.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="trapline-bench-"))
        self.kafka = EmbeddedKafka(self.folder / "kafka", nodes=nodes)

    def __enter__(self) -> Self:
        try:
            self.kafka.start()
            self._free_deleted_topics_at_once()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def settings(self, prefix: str) -> TraplineSettings:
        """The settings of a client in this process."""
        return load_settings(TraplineSettings, overrides=self._overrides(prefix), known=())

    @cached_property
    def admin(self) -> KafkaAdmin:
        """An admin client; one, since answers end with their client."""
        return admin_client(self.settings("bench"))

    def create_topics(self, prefix: str, grouper_group_id: str, partitions: int = 1) -> None:
        """Make the topics of a prefix that do not exist; a grouper of that group id begins at the start."""
        overrides = self._overrides(prefix) | {
            "grouper_group_id": grouper_group_id,
            "partitions": partitions,
        }
        create_topics(load_settings(TopicsSettings, overrides=overrides, known=()))

    def delete_topics(self, *topics: str) -> None:
        """Delete those topics that there are; their files go within a second or two."""
        for future in self.admin.delete_topics(list(topics), operation_timeout=_ASK_S).values():
            try:
                future.result(_ASK_S)
            except KafkaException as error:
                if kafka_error(error).code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise

    def warm_up(self) -> None:
        """Have the JVM compile what it is going to need: cold it is half as fast."""
        self.create_topics("warm", "warm")
        settings = self.settings("warm")
        producer = raw_producer(settings, queue_bytes=64 * 1024**2)
        for _ in range(_WARM_BYTES // len(_WARM_RECORD)):
            produce(producer, settings.topics.raw, _WARM_RECORD)
        producer.flush()
        self.delete_topics(*settings.topics.all())

    def _overrides(self, prefix: str) -> dict[str, object]:
        return {"bootstrap_servers": self.kafka.bootstrap_servers, "topic_prefix": prefix}

    def _free_deleted_topics_at_once(self) -> None:
        """Kafka keeps deleted files for a minute; at a gigabyte a round that would be tens of them."""
        admin = self.admin
        for node in admin.describe_cluster(request_timeout=_ASK_S).result(_ASK_S).nodes:
            entry = ConfigEntry(
                "log.segment.delete.delay.ms", "500", incremental_operation=AlterConfigOpType.SET
            )
            resource = ConfigResource(ResourceType.BROKER, str(node.id), incremental_configs=[entry])
            (answer,) = admin.incremental_alter_configs([resource], request_timeout=_ASK_S).values()
            answer.result(_ASK_S)

    def _end(self) -> None:
        self.kafka.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
