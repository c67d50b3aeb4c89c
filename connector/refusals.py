"""What it means that Kafka did not take a record."""

# ruff: noqa: SLF001  librdkafka's own error codes begin with an underscore

from typing import Final

from confluent_kafka import KafkaError

from connector.metrics import Refusal

_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})

_CONFIGURATION: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_TIMESTAMP,  # message.timestamp.type is not LogAppendTime
        KafkaError.INVALID_RECORD,  # the topic is compacted: a reject has no key
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError.UNSUPPORTED_VERSION,
    }
)


def refusal_of(error: KafkaError) -> Refusal:
    """Judge the error of a delivery report.

    Whatever Kafka may think better of, the client repeats by itself, for ever, and reports nothing. What
    is neither size nor configuration has to do with this producer: Kafka lost what it knew of its sequence
    (a broker that restarted with a shorter log), or it was purged because of that.
    """
    code = error.code()
    if code in _TOO_LARGE:
        return Refusal.TOO_LARGE
    if code in _CONFIGURATION:
        return Refusal.CONFIGURATION
    return Refusal.BROKEN
