import pytest
from confluent_kafka import KafkaError

from connector.metrics import Refusal
from connector.refusals import refusal_of


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, Refusal.TOO_LARGE),
        (KafkaError.RECORD_LIST_TOO_LARGE, Refusal.TOO_LARGE),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Refusal.CONFIGURATION),
        (KafkaError._UNKNOWN_TOPIC, Refusal.CONFIGURATION),
        (KafkaError._UNKNOWN_PARTITION, Refusal.CONFIGURATION),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Refusal.CONFIGURATION),
        (KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, Refusal.BROKEN),
        (KafkaError._FATAL, Refusal.BROKEN),
        (KafkaError._PURGE_QUEUE, Refusal.BROKEN),
        (KafkaError._PURGE_INFLIGHT, Refusal.BROKEN),
        (KafkaError._MSG_TIMED_OUT, Refusal.BROKEN),
    ],
)
def test_what_kafka_says_decides(code, refusal):
    assert refusal_of(KafkaError(code)) is refusal
