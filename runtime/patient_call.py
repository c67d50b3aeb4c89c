"""A call of a producer that is made again while its error says that this helps, and given up at last."""

# ruff: noqa: SLF001  librdkafka's own error codes begin with an underscore

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

from runtime.bounded_call import CallLeftBehindError, call_bounded
from runtime.kafka_clients import LogProducer
from runtime.kafka_errors import kafka_error

T = TypeVar("T")

CALL_TIMEOUT_S: Final = 5.0  # one blocking call of librdkafka; a time-out is retriable, so it only paces
_OVERDUE_S: Final = 5.0  # past its own time-out a call counts as lost (librdkafka#5456)
_PAUSE_S: Final = 0.1  # a retriable error can come back at once; this paces it


class CallGivenUpError(Exception):
    """A call was given up: whether it took effect is not known, and its producer can't go on.

    An open transaction is ended by whoever initialises its transactional id next.

    Attributes:
        cause: what it failed of last.
        left_behind: whether it has not returned at all.
    """

    def __init__(self, call: str, cause: KafkaError, *, left_behind: bool = False) -> None:
        super().__init__(f"{call}: {cause.str()}")
        self.cause = cause
        self.left_behind = left_behind


@dataclass(frozen=True, slots=True)
class Failure:
    """A call failed of what may pass.

    Attributes:
        call: its name.
        cause: what it failed of.
        waited_s: seconds since it was made first.
        producer: whose call it is.
    """

    call: str
    cause: KafkaError
    waited_s: float
    producer: LogProducer


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call is made again.

    Attributes:
        gives_up: asked after each failure.
        leaves: asked while the call is out; true leaves it behind.
    """

    gives_up: Callable[[Failure], bool]
    leaves: Callable[[], bool] = _never


def call_patiently(producer: LogProducer, name: str, call: Callable[[], T], patience: Patience) -> T:
    """Make a call, again while its error is retriable and the patience lasts.

    Args:
        producer: whose call it is.
        name: of the call, for errors.
        call: takes `CALL_TIMEOUT_S` as its own time-out.
        patience: how long.

    Raises:
        KafkaException: an error that is not retriable.
        CallGivenUpError: the patience is over, or the call does not return.
    """
    began_s = time.monotonic()
    while True:
        try:
            return call_bounded(call, CALL_TIMEOUT_S + _OVERDUE_S, patience.leaves)
        except CallLeftBehindError as error:
            silence = KafkaError(KafkaError._TIMED_OUT, f"{name} does not return: {error}")
            raise CallGivenUpError(name, silence, left_behind=True) from error
        except KafkaException as error:
            failure = Failure(name, kafka_error(error), time.monotonic() - began_s, producer)
            if not failure.cause.retriable():
                raise
            if patience.gives_up(failure):
                raise CallGivenUpError(name, failure.cause) from error
            time.sleep(_PAUSE_S)
