"""The named steps of a record's way: what a crash test or a trace can point at."""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """A point on the way from the decoder to Kafka; each is reached before what comes behind it."""

    BEFORE_APPEND = "before_append"  # the decoder has given it
    AFTER_APPEND = "after_append"  # it is in the spool
    AFTER_PRODUCE = "after_produce"  # Kafka's client has it
    AFTER_ACK = "after_ack"  # Kafka has it
    RELEASING = "releasing"  # a segment's frames are deleted, its index is not yet


OnStep = Callable[[Step, str, str | None], None]
"""Called with the step, the source's name, and the digest of the frame, if it is about one."""


def no_step(_step: Step, _source: str, _digest: str | None) -> None:
    """Observe nothing."""
