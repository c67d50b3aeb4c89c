"""What became of each EndTxn, out of librdkafka's own log: nothing else tells it of all of them.

librdkafka sends an EndTxn again by itself where its connection broke. No return value says so, and the error
callback is left out of a break like one that it has told of lately. The first request may still be on its
way, and end the *next* transaction (KAFKA-17754). With `debug=eos` librdkafka writes a line for each EndTxn
that ended, with an answer or without one, before the call that waits for it returns
(docs/decisions/0022-unsure-ends.md).
"""

import logging
from typing import Final

from runtime.kafka_state import librdkafka_log

DEBUG: Final = "eos"
"""What librdkafka's `debug` has to name."""

_RETURNED: Final = "EndTxn returned "
_NOT_SENT: Final = "not sending EndTxn"
_WELL: Final = "NO_ERROR"


class EndTxnLog:
    """The logger of one transactional producer; lines above debugging are passed on.

    Lines wait inside the producer until its `poll` or `flush`. It has to be asked after a `poll(0)`.
    """

    def __init__(self) -> None:
        self._answers: list[str] = []
        self._not_sent = False

    def log(self, level: int, form: str, *words: object) -> None:
        """Take a line, as confluent-kafka gives it to a logger."""
        if level > logging.DEBUG:
            librdkafka_log.log(level, form, *words)
            return
        line = str(words[-1]) if words else form
        _, returned, rest = line.partition(_RETURNED)
        if returned:
            self._answers.append(rest.partition(" ")[0])
        elif _NOT_SENT in line:
            self._not_sent = True

    def begin(self) -> None:
        """A commit or an abort begins: forget the ones before."""
        self._answers.clear()
        self._not_sent = False

    def doubt(self) -> str | None:
        """Why an EndTxn sent since `begin` may still be on its way to Kafka; None where none can be.

        Exactly one was sent and answered well, or none was needed: anything else is a doubt, also that
        librdkafka wrote nothing, or wrote it in other words.
        """
        if self._answers == [_WELL] or (self._not_sent and not self._answers):
            return None
        return ", ".join(self._answers) if self._answers else "librdkafka does not say what it did"
