import pytest
from confluent_kafka import KafkaError, KafkaException

from runtime.errors import AccessDeniedError, KafkaUnavailableError
from runtime.kafka_errors import as_trapline_error, explain
from runtime.kafka_rights import missing_right, named

DENIED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)


def test_a_named_error_tells_the_right_and_the_resource():
    error = named(DENIED, "READ on topic aartfaac.raw")
    assert error.code() == DENIED.code()
    text = explain(error)
    assert text.startswith(
        "this user lacks the right READ on topic aartfaac.raw (TOPIC_AUTHORIZATION_FAILED: "
    )
    assert "trapline topics acls" in text


def test_what_is_known_of_an_error_stays():
    error = KafkaError(
        KafkaError.GROUP_AUTHORIZATION_FAILED, "no", fatal=False, retriable=False, txn_requires_abort=True
    )
    assert named(error, "READ on consumer group g").txn_requires_abort()
    assert not named(error, "READ on consumer group g").fatal()


def test_the_first_name_stays():
    error = named(DENIED, "READ on topic a.raw")
    assert named(error, "WRITE on topic a.groups") is error


def test_other_errors_stay_as_they_are():
    error = KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION)
    assert named(error, "READ on topic a.raw") is error
    assert missing_right(error) is None


def test_without_a_name_the_table_says_who_needs_what():
    ours = as_trapline_error(KafkaException(DENIED), "aartfaac.rejects")
    assert isinstance(ours, AccessDeniedError)
    assert not isinstance(ours, KafkaUnavailableError)  # which is waited for
    assert str(ours).startswith("aartfaac.rejects: this user may not use the topic (")
    assert "connector: WRITE, grouper: WRITE, auditor: READ" in str(ours)


@pytest.mark.parametrize("topic", [None, "somebody.elses"])
def test_of_a_topic_that_is_none_of_ours(topic):
    text = str(as_trapline_error(KafkaException(DENIED), topic))
    assert "grant it READ to read it, or WRITE to publish to it" in text
