"""A process of ours under chaos: killed, stopped, started again, and watched."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from runtime.settings_sources import ENV_PREFIX
from tests.support.waiting import timeout_s, wait_until

ROOT = Path(__file__).parents[2]
# Linux sends SIGKILL to the process when the one that started it dies, however it does: a chaos run that
# is cut off leaves nothing running. It stays in force over exec.
_LEASH = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.executable, sys.argv[1:])"


class Worker:
    """One role's process; each start is a life of it, with a log file of its own.

    Args:
        name: of the log files.
        verb: of `trapline`.
        options: of each life; called with the life's number, from 1.
        environment: TRAPLINE_* for it; the caller's own are left out.
        folder: of the logs.

    Attributes:
        life: how often it was started.
        expected_end: it is to end: by our hand, or by what was done to it.
        lines: of standard output so far, of all lives: when each came (time.time()) and what it says.
    """

    def __init__(
        self,
        name: str,
        verb: str,
        options: Callable[[int], Sequence[str]],
        environment: Mapping[str, str],
        folder: Path,
    ) -> None:
        self.name = name
        self.life = 0
        self.expected_end = False
        self.lines: list[tuple[float, int, str]] = []
        self._verb = verb
        self._options = options
        self._environment = environment
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._unexpected: list[str] = []
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Exit status of the latest life; negative: the signal."""
        return None if self._process is None else self._process.poll()

    @property
    def stopped(self) -> bool:
        """SIGSTOP is in effect: asked of the kernel."""
        return self.alive and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    @property
    def log(self) -> Path:
        return self._folder / f"{self.name}.{self.life}.log"

    def start(self) -> None:
        self._note_end()
        self.life += 1
        self.expected_end = False
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", "-c", _LEASH, sys.executable),
                    *("-m", "trapline", self._verb, *self._options(self.life)),
                ],
                cwd=ROOT,
                env={**clean, **self._environment, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, args=(self._process, self.life), daemon=True)
        self._reader.start()

    def wait_until_up(self) -> None:
        """Until its present life has said something, or ended: before that a SIGTERM just ends it."""
        wait_until(
            lambda: self.log.stat().st_size or self._has_printed() or not self.alive,
            f"{self.name} to be up",
            60,
        )

    def kill(self) -> int:
        """SIGKILL; its exit status."""
        self._note_end()
        self.expected_end = True
        self._running().kill()
        return self._wait(10)

    def terminate(self, timeout: float = 120.0) -> int:
        """SIGTERM; its exit status."""
        self._note_end()
        self.expected_end = True
        self._running().terminate()
        return self._wait(timeout)

    def pause(self) -> None:
        self._running().send_signal(signal.SIGSTOP)
        wait_until(lambda: self.stopped, f"{self.name} to be stopped", 10)

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def unexpected_ends(self) -> list[str]:
        """Lives that ended though nobody meant them to, of which was not told before."""
        self._note_end()
        told, self._unexpected = self._unexpected, []
        return told

    def end_now(self) -> None:
        """At the end of a run, in whatever state it is."""
        if self.alive:
            self.kill()
        if self._reader is not None:
            self._reader.join()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()

    def events(self) -> list[dict[str, Any]]:
        """Log lines of this life."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.events() if str(line.get("event", "")).startswith(event)]

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-4:])

    def _note_end(self) -> None:
        """Remember an end that nobody meant, before a new life or a signal of ours hides it."""
        if self.status is not None and not self.expected_end:
            self.expected_end = True
            self._unexpected.append(
                f"{self.name} ended with status {self.status} in life {self.life}: {self.last_words()}"
            )

    def _has_printed(self) -> bool:
        return any(life == self.life for _, life, _ in list(self.lines))

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process

    def _wait(self, timeout: float) -> int:
        status = self._running().wait(timeout_s(timeout))
        if self._reader is not None:
            self._reader.join()
        return status

    def _read(self, process: "subprocess.Popen[str]", life: int) -> None:
        if process.stdout is None:
            return
        with process.stdout, (self._folder / f"{self.name}.out").open("a") as copy:
            for line in process.stdout:
                self.lines.append((time.time(), life, line))
                copy.write(line)
