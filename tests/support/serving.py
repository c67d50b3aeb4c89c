"""Recorded groups, with their frames in raw, and `trapline serve` as a process that plays them."""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from astropy.io.fits import Header
from confluent_kafka import TopicPartition

from runtime.kafka import admin_client
from runtime.settings import TraplineSettings
from schemas.source import ServerSource, Source
from tests.support.grouping import grouping
from tests.support.groups_reader import read_entries
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import timeout_s, wait_until


def record(raw: RawTopic, seconds: Sequence[int], shape=(6, 8)) -> RawTopic:
    """Put a run into raw, and have it grouped."""
    before = len(read_entries(raw.bootstrap_servers, raw.names.catalogue))
    with grouping(raw):
        for second in seconds:
            raw.send(at(second), shape=shape)
        wait_until(
            lambda: len(read_entries(raw.bootstrap_servers, raw.names.catalogue)) >= before + len(seconds),
            f"{len(seconds)} groups",
            60,
        )
    return raw


def delete_raw(raw: RawTopic, before: int) -> None:
    """Do what retention does: delete the frames at offsets before this one."""
    admin = admin_client(TraplineSettings(bootstrap_servers=raw.bootstrap_servers))
    (done,) = admin.delete_records([TopicPartition(raw.names.raw, 0, before)]).values()
    done.result(timeout_s(30))


class Serve:
    """A running `trapline serve`."""

    def __init__(
        self, bootstrap_servers: str, prefix: str, folder: Path, options: Sequence[object], **more: str
    ) -> None:
        self._ports = folder / f"ports-{len(list(folder.iterdir()))}"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "trapline", "serve", "--port", "0", *map(str, options)),
                *("--ports-file", str(self._ports)),  # of an option that is said twice the last one holds
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "TRAPLINE_BOOTSTRAP_SERVERS": bootstrap_servers,
                "TRAPLINE_TOPIC_PREFIX": prefix,
                "TRAPLINE_LOG_FORMAT": "json",
                **more,
            },
        )
        self._output = ["", ""]
        streams = (self.process.stdout, self.process.stderr)
        self._threads = [
            threading.Thread(target=self._read, args=(number, stream), daemon=True)
            for number, stream in enumerate(streams)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def out(self) -> str:
        """What it has printed."""
        return self._output[0]

    @property
    def err(self) -> str:
        """Its log."""
        return self._output[1]

    def sources(self) -> dict[str, ServerSource]:
        """Where its servers listen, once they do."""
        wait_until(
            lambda: self._ports.exists() or self.process.poll() is not None, lambda: f"ports: {self.err}", 60
        )
        if not self._ports.exists():
            raise AssertionError(f"it ended: {self.err}")
        sources = (Source.parse(text) for text in self._ports.read_text().strip().split(","))
        return {source.name: source for source in sources if isinstance(source, ServerSource)}

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Its exit status."""
        status = self.process.wait(timeout_s(90))
        for thread in self._threads:
            thread.join()
        assert "Traceback" not in self.err, self.err
        return status

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()

    def _read(self, number: int, stream) -> None:
        with stream:
            for line in stream:
                self._output[number] += line


class SlowClient:
    """Takes as many bytes of one server as it is told to; its end of the connection holds few more."""

    def __init__(self, source: ServerSource) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self._socket.settimeout(timeout_s(60))
        self._socket.connect((source.host, source.port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def take(self, count: int) -> bytes:
        """The next so many bytes."""
        data = bytearray()
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            assert part, "the stream ended"
            data += part
        return bytes(data)


class SimpleReader:
    """Reads a server in the plainest way, as the first receivers of these servers did: by fixed lengths.

    Attributes:
        images: (header, pixels) so far.
    """

    def __init__(self, source: ServerSource) -> None:
        self.images: list[tuple[Header, np.ndarray]] = []
        self._socket = socket.create_connection((source.host, source.port), timeout=timeout_s(60))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> list[tuple[Header, np.ndarray]]:
        """All images, once the stream has ended."""
        self._thread.join(timeout_s(90))
        assert not self._thread.is_alive()
        return self.images

    def _run(self) -> None:
        with self._socket:
            while start := self._take(512):
                magic, text_length, pixels_length = struct.unpack("<QII", start[:16])
                assert magic == 0x47494A53484F4D4F
                header = Header.fromstring(self._take(text_length).decode("ascii"))
                pixels = np.array(struct.unpack(f"<{pixels_length // 4}f", self._take(pixels_length)))
                self.images.append((header, pixels.reshape(header["NAXIS2"], header["NAXIS1"])))

    def _take(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self._socket.recv(length - len(data))
            if not part:
                assert data == b"", "the stream ended inside a frame"
                return data
            data += part
        return data
