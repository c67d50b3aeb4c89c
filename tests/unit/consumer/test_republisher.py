"""What a replay makes of each class of error (Kafka's own answers: tests/integration/consumer)."""

import pytest
from confluent_kafka import KafkaError, KafkaException

import consumer.republisher
from consumer.destination import Destination
from consumer.errors import PublishError, UnsureError
from consumer.republisher import Republisher
from runtime.settings import TraplineSettings
from schemas.topics import TopicNames
from tests.support.scripted_producer import ABORTABLE, FENCED, LATE, NO_CLASS, ScriptedProducer
from tests.unit.consumer.test_replayed_records import past

DESTINATION = Destination.of_topic(TraplineSettings(bootstrap_servers="127.0.0.1:1"), "copy")
ANOTHER = "copy: another replay to this topic has begun, and this one ends"


@pytest.fixture
def republisher(monkeypatch):
    def make(*producers, wait_s=60.0, asked_to_stop=lambda: False):
        left = list(producers)
        monkeypatch.setattr(consumer.republisher, "transactional_producer", lambda *_: left.pop(0))
        return Republisher(
            DESTINATION,
            TopicNames("first"),
            keeps_partition=True,
            wait_s=wait_s,
            asked_to_stop=asked_to_stop,
        )

    return make


def ends_of(producer):
    return [call for call in producer.calls if call in ("begin", "commit", "abort")]


def test_a_group_is_one_transaction(republisher):
    producer = ScriptedProducer()
    made = republisher(producer)
    for _ in range(2):
        made.take([past()])
    assert ends_of(producer) == ["begin", "commit"] * 2
    assert producer.calls.count("produce") == 6
    assert made.doubt is None


def test_a_late_commit_is_made_again_and_another_producer_goes_on(republisher):
    first, second = ScriptedProducer(commit=[LATE, LATE]), ScriptedProducer()
    made = republisher(first, second)
    made.take([past()])
    assert made.doubt is None
    assert second.calls == []  # not before there is something to publish
    made.take([past()])
    assert ends_of(first) == ["begin", "commit", "commit", "commit"]
    assert ends_of(second) == ["begin", "commit"]


@pytest.mark.parametrize(
    "answers", [{"begin": [ABORTABLE]}, {"produce": [ABORTABLE]}, {"commit": [ABORTABLE]}]
)
def test_what_can_be_aborted_is_tried_again_by_another_producer(republisher, answers):
    first, second = ScriptedProducer(**answers), ScriptedProducer()
    made = republisher(first, second)
    made.take([past()])
    assert ends_of(first)[-1] == "abort"
    assert ends_of(second) == ["begin", "commit"]
    assert made.doubt is None


def test_a_commit_that_is_late_for_too_long_is_in_doubt_and_not_aborted(republisher):
    producer = ScriptedProducer(commit=[LATE] * 9)
    made = republisher(producer, wait_s=0.25)
    with pytest.raises(UnsureError, match=r"copy: whether the last 1 groups, .* is not known"):
        made.take([past()])
    assert "abort" not in producer.calls
    assert producer.calls.count("commit") > 1
    assert made.doubt is not None


def test_a_stop_ends_the_wait_for_a_commit_sooner(republisher, monkeypatch):
    monkeypatch.setattr(consumer.republisher, "STOP_S", 0.25)
    producer = ScriptedProducer(commit=[LATE] * 9)
    with pytest.raises(UnsureError):
        republisher(producer, asked_to_stop=lambda: "commit" in producer.calls).take([past()])
    assert producer.calls.count("commit") > 1
    assert "abort" not in producer.calls


@pytest.mark.parametrize("call", ["begin", "produce", "flush", "commit"])
def test_one_that_is_fenced_ends_and_says_by_whom(republisher, call):
    producer = ScriptedProducer(**{call: [FENCED]})
    made = republisher(producer)
    with pytest.raises(PublishError, match=ANOTHER):
        made.take([past()])
    assert "abort" not in producer.calls
    assert made.doubt is None


def test_one_that_is_fenced_amid_a_full_queue_says_by_whom_whatever_the_reports_say(republisher):
    producer = ScriptedProducer(produce=[None, BufferError()])
    made = republisher(producer)
    producer.reports = [KafkaError(KafkaError._PURGE_QUEUE)]

    def report_and_raise():
        producer._deliver()
        raise KafkaException(FENCED)

    producer._answers["poll"] = [report_and_raise]
    with pytest.raises(PublishError, match=ANOTHER):
        made.take([past()])


def test_one_that_is_fenced_in_its_abort_says_by_whom(republisher):
    producer = ScriptedProducer(commit=[ABORTABLE], abort=[FENCED])
    with pytest.raises(PublishError, match=ANOTHER):
        republisher(producer).take([past()])


def test_one_that_is_fenced_after_its_commit_is_not_replaced(republisher):
    producer = ScriptedProducer(begin=[None, FENCED])
    made = republisher(producer)
    producer._answers["poll"] = [FENCED]
    made.take([past()])
    assert made.doubt is None
    with pytest.raises(PublishError, match=ANOTHER):
        made.take([past()])


def test_an_abort_that_is_late_for_too_long_tells_what_the_transaction_failed_of(republisher):
    producer = ScriptedProducer(commit=[ABORTABLE], abort=[LATE] * 9)
    with pytest.raises(PublishError, match="made up: abort"):
        republisher(producer, wait_s=0.25).take([past()])
    assert producer.calls[-1] == "abort"


def test_a_refused_record_is_told_by_its_report(republisher):
    producer = ScriptedProducer(produce=[None, KafkaError(KafkaError._STATE)])
    made = republisher(producer)
    producer.reports = [KafkaError(KafkaError.INVALID_RECORD, "made up: refused")]
    with pytest.raises(PublishError, match="made up: refused"):
        made.take([past()])
    assert ends_of(producer) == ["begin", "abort"]


def test_a_stop_amid_a_transaction_undoes_it(republisher):
    producer = ScriptedProducer(flush=[None] * 9)
    made = republisher(producer, asked_to_stop=lambda: "flush" in producer.calls)
    with pytest.raises(KeyboardInterrupt):
        made.take([past()])
    assert ends_of(producer) == ["begin", "abort"]
    assert made.doubt is None


def test_a_late_abort_after_a_stop_is_not_waited_for(republisher):
    producer = ScriptedProducer(flush=[None] * 9, abort=[LATE] * 9)
    with pytest.raises(PublishError, match="records not acknowledged"):
        republisher(producer, asked_to_stop=lambda: "flush" in producer.calls).take([past()])
    assert producer.calls.count("abort") == 1


@pytest.mark.parametrize("error", [ABORTABLE, NO_CLASS])
def test_no_producer_is_told_with_the_cause(republisher, error):
    with pytest.raises(PublishError, match=error.str()):
        republisher(ScriptedProducer(init=[LATE, error]))


@pytest.mark.parametrize("error", [LATE, NO_CLASS])
def test_a_stop_while_a_producer_is_waited_for_is_a_stop(republisher, error):
    producer = ScriptedProducer(init=[error])
    with pytest.raises(KeyboardInterrupt):
        republisher(producer, asked_to_stop=lambda: "init" in producer.calls)


def test_a_kafka_that_answers_is_waited_for_beyond_the_time_for_one_that_is_away(republisher):
    producer = ScriptedProducer(init=[LATE] * 3)
    republisher(producer, wait_s=-1.0)
    assert producer.calls.count("list_topics") == 3
    with pytest.raises(PublishError, match="made up: late"):
        republisher(ScriptedProducer(init=[LATE] * 3, list_topics=[None, LATE]), wait_s=-1.0)
