"""Image servers, one port a source, with what every user of them does: wait, serve, say good-bye."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from runtime.health import Heartbeat
from runtime.image_server.client import Client
from runtime.image_server.errors import PortError
from runtime.image_server.script import Action, Close
from runtime.image_server.switchboard import Departure, Port, Switchboard
from runtime.logs import get_logger
from schemas.pixel_order import PixelOrder
from schemas.source import ServerSource

log = get_logger(__name__)

DRAIN_S: Final = 5.0
"""How long clients may take to read what is under way once there will be no more."""

_LAST_PORT: Final = 65_535

_TURN_S: Final = 1.0
"""Longest wait in the loop; each turn is a heartbeat."""

_GOODBYE_S: Final = 5.0
"""How long clients may take to hang up after the end of the stream."""

_ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not listened on


class ImageServers:
    """The ports and clients of some sources. All methods but `stop` and `wake` belong to one thread.

    Attributes:
        ports: by source, in the order in which they were opened.
        heartbeat: beats while the thread serves.
    """

    def __init__(self, on_clients: Callable[[str, int], None]) -> None:
        """Open nothing yet.

        Args:
            on_clients: told of each source whose number of clients has changed, and of the number.
        """
        self.ports: dict[str, Port] = {}
        self.heartbeat = Heartbeat()
        self._on_clients = on_clients
        self._switchboard = Switchboard(self._on_departure)
        self._stop = threading.Event()

    def listen(self, host: str, first_port: int, sources: Iterable[str]) -> None:
        """Open a port for each source: this one and those that follow it; 0 takes free ones.

        Raises:
            PortError: one cannot be had.
        """
        for index, source in enumerate(sources):
            number = first_port + index if first_port else 0
            if number > _LAST_PORT:
                raise PortError(f"{source} would need port {number}; the last one there is is {_LAST_PORT}")
            self.ports[source] = self._switchboard.listen(host, number, self._greet)

    def sources(self, pixel_order: PixelOrder | Mapping[str, PixelOrder]) -> tuple[ServerSource, ...]:
        """The servers as a connector is told of them, with their real ports.

        Args:
            pixel_order: of the frames that are served: of all sources, or by source.
        """
        return tuple(
            ServerSource(
                name,
                # A client cannot connect to "all addresses"; on this machine the loopback address does.
                "127.0.0.1" if port.host in _ANY_ADDRESS else port.host,
                port.number,
                pixel_order=pixel_order if isinstance(pixel_order, PixelOrder) else pixel_order[name],
            )
            for name, port in self.ports.items()
        )

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    @property
    def idle(self) -> bool:
        """Every client has everything."""
        return self._switchboard.idle

    def stop(self) -> None:
        """Let `serve_until` end; from any thread."""
        self._stop.set()
        self._switchboard.wake()

    def wake(self) -> None:
        """Have `serve_until` look at its condition again; from any thread."""
        self._switchboard.wake()

    def clients(self, source: str) -> tuple[Client, ...]:
        """Those connected to a source now."""
        return tuple(self.ports[source].clients)

    def everyone_here(self, number: int) -> bool:
        """Every source that takes clients has so many."""
        return all(len(port.clients) >= number for port in self.ports.values() if port.listening)

    def queue(self, source: str, client: Client, actions: Iterable[Action]) -> None:
        """Append actions for a client and do at once what can be done."""
        self._switchboard.queue(self.ports[source], client, actions)

    def drop(self, source: str, client: Client) -> int:
        """Close a client's connection; returns the number of sends that it will not have."""
        port = self.ports[source]
        lost = self._switchboard.drop(port, client)
        self._on_clients(source, len(port.clients))
        return lost

    def end_source(self, source: str) -> None:
        """Take no new clients of a source, and close the others' connections behind what is under way."""
        port = self.ports[source]
        self._switchboard.stop_listening(port)
        for client in list(port.clients):
            self._switchboard.queue(port, client, [Close()])

    def serve_now(self) -> None:
        """Serve what is ready; notice who came and went."""
        self._switchboard.turn(0.0)
        self.heartbeat.beat()

    def serve_until(self, condition: Callable[[], bool], deadline_s: float | None = None) -> None:
        """Serve until a condition holds, a (monotonic) time has come, or `stop` is called."""
        while not self._stop.is_set() and not condition():
            wait_s = _TURN_S if deadline_s is None else min(deadline_s - time.monotonic(), _TURN_S)
            if wait_s <= 0:
                return
            self._switchboard.turn(wait_s)
            self.heartbeat.beat()

    def wait_for_clients(self, number: int) -> None:
        """Serve until every source has so many clients, or `stop` is called."""
        if not self.everyone_here(number):
            log.info("waiting for clients", per_source=number)
            self.serve_until(lambda: self.everyone_here(number))

    def finish(self, *, drain_s: float | None = DRAIN_S) -> None:
        """Let the clients read what is under way, then the end of the stream.

        Args:
            drain_s: how long they may take; None: for ever, until `stop` is called, and then `DRAIN_S`.
        """
        for port in self.ports.values():
            self._switchboard.stop_listening(port)
        self.serve_until(lambda: self.idle, None if drain_s is None else time.monotonic() + drain_s)
        if self.stopped:
            self.drain(lambda: self.idle, DRAIN_S)
        self._switchboard.half_close()
        self.drain(lambda: not any(port.clients for port in self.ports.values()), _GOODBYE_S)

    def drain(self, condition: Callable[[], bool], at_most_s: float) -> None:
        """Serve until a condition holds, also after a stop."""
        until_s = time.monotonic() + at_most_s
        while not condition() and time.monotonic() < until_s:
            self._switchboard.turn(until_s - time.monotonic())

    def close(self) -> None:
        """Close all ports and connections."""
        self._switchboard.close()

    def _source_of(self, port: Port) -> str:
        return next(name for name, each in self.ports.items() if each is port)

    def _greet(self, port: Port, client: Client) -> None:
        source = self._source_of(port)
        self._on_clients(source, len(port.clients))
        log.info("client connected", source=source, client=client.name)

    def _on_departure(self, departure: Departure) -> None:
        source = self._source_of(departure.port)
        self._on_clients(source, len(departure.port.clients))
        log.info(
            "client gone",
            source=source,
            client=departure.client.name,
            reason=departure.reason,
            frames_lost=departure.lost_sends,
        )
