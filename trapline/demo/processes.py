"""The demo's processes: real ones, each with a log file, each ended with the demo however that ends.

What is killed from outside is started again, as Kubernetes or systemd would: the point of the demo is that
a broker, a connector or a grouper may be killed at any time.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from schemas.errors import TraplineError
from trapline.embedded.process import SupervisedProcess, stopped_within

_LAST_LINES = 12
_STOP_S = 30.0
_POLL_S = 0.05
_WATCH_S = 0.2
_KEPT = frozenset({"TRAPLINE_CACHE_DIR", "TRAPLINE_LOG_LEVEL"})


def forget_own_settings() -> None:
    """Take the user's own settings out of this process's environment: they are of another Kafka."""
    for name in [name for name in os.environ if name.upper().startswith("TRAPLINE_") and name not in _KEPT]:
        del os.environ[name]


class DemoError(TraplineError):
    """The demo could not run; names the process, and the last lines of its log."""


class Stage:
    """One running `trapline VERB`."""

    def __init__(
        self, verb: str, args: Sequence[str], environment: Mapping[str, str], log: Path, *, read: bool = False
    ) -> None:
        """Start it.

        Args:
            verb: what to run.
            args: its options.
            environment: added to this process's.
            log: where its standard error goes, and its standard output unless it is read.
            read: whether its standard output is read from `lines`.

        Raises:
            EmbeddedKafkaError: it can't be started.
        """
        self.verb = verb
        self.log = log
        self._start = (verb, args, environment, log)
        self._stopping = False
        self._lines: IO[str] | None = None
        output_fd: int | None = None
        if read:
            self._lines, output_fd = _pipe()
        try:
            self._process = SupervisedProcess(
                [sys.executable, "-m", "trapline", verb, *args],
                log=log,
                output_fd=output_fd,
                environment={**os.environ, **environment},
            )
        finally:
            if output_fd is not None:
                os.close(output_fd)

    @property
    def lines(self) -> IO[str]:
        """Its standard output."""
        if self._lines is None:
            raise ValueError(f"the output of {self.verb} goes to its log")
        return self._lines

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def killed_by(self) -> str | None:
        """The signal that ended it, unless we sent it."""
        status = self._status()
        return (
            signal.Signals(-status).name if status is not None and status < 0 and not self._stopping else None
        )

    def _status(self) -> int | None:
        """How it ended; None while it runs."""
        return None if self._process.running else self._process.status

    def again(self) -> "Stage":
        """The same, started anew."""
        return Stage(*self._start)

    def check(self) -> None:
        """Raise where it has ended.

        Raises:
            DemoError: names it and shows the end of its log.
        """
        status = self._status()
        if status is not None:
            raise DemoError(f"`trapline {self.verb}` ended with status {status}:\n{self.last_lines()}")

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and return its status.

        Raises:
            DemoError: it did not end in time.
        """
        if not self._process.wait(timeout_s) or self._process.status is None:
            raise DemoError(f"`trapline {self.verb}` did not end in {timeout_s:.0f} s")
        return self._process.status

    def end(self) -> None:
        """Ask it to stop, as Kubernetes would; after 30 s end it. What it has printed can still be read."""
        self._stopping = True
        stopped_within(self._process, _STOP_S)

    def stop(self) -> None:
        """As `end`; nothing can be read any more."""
        self.end()
        if self._lines is not None:
            self._lines.close()

    def last_lines(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join(f"  {line}" for line in lines)


def _pipe() -> tuple[IO[str], int]:
    """What reads, and the file descriptor that is written to."""
    read_fd, write_fd = os.pipe()
    return os.fdopen(read_fd, encoding="utf-8"), write_fd


class Stages:
    """All stages of a demo; as a context manager it stops them, the last one started first."""

    def __init__(self, folder: Path) -> None:
        """Keep the logs in `folder`."""
        self._folder = folder
        self._environment: dict[str, str] = {}
        self._stages: list[Stage] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._watch: threading.Thread | None = None
        self._failure: DemoError | None = None
        self._patience_s: float | None = None
        self._waiting_since_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def tell(self, **settings: str) -> None:
        """Give settings to every stage started from here on, as TRAPLINE_* variables."""
        self._environment |= {f"TRAPLINE_{name.upper()}": value for name, value in settings.items()}

    def start(self, verb: str, *args: str, read: bool = False) -> Stage:
        """Start a stage."""
        stage = Stage(verb, args, dict(self._environment), self._folder / f"{verb}.log", read=read)
        with self._lock:
            self._stages.append(stage)
        return stage

    def run(self, verb: str, *args: str, timeout_s: float = 60.0) -> None:
        """Run something that finishes.

        Raises:
            DemoError: it failed; shows the end of its log.
        """
        stage = Stage(verb, args, self._environment, self._folder / f"{verb}.log")
        status = stage.wait(timeout_s)
        if status != 0:
            raise DemoError(f"`trapline {verb}` ended with status {status}:\n{stage.last_lines()}")

    def pids(self) -> dict[str, int]:
        """The process id of each stage."""
        with self._lock:
            return {stage.verb: stage.pid for stage in self._stages}

    def expect(self, patience_s: float) -> None:
        """From now on something has to come within so many seconds, until this is called again."""
        self._patience_s, self._waiting_since_s = patience_s, time.monotonic()

    def check(self) -> None:
        """Raise where a stage has ended that should run, or what was expected did not come.

        Raises:
            DemoError: names it.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure
            for stage in self._stages:
                stage.check()

    def revive(self, verbs: Sequence[str], say: Callable[[str], None], failed: Callable[[], None]) -> None:
        """From here on, start again what is killed.

        Args:
            verbs: the stages to start again.
            say: prints a line.
            failed: called once where a stage ended otherwise, or what was expected did not come: `check`
                says what it was.
        """
        self._watch = threading.Thread(target=self._revive, args=(verbs, say, failed), name="watch")
        self._watch.start()

    def _revive(self, verbs: Sequence[str], say: Callable[[str], None], failed: Callable[[], None]) -> None:
        while not self._ended.wait(_WATCH_S):
            with self._lock:
                for number, stage in enumerate(self._stages):
                    if stage.verb in verbs and (name := stage.killed_by) is not None:
                        self._stages[number] = stage.again()
                        say(
                            f"  {stage.verb} (process {stage.pid}) was ended by {name}; started again as "
                            f"process {self._stages[number].pid}"
                        )
                self._failure = self._find_failure((*verbs, "emulator"))
            if self._failure is not None:
                failed()
                return

    def _find_failure(self, verbs: Sequence[str]) -> DemoError | None:
        for stage in self._stages:
            if stage.verb in verbs:
                try:
                    stage.check()
                except DemoError as failure:
                    return failure
        if self._patience_s is None or time.monotonic() <= self._waiting_since_s + self._patience_s:
            return None
        logs = "\n".join(f"{stage.log.name}:\n{stage.last_lines()}" for stage in self._stages)
        return DemoError(
            f"no group came for {self._patience_s:.0f} s, though every process runs. "
            f"The ends of their logs:\n{logs}"
        )

    def wait_for_file(self, path: Path, timeout_s: float) -> str:
        """Wait until a stage has written a file; return its text.

        Raises:
            DemoError: a stage ended, or the file was not written in time.
        """
        deadline_s = time.monotonic() + timeout_s
        while not path.exists() or not path.read_text().strip():
            self.check()
            if time.monotonic() > deadline_s:
                raise DemoError(f"{path.name} was not written within {timeout_s:.0f} s")
            time.sleep(_POLL_S)
        return path.read_text().strip()

    def stop(self) -> None:
        """Stop all that runs, the last one started first: readers before what they read."""
        self._ended.set()
        if self._watch is not None:
            self._watch.join()
        while self._stages:
            self._stages.pop().stop()
