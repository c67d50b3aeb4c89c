"""What the embedded Kafka tells while it makes itself ready."""

from typing import Protocol


class Progress(Protocol):
    """Somebody who watches a start. Called from the thread that starts the broker alone."""

    def step(self, text: str) -> None:
        """A step that may take seconds begins."""

    def downloaded(self, done_bytes: int, total_bytes: int) -> None:
        """So much of the jars is here."""


class Unwatched:
    """Nobody watches."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def downloaded(self, done_bytes: int, total_bytes: int) -> None:
        """Say nothing."""
