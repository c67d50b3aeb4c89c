"""When a consumer counts as having lost Kafka."""

import pytest
from confluent_kafka import KafkaError, KafkaException

import runtime.contact
from runtime.contact import Contact


class Scripted:
    """A consumer whose answer is made up, and counted."""

    def __init__(self) -> None:
        self.answers = True
        self.asked = 0

    def list_topics(self, *, timeout):
        assert timeout > 0
        self.asked += 1
        if not self.answers:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))


@pytest.fixture
def clock(monkeypatch):
    """Seconds, set by the test."""
    now = [0.0]
    monkeypatch.setattr(runtime.contact.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def consumer():
    return Scripted()


def test_it_is_not_asked_before_the_patience_is_over(clock, consumer):
    contact = Contact(consumer)
    consumer.answers = False
    clock[0] = 29.0
    assert not contact.is_lost()
    contact.heard()
    clock[0] = 58.0
    assert not contact.is_lost()
    assert consumer.asked == 0
    clock[0] = 60.0
    assert not contact.is_lost()  # one broker of several may be slow
    assert contact.is_lost()


def test_an_answer_is_heard_too(clock, consumer):
    contact = Contact(consumer)
    clock[0] = 31.0
    assert not contact.is_lost()
    consumer.answers = False
    clock[0] = 60.0
    assert not contact.is_lost()
    assert consumer.asked == 1
    clock[0] = 62.0
    assert not contact.is_lost()
    consumer.answers = True
    assert not contact.is_lost()
    consumer.answers = False
    clock[0] = 93.0
    assert [contact.is_lost(), contact.is_lost()] == [False, True]
