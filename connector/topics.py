"""Kafka before the first frame is read: it answers, the topics are there, and they take our records."""

from typing import Final

from connector.settings import ConnectorSettings
from runtime.errors import KafkaUnavailableError
from runtime.health import Heartbeat
from runtime.kafka import KafkaAdmin, admin_client, require_kafka, require_topic
from runtime.logs import get_logger
from runtime.shutdown import Shutdown
from runtime.written_topics import require_topics_take
from schemas.topics import topic_specs

log = get_logger(__name__)

_ATTEMPT_S: Final = 2.0
_PAUSE_S: Final = 1.0


def wait_for_kafka(settings: ConnectorSettings, shutdown: Shutdown, heartbeat: Heartbeat) -> bool:
    """Wait until Kafka answers, and check the topics; False where a stop was asked for before.

    Raises:
        KafkaUnavailableError: Kafka refuses the login, or one side the other's certificate.
        AccessDeniedError: this user may not write to raw or rejects.
        MissingTopicError: raw or rejects does not exist.
        TopicCheckError: they would refuse or spoil what we send; names each setting.
    """
    admin = admin_client(settings)
    told = False
    while not shutdown.requested:
        heartbeat.beat()
        try:
            require_kafka(admin, _ATTEMPT_S)
            check_topics(admin, settings)
        except KafkaUnavailableError as error:
            if admin.state.refusal is not None:
                raise
            if not told:
                told = True
                log.warning(
                    "waiting for Kafka; nothing is read until it answers",
                    bootstrap_servers=settings.bootstrap_servers,
                    cause=str(error),
                )
            shutdown.wait(_PAUSE_S)
        else:
            return True
    return False


def check_topics(admin: KafkaAdmin, settings: ConnectorSettings) -> None:
    """Make sure that raw and rejects take what the connector sends.

    Raises:
        KafkaUnavailableError: Kafka did not answer, or refused.
        AccessDeniedError: this user has no right on one of them.
        MissingTopicError: one does not exist.
        TopicCheckError: a setting is wrong; names each.
    """
    raw, _, _, rejects = topic_specs(settings.topics, max_frame_bytes=settings.max_frame_bytes)
    for spec in (raw, rejects):
        require_topic(admin, spec.name)
    require_topics_take(admin, settings.topics, (raw, rejects))
