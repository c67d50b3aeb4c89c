"""What a session makes of each class of error (Kafka's own answers: tests/integration/grouper)."""

import threading

import pytest
from confluent_kafka import KafkaError, KafkaException

import grouper.session
from grouper import metrics
from grouper.entry_index import EntryIndex
from grouper.errors import SessionLostError, TransactionAbortedError
from grouper.publication import Publication
from grouper.session import Session
from schemas.topics import TopicNames
from tests.support.metrics import Change
from tests.support.scripted_producer import ABORTABLE, FENCED, LATE, NO_CLASS, ScriptedProducer
from tests.support.waiting import timeout_s

NOTHING = Publication(3, (), (), 7, 9, {}, None)


class Member:
    """The consumer, as far as a session asks it."""

    def consumer_group_metadata(self):
        return None


class Made:
    """A session, its producers, and what it counted."""

    def __init__(self, *producers, give_up=lambda: False):
        self.producers = list(producers) or [ScriptedProducer()]
        left = list(self.producers)
        self.session = Session(
            names=TopicNames("t"),
            consumer_group="g",
            partition=3,
            make_producer=lambda _transactional_id, *_: left.pop(0),
            give_up=give_up,
        )

    def publish(self):
        outcomes = {
            name: Change(metrics.TRANSACTIONS.labels(name)) for name in ("aborted", "committed", "lost")
        }
        with (
            outcomes["aborted"],
            outcomes["committed"],
            outcomes["lost"],
            Change(metrics.PRODUCERS_RENEWED) as renewed,
        ):
            try:
                self.session.publish(NOTHING, EntryIndex(), Member())
                error = None
            except (SessionLostError, TransactionAbortedError, KafkaException) as raised:
                error = raised
        self.counted = {name: change.by for name, change in outcomes.items() if change.by}
        self.renewed = renewed.by
        return error

    @property
    def calls(self):
        """Those of the first producer that matter, from the transaction's begin."""
        calls = self.producers[0].calls
        return [call for call in calls[calls.index("begin") :] if call not in ("poll", "flush")]


@pytest.fixture
def hurried(monkeypatch):
    """Calls are given up at their first failure."""
    monkeypatch.setattr(grouper.session, "CALL_DEADLINE_S", -1.0)


def test_a_transaction_that_goes_well():
    made = Made()
    assert made.publish() is None
    assert made.calls == ["begin", "offsets", "commit"]
    assert (made.counted, made.renewed) == ({"committed": 1}, 0)


@pytest.mark.parametrize("call", ["offsets", "commit"])
def test_a_retriable_error_is_answered_by_the_same_call(call):
    made = Made(ScriptedProducer(**{call: [LATE, LATE]}), ScriptedProducer())
    assert made.publish() is None
    assert made.calls.count(call) == 3
    assert made.counted == {"committed": 1}
    assert made.renewed == (call == "commit")  # whose EndTxn may be under way twice


@pytest.mark.parametrize("call", ["offsets", "commit"])
def test_an_abortable_error_is_answered_by_an_abort(call):
    made = Made(ScriptedProducer(**{call: [ABORTABLE]}), ScriptedProducer())
    error = made.publish()
    assert isinstance(error, TransactionAbortedError)
    assert error.cause.code() == ABORTABLE.code()
    assert made.calls[-1] == "abort"
    assert made.counted == {"aborted": 1}
    assert made.renewed == (call == "commit")  # whose EndTxn may have been sent


def test_a_commit_that_was_late_and_then_failed_leaves_its_doubt_to_the_abort():
    made = Made(ScriptedProducer(commit=[LATE, ABORTABLE]), ScriptedProducer())
    assert isinstance(made.publish(), TransactionAbortedError)
    assert made.calls[-3:] == ["commit", "commit", "abort"]
    assert made.renewed == 1


@pytest.mark.parametrize("error", [FENCED, NO_CLASS])
@pytest.mark.parametrize("call", ["offsets", "commit"])
def test_a_fatal_error_or_one_of_no_class_ends_the_session(call, error):
    made = Made(ScriptedProducer(**{call: [error]}))
    lost = made.publish()
    assert isinstance(lost, SessionLostError)
    assert (lost.partition, lost.cause.code()) == (3, error.code())
    assert "abort" not in made.calls
    assert made.counted == {"lost": 1}


def test_a_producer_that_was_fenced_before_ends_the_session_with_the_cause():
    made = Made(ScriptedProducer(begin=[FENCED]))
    error = made.publish()
    assert isinstance(error, SessionLostError)
    assert error.cause.code() == KafkaError._FENCED
    assert made.counted == {}


@pytest.mark.parametrize("poll", [[None, FENCED]])
def test_one_that_is_fenced_after_its_commit_ends_the_session(poll):
    made = Made(ScriptedProducer(poll=poll))
    error = made.publish()
    assert isinstance(error, SessionLostError)
    assert error.cause.code() == KafkaError._FENCED
    assert made.counted == {"committed": 1}


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("call", ["offsets", "commit"])
def test_never_an_abort_after_a_call_that_was_given_up(call):
    made = Made(ScriptedProducer(**{call: [LATE]}))
    error = made.publish()
    assert isinstance(error, SessionLostError)
    assert error.cause.code() == LATE.code()
    assert made.calls[-1] == call
    assert made.calls.count(call) == 1


@pytest.mark.usefixtures("hurried")
def test_an_abort_that_is_given_up_ends_the_session():
    made = Made(ScriptedProducer(offsets=[ABORTABLE], abort=[LATE]))
    error = made.publish()
    assert isinstance(error, SessionLostError)
    assert error.cause.code() == LATE.code()


def test_an_abort_that_is_refused_ends_the_session():
    made = Made(ScriptedProducer(offsets=[ABORTABLE], abort=[FENCED]))
    error = made.publish()
    assert isinstance(error, SessionLostError)
    assert error.cause.code() == KafkaError._FENCED
    assert made.counted == {"lost": 1}


def test_a_commit_that_does_not_return_is_left_behind():
    out, release = threading.Event(), threading.Event()

    def stay():
        out.set()
        release.wait(timeout_s(60))

    made = Made(ScriptedProducer(commit=[stay]), give_up=out.is_set)
    try:
        error = made.publish()
    finally:
        release.set()
    assert isinstance(error, SessionLostError)
    assert "commit_transaction does not return" in str(error)
    assert "after 10 s" not in str(error)  # where nobody is asked
    assert "abort" not in made.calls
    assert made.counted == {"lost": 1}


@pytest.mark.parametrize("error", [FENCED, NO_CLASS, ABORTABLE])
def test_init_transactions_that_fails_for_good_is_no_session(error):
    with pytest.raises(SessionLostError) as raised:
        Made(ScriptedProducer(init=[LATE, error]))
    assert raised.value.cause.code() == error.code()


def test_init_transactions_is_given_up_with_a_stop():
    with pytest.raises(SessionLostError) as raised:
        Made(ScriptedProducer(init=[LATE]), give_up=lambda: True)
    assert raised.value.cause.code() in (LATE.code(), KafkaError._TIMED_OUT)


def test_another_producer_that_cannot_be_had_ends_the_session():
    made = Made(ScriptedProducer(commit=[LATE]), ScriptedProducer(init=[FENCED]))
    error = made.publish()
    assert isinstance(error, SessionLostError)
    assert error.cause.code() == KafkaError._FENCED
    assert (made.counted, made.renewed) == ({"committed": 1}, 1)
