"""One connected client: its socket and the actions still to be done to it."""

import socket
import struct
from collections import deque
from enum import Enum, auto

from runtime.image_server.script import Action, Close, Pause, Reset, Send

_MAX_BUFFERS = 512
"""Buffers handed to one sendmsg; the kernel takes 1024."""


class Progress(Enum):
    """What a client waits for after `Client.advance`."""

    IDLE = auto()
    """Nothing: all is done."""
    BLOCKED = auto()
    """The client to read."""
    PAUSED = auto()
    """`Client.resume_s` on the monotonic clock."""
    CLOSED = auto()
    """Nothing any more: the script ended the connection."""


class Client:
    """A connection's backlog, sent as fast as the client reads. Never blocks.

    Args:
        connection: a connected, non-blocking stream socket.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.name = _name(connection)
        self.resume_s: float | None = None
        self.bytes_sent = 0
        self._actions: deque[Action] = deque()
        self._buffers: deque[memoryview] = deque()

    @property
    def backlog(self) -> int:
        """Number of sends that are not done."""
        return sum(isinstance(action, Send) for action in self._actions)

    @property
    def idle(self) -> bool:
        """Nothing is left to do."""
        return not self._actions

    def add(self, action: Action) -> None:
        """Append to what is to be done."""
        self._actions.append(action)

    def advance(self, now_s: float) -> Progress:
        """Do what can be done now.

        Raises:
            OSError: the client has gone away.
        """
        while self._actions:
            match self._actions[0]:
                case Send() as send:
                    if not self._send(send):
                        return Progress.BLOCKED
                case Pause(seconds):
                    if not self._pause(seconds, now_s):
                        return Progress.PAUSED
                case Reset():
                    # Closing with a linger time of zero sends RST and throws away what is still unsent.
                    self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return Progress.CLOSED
                case Close():
                    return Progress.CLOSED
        return Progress.IDLE

    def abandon(self) -> int:
        """Give up what is left; tells the receipts and returns the number of sends that were lost."""
        lost = [action for action in self._actions if isinstance(action, Send)]
        self._actions.clear()
        self._buffers.clear()
        for send in lost:
            if send.receipt is not None:
                send.receipt.lost()
        return len(lost)

    def _send(self, send: Send) -> bool:
        """Go on with the send in front; False when the connection takes no more for now."""
        if not self._buffers:
            self._buffers.extend(send.buffers)
        if not self._write():
            return False
        self._actions.popleft()
        if send.receipt is not None:
            send.receipt.sent()
        return True

    def _pause(self, seconds: float, now_s: float) -> bool:
        """Go on with the pause in front; False while it lasts."""
        if self.resume_s is None:
            self.resume_s = now_s + seconds
        if now_s < self.resume_s:
            return False
        self.resume_s = None
        self._actions.popleft()
        return True

    def _write(self) -> bool:
        """Write what is left of the buffers; False when the connection takes no more for now."""
        while self._buffers:
            try:
                count = self.socket.sendmsg(list(self._buffers)[:_MAX_BUFFERS])
            except (BlockingIOError, InterruptedError):
                return False
            self.bytes_sent += count
            while count:
                first = self._buffers.popleft()
                if count < first.nbytes:
                    self._buffers.appendleft(first[count:])
                    break
                count -= first.nbytes
        return True


def _name(connection: socket.socket) -> str:
    try:
        host, port, *_ = connection.getpeername()
    except OSError:  # reset between accept and here
        return "gone"
    return f"{host}:{port}"
