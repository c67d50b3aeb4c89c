"""A scripted server: does to each client exactly what a test wants done."""

import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from runtime.image_server.client import Client
from runtime.image_server.script import Action, Send
from runtime.image_server.switchboard import Departure, Port, Switchboard

_TURN_S = 1.0

ScriptStep = bytes | bytearray | memoryview | Action
"""Bytes to send, or Send, Pause, Close, Reset."""


class FrameServer:
    """One port of the loopback address; each client gets a script of bytes, pauses and ends.

    The first client gets the first script, the second one the second, …; further ones the last. After a
    script without Close or Reset the connection stays open and silent.

    Example:
        with FrameServer([frame, frame[:100], Close()], [frame]) as server:
            connect_to(server.port)  # a frame and a cut one; after reconnecting, a good one

    Args:
        scripts: at least one; `push` sends more later.
        port: 0 takes a free one.
    """

    def __init__(self, *scripts: Sequence[ScriptStep], port: int = 0) -> None:
        self._scripts = [[_action(step) for step in script] for script in scripts or ([],)]
        self._asked_port = port
        self._switchboard: Switchboard | None = None
        self._port: Port | None = None
        self._thread: threading.Thread | None = None
        self._pushed: deque[list[Action]] = deque()
        self._stop = threading.Event()
        self.connections = 0
        """Clients that have connected so far."""
        self.departures: list[str] = []
        """Why clients went away by themselves: 'end of stream' or an error, one a client."""

    @property
    def port(self) -> int:
        """The real port."""
        if self._port is None:
            raise RuntimeError("port before start()")
        return self._port.number

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return 0 if self._port is None else len(self._port.clients)

    def start(self) -> None:
        """Listen and serve in a thread.

        Raises:
            PortError: the port cannot be had.
        """
        switchboard = Switchboard(self._on_departure)
        try:
            self._port = switchboard.listen("127.0.0.1", self._asked_port, self._greet)
        except BaseException:
            switchboard.close()
            raise
        self._switchboard = switchboard
        self._thread = threading.Thread(target=self._serve, args=(switchboard,), daemon=True)
        self._thread.start()

    def push(self, *steps: ScriptStep) -> None:
        """Append to the script of every client that is connected now; from any thread."""
        self._pushed.append([_action(step) for step in steps])
        if self._switchboard is not None:
            self._switchboard.wake()

    def stop(self) -> None:
        """Close all connections and the port. Idempotent."""
        self._stop.set()
        if self._switchboard is not None:
            self._switchboard.wake()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self, switchboard: Switchboard) -> None:
        try:
            while not self._stop.is_set():
                switchboard.turn(_TURN_S)
                while self._pushed:
                    actions = self._pushed.popleft()
                    for port, client in switchboard.clients():
                        switchboard.queue(port, client, actions)
        finally:
            switchboard.close()

    def _greet(self, port: Port, client: Client) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        if self._switchboard is not None:
            self._switchboard.queue(port, client, script)

    def _on_departure(self, departure: Departure) -> None:
        self.departures.append(departure.reason)


def _action(step: ScriptStep) -> Action:
    return Send.of(step) if isinstance(step, (bytes, bytearray, memoryview)) else step
