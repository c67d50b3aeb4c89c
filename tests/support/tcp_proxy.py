"""A wire between an image server and a connector that can be cut, stalled and slowed."""

import asyncio
from collections.abc import Callable

from tests.support.proxy_loop import HOST, ProxyLoop, reset

_CHUNK_BYTES = 4096
_SLOW_CHUNK_BYTES = 256


class TcpProxy:
    """Listens on a port of its own, which stays the same; each connection goes on to `target()`.

    Args:
        loop: that serves it.
        target: asked at each connection, since a server that was started again may have another port.

    Attributes:
        connections: taken so far.
        cut_connections: broken by `cut`.
        stalled_bytes: that had to wait while stalled.
        slowed_bytes: that went through slowed.
        forwarded_bytes: all.
    """

    def __init__(self, loop: ProxyLoop, target: Callable[[], int]) -> None:
        self.connections = 0
        self.cut_connections = 0
        self.stalled_bytes = 0
        self.slowed_bytes = 0
        self.forwarded_bytes = 0
        self._loop = loop
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._bytes_per_s: float | None = None
        self._server, self._flowing = loop.run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> int:
        """Break all connections, in the middle of whatever is under way; returns how many."""
        writers = len(self._open)
        self._loop.call(self._cut)
        return writers // 2

    def stall(self) -> None:
        """Hold all bytes back; connections stay."""
        self._loop.call(self._flowing.clear)

    def slow(self, bytes_per_s: float) -> None:
        """Let no more than so many bytes a second through, for each connection."""
        self._bytes_per_s = bytes_per_s

    def heal(self) -> None:
        """Let everything through again."""
        self._bytes_per_s = None
        self._loop.call(self._flowing.set)

    async def _listen(self) -> tuple[asyncio.Server, asyncio.Event]:
        flowing = asyncio.Event()
        flowing.set()
        return await self._loop.listen(0, self._serve), flowing

    def _cut(self) -> None:
        self.cut_connections += len(self._open) // 2
        for writer in list(self._open):
            reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection(HOST, self._target())
        except OSError:
            reset(writer)
            return
        ends = {writer, up_writer}
        self._open |= ends
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(up_reader, writer))
                group.create_task(self._pump(reader, up_writer))
        finally:
            self._open -= ends
            for end in ends:
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_SLOW_CHUNK_BYTES if self._bytes_per_s else _CHUNK_BYTES):
                if not self._flowing.is_set():
                    self.stalled_bytes += len(data)
                    await self._flowing.wait()
                if self._bytes_per_s:
                    self.slowed_bytes += len(data)
                    await asyncio.sleep(len(data) / self._bytes_per_s)
                writer.write(data)
                await writer.drain()
                self.forwarded_bytes += len(data)
            writer.write_eof()
        except OSError:
            reset(writer)
