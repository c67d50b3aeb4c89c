"""Which of Kafka's errors end a stream, and which are waited out."""

from confluent_kafka import KafkaError

from consumer.errors import AccessError, AuthenticationError, FencedError, StreamError
from runtime.kafka import explain

_REFUSED = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED})  # noqa: SLF001 - librdkafka's names
_NO_ACCESS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
_FENCED = frozenset({KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED})  # noqa: SLF001 - the same
NO_TOPIC = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}  # noqa: SLF001 - the same
)
"""What a missing topic looks like; for a moment a broker that just started says so of any topic."""


def stream_error(error: KafkaError, topic: str) -> StreamError | None:
    """The error that ends a stream, or None where waiting or asking again is right."""
    text = f"{topic}: {explain(error)}"
    if error.code() in _REFUSED:
        return AuthenticationError(text)
    if error.code() in _NO_ACCESS:
        return AccessError(explain(error))  # names what there is no right to
    if error.code() in _FENCED or (_is_fatal(error) and "group.instance.id" in error.str()):
        return FencedError(text)
    if _is_fatal(error):
        return StreamError(text)
    return None


def _is_fatal(error: KafkaError) -> bool:
    """Whether the client is dead. As an event, a fatal error has a code of its own, its cause in words."""
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001 - librdkafka's name


def is_gap(error: KafkaError) -> bool:
    """Whether the record that was to be read next is not there (any more)."""
    return error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001 - the same
