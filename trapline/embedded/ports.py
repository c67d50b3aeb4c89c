"""Free ports, on 127.0.0.1."""

import errno
import random
import socket
from collections.abc import Collection
from pathlib import Path

from trapline.embedded.errors import PortError

HOST = "127.0.0.1"
_LOWEST = 15_000
_HIGHEST = 32_000
_TRIES = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now.

    Raises:
        PortError: it may not be asked for: below 1024 without the right to it.
    """
    with socket.socket() as probe:
        # As Java does on POSIX: connections that linger after a stop do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except PermissionError as error:
            raise PortError(
                f"port {port} needs rights that this user has not; take one above 1023"
            ) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise PortError(f"cannot listen on {HOST}:{port}: {error}") from error
            return False
        return True


def free_port(taken: Collection[int] = ()) -> int:
    """A free port that outgoing connections do not get.

    The broker keeps its port over restarts. Were it one of the kernel's ephemeral ports, a client that
    tries to reconnect in between could be given that very port for its own end, even connect to itself,
    and the broker would find it taken.

    Args:
        taken: ports that are not wanted.

    Raises:
        PortError: none was found.
    """
    highest = min(_HIGHEST, _first_ephemeral_port())
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, highest)  # noqa: S311  nothing secret
        if port not in taken and is_free(port):
            return port
    raise PortError(f"no free port on {HOST} between {_LOWEST} and {highest}")


def _first_ephemeral_port() -> int:
    """Of Linux's range; elsewhere it begins at 49152, above what we ask for."""
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _HIGHEST
    return first if first > _LOWEST + _TRIES else _HIGHEST
