import pytest
from confluent_kafka import KafkaError

from grouper.refusals import explain_refusal, naming_record, naming_topic
from runtime.settings import TraplineSettings

SETTINGS = TraplineSettings(topic_prefix="t", max_frame_bytes=8 * 1024**2)
OF_TIMES = (
    f"message.timestamp.type=CreateTime, message.timestamp.before.max.ms={2**63 - 1}, "
    f"message.timestamp.after.max.ms={2**63 - 1}"
)


def refused(code, topic):
    return explain_refusal(naming_topic(KafkaError(code, "Broker: no"), topic), SETTINGS)


@pytest.mark.parametrize(
    ("code", "topic", "needs"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, "t.groups", "max.message.bytes=9437184"),
        (KafkaError.MSG_SIZE_TOO_LARGE, "t.rejects", "max.message.bytes=9437184"),
        (KafkaError.RECORD_LIST_TOO_LARGE, "t.catalogue", "max.message.bytes=2097152"),
        (KafkaError.INVALID_TIMESTAMP, "t.groups", "message.timestamp.type=LogAppendTime"),
        (
            KafkaError.INVALID_TIMESTAMP,
            "t.catalogue",
            OF_TIMES,
        ),
        (KafkaError.INVALID_RECORD, "t.rejects", "cleanup.policy=delete"),
    ],
)
def test_a_refusal_names_topic_setting_and_value(code, topic, needs):
    text = refused(code, topic)
    assert text.startswith(f"{topic} refuses a record ({KafkaError(code).name()}: Broker: no); ")
    assert f" it needs {needs}: " in text
    assert text.endswith(f"--entity-name {topic} --add-config {needs.replace(', ', ',')}")


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._MSG_TIMED_OUT])
def test_what_no_setting_of_a_topic_is_behind_stays_as_it_is(code):
    error = KafkaError(code, "Broker: no")
    assert naming_topic(error, "t.groups") is error
    assert "t.groups" not in explain_refusal(error, SETTINGS)


def test_a_topic_of_somebody_else_is_not_given_our_settings():
    assert "--add-config" not in refused(KafkaError.MSG_SIZE_TOO_LARGE, "foreign")
    assert "topic foreign" in refused(KafkaError.MSG_SIZE_TOO_LARGE, "foreign")


def test_what_the_transaction_asks_for_is_kept():
    error = KafkaError(KafkaError.INVALID_RECORD, "no", fatal=False, retriable=True, txn_requires_abort=True)
    error = naming_topic(error, "t.groups")
    assert (error.fatal(), error.retriable(), error.txn_requires_abort()) == (False, True, True)


def test_a_record_above_our_own_limit_is_named_with_its_size_and_not_laid_to_the_topic():
    error = naming_record(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "no"), "t.groups", bytes(17))
    text = explain_refusal(error, SETTINGS)
    assert "17 bytes for t.groups" in text
    assert "raise TRAPLINE_MAX_FRAME_BYTES" in text
    assert "--add-config" not in text


def test_other_errors_of_producing_stay_as_they_are():
    error = KafkaError(KafkaError._STATE, "no")
    assert naming_record(error, "t.groups", b"") is error
