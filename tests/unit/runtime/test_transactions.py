"""When a producer is replaced, what carries over from a commit to its abort, and records that are refused."""

import pytest
from confluent_kafka import KafkaError, KafkaException

import runtime.transactions
from runtime.deliveries import Deliveries
from runtime.patient_call import CallGivenUpError, Patience
from runtime.transactions import RecordRefusedError, Transactions
from tests.support.scripted_producer import ABORTABLE, FENCED, LATE, NO_CLASS, ScriptedProducer

PATIENT = Patience(lambda _failure: False)
IMPATIENT = Patience(lambda _failure: True)
DISCONNECTED = KafkaError(KafkaError._TRANSPORT, "broker:9092/1: Disconnected (after 17ms in state UP)")


def transactions(*producers, with_offsets=True):
    left = list(producers) or [ScriptedProducer()]
    return Transactions(lambda: left.pop(0), PATIENT, with_offsets=with_offsets)


def committed(made):
    made.begin()
    made.commit(PATIENT)
    return made.unsure_end()


def aborted(made):
    made.begin()
    made.abort(PATIENT)
    return made.unsure_end()


def test_init_transactions_is_made_again_while_its_error_is_retriable():
    producer = ScriptedProducer(init=[LATE, LATE])
    assert transactions(producer).producer is producer
    assert producer.calls[:3] == ["init"] * 3


@pytest.mark.parametrize("error", [FENCED, NO_CLASS, ABORTABLE])
def test_without_a_producer_there_are_no_transactions(error):
    with pytest.raises(CallGivenUpError) as raised:
        transactions(ScriptedProducer(init=[LATE, error]))
    assert raised.value.cause.code() == error.code()
    assert not raised.value.left_behind


@pytest.mark.parametrize("end", [committed, aborted])
def test_an_end_that_went_well_leaves_no_doubt(end):
    made = transactions()
    assert end(made) is None
    assert end(made) is None


@pytest.mark.parametrize("answers", [{"commit": [LATE]}, {"commit": [LATE, LATE]}])
def test_a_commit_that_was_made_again_leaves_a_doubt(answers):
    made = transactions(ScriptedProducer(**answers))
    unsure = committed(made)
    assert (unsure.broken_connections, unsure.end_txn) == (0, None)
    assert committed(made) is None


def test_an_abort_that_was_made_again_leaves_a_doubt():
    made = transactions(ScriptedProducer(abort=[LATE]))
    assert aborted(made) is not None
    assert aborted(made) is None


@pytest.mark.parametrize("answers", [[ABORTABLE], [LATE, ABORTABLE]])
def test_the_doubt_about_a_commit_carries_over_to_its_abort(answers):
    made = transactions(ScriptedProducer(commit=answers))
    made.begin()
    with pytest.raises(KafkaException):
        made.commit(PATIENT)
    made.abort(PATIENT)
    assert made.unsure_end() is not None


def test_a_slow_end_leaves_a_doubt(monkeypatch):
    monkeypatch.setattr(runtime.transactions, "SLOW_END_TXN_S", 0.0)
    assert committed(transactions()).took_s > 0


@pytest.mark.parametrize("words", [["_TRANSPORT", "NO_ERROR"], ["_TIMED_OUT"], []])
@pytest.mark.parametrize("end", [committed, aborted])
def test_librdkafkas_own_log_can_leave_a_doubt(end, words):
    producer = ScriptedProducer()
    producer.end_txn = words
    unsure = end(transactions(producer))
    assert unsure.end_txn == (", ".join(words) or "librdkafka does not say what it did")


def test_a_connection_that_broke_is_a_doubt_once_where_offsets_may_have_been_on_it():
    made = transactions(ScriptedProducer())
    made.producer.state.error(DISCONNECTED)
    assert committed(made).broken_connections == 1
    assert committed(made) is None


def test_a_connection_that_broke_is_no_doubt_where_only_the_end_could_have_been_on_it():
    made = transactions(with_offsets=False)
    made.producer.state.error(DISCONNECTED)
    assert committed(made) is None


def test_a_connection_that_broke_before_init_transactions_is_no_doubt():
    producer = ScriptedProducer()
    producer.state.error(DISCONNECTED)
    assert committed(transactions(producer)) is None


def test_another_producer_takes_over():
    first, second = ScriptedProducer(), ScriptedProducer(init=[LATE])
    made = transactions(first, second)
    made.renew(PATIENT)
    assert made.producer is second
    assert committed(made) is None
    assert "begin" not in first.calls


def test_the_one_in_use_is_kept_where_no_other_can_be_had():
    first = ScriptedProducer()
    made = transactions(first, ScriptedProducer(init=[LATE]))
    with pytest.raises(CallGivenUpError):
        made.renew(IMPATIENT)
    assert made.producer is first


def test_a_producer_that_was_fenced_since_its_commit_says_so():
    made = transactions(ScriptedProducer(poll=[None, FENCED]))
    with pytest.raises(KafkaException) as raised:
        committed(made)
    assert raised.value.args[0].code() == KafkaError._FENCED


def test_a_full_queue_is_waited_for():
    made = transactions(ScriptedProducer(produce=[BufferError(), BufferError(), None]))
    before = len(made.producer.calls)
    made.produce(Deliveries(), "t", b"image")
    assert made.producer.calls[before:] == ["produce", "poll", "produce", "poll", "produce"]


def test_a_refused_record_comes_with_what_the_producer_said():
    made = transactions(ScriptedProducer(produce=[KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)]))
    with pytest.raises(RecordRefusedError) as raised:
        made.produce(Deliveries(), "t", b"image")
    assert raised.value.cause.code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert "flush" not in made.producer.calls


def test_after_an_earlier_refusal_the_report_that_says_why_is_waited_for():
    made = transactions(ScriptedProducer(produce=[None, KafkaError(KafkaError._STATE)]))
    made.producer.reports = [KafkaError(KafkaError.INVALID_RECORD)]
    deliveries = Deliveries()
    made.produce(deliveries, "t", b"image")
    with pytest.raises(RecordRefusedError):
        made.produce(deliveries, "t", b"image")
    assert deliveries.error.code() == KafkaError.INVALID_RECORD


def test_a_producer_that_is_fenced_while_its_queue_is_full_is_no_refused_record():
    made = transactions(ScriptedProducer(produce=[BufferError()], poll=[None, FENCED]))
    with pytest.raises(KafkaException) as raised:
        made.produce(Deliveries(), "t", b"image")
    assert raised.value.args[0].code() == KafkaError._FENCED


@pytest.mark.parametrize(("gives_up", "flushes"), [([False, False], 3), ([False, True], 2)])
def test_all_reports_are_waited_for_unless_the_caller_gives_up(gives_up, flushes):
    made = transactions(ScriptedProducer(flush=[None, None]))
    deliveries = Deliveries()
    made.produce(deliveries, "t", b"image")
    answers = iter(gives_up)
    made.flush(lambda: next(answers))
    assert made.producer.calls.count("flush") == flushes
    assert len(deliveries.offsets) == (flushes == 3)
