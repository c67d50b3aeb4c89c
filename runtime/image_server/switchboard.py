"""Listening ports and their clients, all served by one thread that never waits for a single one of them."""

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from runtime.image_server.client import Client, Progress
from runtime.image_server.errors import PortError
from runtime.image_server.script import Action

_RECEIVE_SIZE = 65536


@dataclass(eq=False, slots=True)
class Port:
    """A listening port and the clients on it.

    Attributes:
        host: as asked for.
        number: the real one, also where port 0 was asked for.
        greet: called with the port and each new client.
    """

    host: str
    number: int
    greet: Callable[["Port", Client], None]
    listener: socket.socket
    clients: list[Client] = field(default_factory=list)
    listening: bool = True


@dataclass(frozen=True, slots=True)
class Departure:
    """A client that went away by itself or broke.

    Attributes:
        port: on which it was.
        client: its connection, closed.
        lost_sends: sends queued for it that it has not had wholly.
        reason: 'end of stream' or the system's error text.
    """

    port: Port
    client: Client
    lost_sends: int
    reason: str


class Switchboard:
    """Ports, clients and their backlogs. All methods but `wake` belong to the one thread that serves.

    A client that closes its sending side counts as gone: the protocol has nothing for clients to say.

    Args:
        on_departure: told of each client that went away, not of those that `drop` or a script closed.
    """

    def __init__(self, on_departure: Callable[[Departure], None]) -> None:
        self.ports: list[Port] = []
        self._on_departure = on_departure
        self._selector = selectors.DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        for end in (self._waker, self._woken):
            end.settimeout(0)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._paused: set[tuple[Port, Client]] = set()

    def listen(self, host: str, number: int, greet: Callable[[Port, Client], None]) -> Port:
        """Open a port; 0 takes a free one.

        Raises:
            PortError: the port cannot be had.
        """
        try:
            family, _, _, _, address = socket.getaddrinfo(
                host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.create_server(address[:2], family=family, backlog=64)
        except OSError as error:
            raise PortError(
                f"cannot listen on {host} port {number}: {error.strerror or error}; "
                "choose another --port or --host (--port 0 takes free ports)"
            ) from error
        listener.settimeout(0)
        port = Port(host, listener.getsockname()[1], greet, listener)
        self._selector.register(listener, selectors.EVENT_READ, port)
        self.ports.append(port)
        return port

    def wake(self) -> None:
        """Make `turn` return; from any thread and any time before `close`."""
        # Full means that a wake-up is already under way; closed, that nobody waits any more.
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def queue(self, port: Port, client: Client, actions: Iterable[Action]) -> None:
        """Append actions for a client and do at once what can be done."""
        for action in actions:
            client.add(action)
        self._advance(port, client)

    def turn(self, timeout_s: float) -> None:
        """Serve what is ready; wait for it at most `timeout_s` when nothing is."""
        now_s = time.monotonic()
        for _, client in self._paused:
            if client.resume_s is not None:
                timeout_s = min(timeout_s, client.resume_s - now_s)
        for key, events in self._selector.select(max(timeout_s, 0.0)):
            match key.data:
                case None:
                    with contextlib.suppress(BlockingIOError):
                        self._woken.recv(_RECEIVE_SIZE)
                case Port() as port:
                    self._accept(port)
                case (Port() as port, Client() as client):
                    if client in port.clients and events & selectors.EVENT_READ:
                        self._read(port, client)
                    if client in port.clients and events & selectors.EVENT_WRITE:
                        self._advance(port, client)
        for port, client in list(self._paused):
            self._advance(port, client)

    @property
    def idle(self) -> bool:
        """Every client has everything."""
        return all(client.idle for port in self.ports for client in port.clients)

    def clients(self) -> Iterator[tuple[Port, Client]]:
        """All clients with their ports; the caller may drop clients meanwhile."""
        return iter([(port, client) for port in self.ports for client in port.clients])

    def drop(self, port: Port, client: Client) -> int:
        """Close a client's connection; returns the number of sends that it will not have."""
        self._forget(port, client)
        client.socket.close()
        return client.abandon()

    def stop_listening(self, port: Port) -> None:
        """Take no new clients on a port; connection attempts are refused from now on."""
        if port.listening:
            port.listening = False
            self._selector.unregister(port.listener)
            port.listener.close()

    def half_close(self) -> None:
        """Send every client the end of the stream, behind all that was sent."""
        for port, client in self.clients():
            try:
                client.socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                self._depart(port, client, str(error.strerror or error))

    def close(self) -> None:
        """Close all ports and connections."""
        for port, client in self.clients():
            self.drop(port, client)
        for port in self.ports:
            self.stop_listening(port)
        self._selector.close()
        self._waker.close()
        self._woken.close()

    def _accept(self, port: Port) -> None:
        try:
            connection, _ = port.listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            raise PortError(
                f"cannot take another client on port {port.number}: {error.strerror}; "
                "a higher limit of open files (ulimit -n) helps"
            ) from error
        connection.settimeout(0)
        # A frame's last segment leaves at once instead of waiting for the next frame's first bytes.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = Client(connection)
        port.clients.append(client)
        self._selector.register(connection, selectors.EVENT_READ, (port, client))
        port.greet(port, client)

    def _read(self, port: Port, client: Client) -> None:
        """Clients have nothing to say; reading only finds out who has gone."""
        try:
            if client.socket.recv(_RECEIVE_SIZE):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._depart(port, client, str(error.strerror or error))
            return
        self._depart(port, client, "end of stream")

    def _advance(self, port: Port, client: Client) -> None:
        try:
            progress = client.advance(time.monotonic())
        except OSError as error:
            self._depart(port, client, str(error.strerror or error))
            return
        self._paused.discard((port, client))
        events = selectors.EVENT_READ
        match progress:
            case Progress.CLOSED:
                self.drop(port, client)
                return
            case Progress.PAUSED:
                self._paused.add((port, client))
            case Progress.BLOCKED:
                events |= selectors.EVENT_WRITE
            case Progress.IDLE:
                pass
        if self._selector.get_key(client.socket).events != events:
            self._selector.modify(client.socket, events, (port, client))

    def _depart(self, port: Port, client: Client, reason: str) -> None:
        self._on_departure(Departure(port, client, self.drop(port, client), reason))

    def _forget(self, port: Port, client: Client) -> None:
        port.clients.remove(client)
        self._paused.discard((port, client))
        self._selector.unregister(client.socket)
