"""What a server does to a client, step by step: the vocabulary of image servers."""

from dataclasses import dataclass
from typing import Protocol


class Receipt(Protocol):
    """Told what became of the bytes of a Send, once for each client it was queued for."""

    def sent(self) -> None:
        """The last byte went into the client's connection."""

    def lost(self) -> None:
        """The client went away before."""


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes to send, gathered from buffers that nobody changes any more."""

    buffers: tuple[memoryview, ...]
    receipt: Receipt | None = None

    @classmethod
    def of(cls, *buffers: bytes | bytearray | memoryview, receipt: Receipt | None = None) -> "Send":
        """Send these buffers one after the other; empty ones are left out."""
        views = (memoryview(buffer).cast("B") for buffer in buffers)
        return cls(tuple(view for view in views if view.nbytes), receipt)

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return sum(view.nbytes for view in self.buffers)


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing to this client for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection; the client still reads what was sent before, then the end of the stream."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection at once: the client gets a connection reset and loses what it had not read."""


Action = Send | Pause | Close | Reset
