"""The named steps of a transaction: what a crash test, a trace or a reader of the log can point at."""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """A point in the publication of one transaction; each is reached before what it names goes on."""

    BEFORE_BEGIN = "before_begin"
    AFTER_IMAGE = "after_image"  # once an image, handed to the producer, which sends it meanwhile
    AFTER_ENTRIES = "after_entries"
    AFTER_SEND_OFFSETS = "after_send_offsets"
    COMMITTING = "committing"
    COMMITTED = "committed"


OnStep = Callable[[Step, int], None]
"""Called with the step and, for AFTER_IMAGE, the number of images of the transaction produced so far."""


def no_step(_step: Step, _images: int) -> None:
    """Observe nothing."""
