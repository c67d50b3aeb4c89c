"""Calls that are made again, that fail for good, that are given up and that are left behind."""

import threading

import pytest
from confluent_kafka import KafkaError, KafkaException

from runtime.patient_call import CallGivenUpError, Patience, call_patiently
from tests.support.scripted_producer import ABORTABLE, LATE, ScriptedProducer
from tests.support.waiting import timeout_s


def commit(producer, patience):
    call_patiently(producer, "commit", producer.commit_transaction, patience)


def test_it_is_made_again_until_it_succeeds():
    producer = ScriptedProducer(commit=[LATE, LATE, None])
    failures = []
    commit(producer, Patience(lambda failure: bool(failures.append(failure))))
    assert producer.calls == ["commit"] * 3
    assert [(failure.call, failure.cause.str()) for failure in failures] == [("commit", LATE.str())] * 2
    assert all(failure.producer is producer for failure in failures)
    assert 0 <= failures[0].waited_s < failures[1].waited_s


def test_an_error_that_no_repetition_mends_is_raised_at_once():
    producer = ScriptedProducer(commit=[ABORTABLE])
    with pytest.raises(KafkaException) as raised:
        commit(producer, Patience(lambda _failure: pytest.fail("no patience is asked for")))
    assert raised.value.args[0].code() == ABORTABLE.code()
    assert producer.calls == ["commit"]


def test_it_is_given_up_where_the_patience_is_over():
    producer = ScriptedProducer(commit=[LATE] * 9)
    over = iter([False, True])
    with pytest.raises(CallGivenUpError, match="commit: made up: late") as raised:
        commit(producer, Patience(lambda _failure: next(over)))
    assert (raised.value.cause.code(), raised.value.left_behind) == (LATE.code(), False)
    assert producer.calls == ["commit"] * 2


def test_one_that_is_out_is_left_behind_on_demand():
    out, release = threading.Event(), threading.Event()

    def stay():
        out.set()
        release.wait(timeout_s(60))

    producer = ScriptedProducer(commit=[stay])
    try:
        with pytest.raises(CallGivenUpError, match="commit does not return") as raised:
            commit(producer, Patience(lambda _failure: True, leaves=out.is_set))
    finally:
        release.set()
    assert (raised.value.cause.code(), raised.value.left_behind) == (KafkaError._TIMED_OUT, True)


def test_nobody_leaves_one_behind_that_returns_in_time():
    producer = ScriptedProducer()
    commit(producer, Patience(lambda _failure: True))
    assert producer.calls == ["commit"]
