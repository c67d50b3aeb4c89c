"""The topics that a process writes to, before it writes: they exist, and take what it is going to send."""

from confluent_kafka import KafkaError, KafkaException

from runtime.errors import KafkaUnavailableError
from runtime.kafka import KafkaAdmin, kafka_error
from runtime.logs import get_logger
from runtime.topic_check import Finding, Severity, TopicState, check_layout
from runtime.topics import describe_topics, require_good_topics
from schemas.topics import TopicNames, TopicSpec

log = get_logger(__name__)


def require_topics_take(admin: KafkaAdmin, names: TopicNames, specs: tuple[TopicSpec, ...]) -> None:
    """Make sure that topics take the largest record that is meant for each.

    What does not keep a record out is a warning. A topic whose settings this user may not read is left
    alone: to write needs no right to look.

    Args:
        admin: to ask with.
        names: of the topics.
        specs: of the topics that will be written to, as they have to be.

    Raises:
        KafkaUnavailableError: Kafka did not answer, or refused.
        AccessDeniedError: this user has no right on one of them.
        TopicCheckError: one does not exist or would refuse or spoil records; names each topic, setting and
            value.
    """
    states: dict[str, TopicState] = {}
    seen: list[TopicSpec] = []
    for spec in specs:
        try:
            states |= describe_topics(admin, (spec,))
        except KafkaUnavailableError as error:
            if not _may_not_look(error):
                raise
            # What is wrong with its settings, the first records will tell.
            log.info(
                "the topic's settings are not checked: this user may not read them",
                topic=spec.name,
                cause=str(error),
            )
        else:
            seen.append(spec)
    findings = check_layout(names, tuple(seen), states)
    for finding in findings:
        if not _stops_us(finding):
            log.warning("a topic's setting", topic=finding.topic, setting=finding.setting, text=finding.text)
    require_good_topics(tuple(finding for finding in findings if _stops_us(finding)))


def _stops_us(finding: Finding) -> bool:
    """Without bounds on retention a disk fills up one day, but records are taken until then."""
    return finding.severity is Severity.ERROR and not finding.setting.startswith("retention.")


def _may_not_look(error: KafkaUnavailableError) -> bool:
    cause = error.__cause__
    return isinstance(cause, KafkaException) and (
        kafka_error(cause).code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    )
