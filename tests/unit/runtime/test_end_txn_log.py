"""What is made of librdkafka's lines about EndTxn."""

import logging

import pytest

from runtime.end_txn_log import EndTxnLog

SENT = "[thrd:main]: EndTxn returned {} in state CommittingTransaction (may_retry=true)"
NONE_SENT = "[thrd:main]: No partitions registered: not sending EndTxn"


def heard(*lines: str) -> EndTxnLog:
    log = EndTxnLog()
    log.log(logging.DEBUG, "%s [%s] %s", "ENDTXN", "trapline#producer-1", SENT.format("_TRANSPORT"))
    log.begin()
    for line in ("[thrd:app]: Transactional API called: commit_transaction", *lines):
        log.log(logging.DEBUG, "%s [%s] %s", "TXN", "trapline#producer-1", line)
    return log


@pytest.mark.parametrize(
    ("lines", "doubt"),
    [
        ((SENT.format("NO_ERROR"),), None),
        ((NONE_SENT,), None),
        ((SENT.format("_TRANSPORT"), SENT.format("NO_ERROR")), "_TRANSPORT, NO_ERROR"),
        ((SENT.format("_TIMED_OUT"),), "_TIMED_OUT"),
        ((SENT.format("NO_ERROR"), SENT.format("NO_ERROR")), "NO_ERROR, NO_ERROR"),
        ((NONE_SENT, SENT.format("_TRANSPORT")), "_TRANSPORT"),
        ((), "librdkafka does not say what it did"),
    ],
)
def test_one_that_was_sent_once_and_answered_well_is_the_only_sure_one(lines, doubt):
    assert heard(*lines).doubt() == doubt


def test_lines_above_debugging_are_passed_on(caplog):
    with caplog.at_level(logging.INFO):
        log = heard()
        log.log(logging.WARNING, "%s [%s] %s", "CONFWARN", "trapline#producer-1", "a line for people")
    assert [record.getMessage() for record in caplog.records] == [
        "CONFWARN [trapline#producer-1] a line for people"
    ]
