"""A process that reads image servers and writes down when the first byte of each timestamp came."""

import json
import selectors
import socket
import time
from dataclasses import dataclass

import click

from runtime.settings import TraplineSettings, load_settings
from schemas.frame import HEADER_SIZE
from schemas.frame_layout import read_lengths
from schemas.source import ServerSource

_BUFFER = bytearray(1 << 20)


@dataclass(eq=False, slots=True)
class Stream:
    """One server's frames.

    Attributes:
        header: what has come of the header of the frame under way.
        left: bytes of it that have not come; of the header, as long as that is not whole.
        frames: frames that have begun.
    """

    header: bytes = b""
    left: int = HEADER_SIZE
    frames: int = 0


@click.command()
def read() -> None:
    """Read to the end; write the times as JSON, on the monotonic clock, in the order of the timestamps."""
    sources = load_settings(TraplineSettings).sources
    selector = selectors.DefaultSelector()
    for source in sources:
        if isinstance(source, ServerSource):
            connection = socket.create_connection((source.host, source.port))
            selector.register(connection, selectors.EVENT_READ, Stream())
    times: list[float] = []
    while selector.get_map():
        for key, _ in selector.select():
            stream: Stream = key.data
            began = stream.left == HEADER_SIZE and not stream.header
            connection = key.fileobj  # type: ignore[assignment]  # as registered
            count = connection.recv_into(_BUFFER, min(stream.left, len(_BUFFER)))
            if began and count:
                stream.frames += 1
                if stream.frames > len(times):  # no source of this timestamp came before
                    times.append(time.monotonic())
            if not count:
                selector.unregister(connection)
                connection.close()
            _advance(stream, count)
    print(json.dumps(times))


def _advance(stream: Stream, count: int) -> None:
    stream.left -= count
    in_header = len(stream.header) < HEADER_SIZE
    if in_header:
        stream.header += _BUFFER[:count]
    if stream.left == 0:
        if in_header:
            stream.left = sum(read_lengths(stream.header))
        else:
            stream.header, stream.left = b"", HEADER_SIZE


if __name__ == "__main__":
    read()
