"""The start: Kafka answers, and the topics are there, fit together and take what we write."""

from grouper.errors import GrouperError
from runtime.errors import KafkaUnavailableError
from runtime.health import Heartbeat
from runtime.kafka import KafkaAdmin, admin_client, require_topic
from runtime.logs import get_logger
from runtime.settings import TraplineSettings
from runtime.shutdown import Shutdown
from runtime.written_topics import require_topics_take
from schemas.topics import topic_specs

log = get_logger(__name__)

_PAUSE_S = 1.0


def wait_for_topics(settings: TraplineSettings, shutdown: Shutdown, heartbeat: Heartbeat) -> None:
    """Wait until Kafka answers or a stop is asked for, then look at the topics.

    Raises:
        KafkaUnavailableError: Kafka refused us, which no waiting mends.
        AccessDeniedError: this user has no right on a topic.
        MissingTopicError: a topic does not exist.
        TopicCheckError: a topic would refuse or spoil what we write; names the topic, the setting and its
            value.
        GrouperError: the topics have different numbers of partitions.
    """
    admin = admin_client(settings)
    names = settings.topics
    counts: dict[str, int] = {}
    while not shutdown.requested:
        heartbeat.beat()
        try:
            for topic in (names.raw, names.groups, names.catalogue, names.rejects):
                counts[topic] = require_topic(admin, topic)
            check_written_topics(admin, settings)
        except KafkaUnavailableError as error:
            if admin.state.refusal is not None:
                raise
            log.warning("waiting for Kafka", cause=str(error))
            shutdown.wait(_PAUSE_S)
        else:
            break
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{topic} {count}" for topic, count in counts.items())
        raise GrouperError(
            f"the topics have different numbers of partitions ({found}), and a group goes to its raw "
            "partition's number. Partitions can't be added in place: keys would move. Make new topics "
            "under another TRAPLINE_TOPIC_PREFIX with `trapline topics create --partitions N`"
        )


def check_written_topics(admin: KafkaAdmin, settings: TraplineSettings) -> None:
    """Make sure that groups, catalogue and rejects take the largest record there may be.

    Raises:
        KafkaUnavailableError: Kafka did not answer, or refused.
        AccessDeniedError: this user has no right on one of them.
        TopicCheckError: one would refuse or spoil records; names the topic, the setting and its value.
    """
    _, *written = topic_specs(settings.topics, max_frame_bytes=settings.max_frame_bytes)
    require_topics_take(admin, settings.topics, tuple(written))
