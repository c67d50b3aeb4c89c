"""The socket to an image server."""

import socket
import struct
from typing import Final

from schemas.source import ServerSource

# A peer that vanished (a cable, a firewall) is noticed after 60 + 3 x 20 s of silence; a silent one answers.
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 3}


def connect(source: ServerSource, *, timeout_s: float, tick_s: float) -> socket.socket:
    """Connect to an image server.

    The socket's `recv_into` blocks, and raises BlockingIOError after `tick_s` without a byte. The time-out
    is the kernel's (SO_RCVTIMEO): with Python's own, each read would be two system calls, and a thread
    that lets go of the interpreter twice. The size of the receive buffer is left to the kernel, which fits
    it to the connection, up to far more than SO_RCVBUF may ask for on most machines.

    Args:
        source: where the server is.
        timeout_s: how long each of its addresses may take to answer.
        tick_s: how long a read waits for a byte.

    Raises:
        OSError: it did not answer, or there is no such host.
    """
    connection = socket.create_connection((source.host, source.port), timeout=timeout_s)
    try:
        connection.settimeout(None)
        seconds, fraction = divmod(tick_s, 1.0)
        tick = struct.pack("@ll", int(seconds), int(fraction * 1_000_000))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, tick)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):  # not every system has all three
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except BaseException:
        connection.close()
        raise
    return connection
