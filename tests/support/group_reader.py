"""The other end of tests.support.group_reader_process: what it has in hand, told to go on, killed."""

import os
import queue
import subprocess
import sys
import threading
from types import TracebackType
from typing import Literal, Self

from consumer.settings import ConsumerSettings
from schemas.timestamp import parse_key
from tests.support.published_groups import SECOND_US, START_US
from tests.support.waiting import timeout_s


class GroupReader:
    """A process that holds one group at a time."""

    def __init__(
        self, what: Literal["stream", "trap"], settings: ConsumerSettings, **environment: str
    ) -> None:
        host, port = settings.bootstrap_servers.rsplit(":", 1)
        own = {
            "TRAPLINE_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "TRAPLINE_TOPIC_PREFIX": settings.topic_prefix,
            "TRAPLINE_READER_SESSION_TIMEOUT_S": "6",
            "TRAPLINE_TEST_HOST": host,
            "TRAPLINE_TEST_PORT": port,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.group_reader_process", what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **own, **environment},
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def in_hand(self, within_s: float = 60.0) -> int:
        """The second of the group that it got next."""
        try:
            line = self._lines.get(timeout=timeout_s(within_s))
        except queue.Empty:
            raise AssertionError(f"no group came within {timeout_s(within_s):g} s") from None
        return (parse_key(line.encode()) - START_US) // SECOND_US

    def go_on(self) -> None:
        """Have it ask for the next group."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")

    def next(self) -> int:
        """Have it ask for the next group, and say which it got."""
        self.go_on()
        return self.in_hand()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(timeout_s(30))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._reading.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
