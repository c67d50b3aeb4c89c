"""The thread that proxies run on: an asyncio loop, driven from the test's own thread."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from tests.support.waiting import timeout_s

T = TypeVar("T")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
HOST = "127.0.0.1"
_LINGER_NONE = struct.pack("ii", 1, 0)


class ProxyLoop:
    """A context manager; every proxy on it is closed with it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work on the loop, and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s(30))

    def call(self, function: Callable[..., None], *args: object) -> None:
        """Call on the loop, where alone the connections may be touched, and wait until it is done."""

        async def work() -> None:
            function(*args)

        self.run(work())

    async def listen(self, port: int, serve: Serve) -> asyncio.Server:
        """Open a port on the loop; 0 takes a free one."""

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # asyncio itself holds no strong reference: with its client gone, a connection that still waits
            # for the other side would be collected.
            task = asyncio.get_running_loop().create_task(serve(reader, writer))
            self._connections.add(task)
            task.add_done_callback(lambda task: self._served(task, writer))

        server = await asyncio.start_server(connected, HOST, port)
        self._servers.append(server)
        return server

    def _served(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self._connections.discard(task)
        if task.cancelled():  # perhaps before its first step, when nobody else would close it
            writer.transport.abort()
        elif (error := task.exception()) is not None:
            writer.transport.abort()
            self._loop.call_exception_handler({"message": "a proxy's connection failed", "exception": error})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.run(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel_all(self) -> None:
        # A server logs each connection's end as an error; these are meant.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        for server in self._servers:
            server.close()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)
        for _ in range(3):  # callbacks of what has ended, then closed transports tell their sockets
            await asyncio.sleep(0)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a broken network does: what was under way is gone, the other side gets a reset."""
    end = writer.get_extra_info("socket")
    if end is not None and end.fileno() >= 0:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    writer.transport.abort()
