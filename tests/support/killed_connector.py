"""A connector that is killed again and again while sources send, and what may be missing afterwards.

What counts as read in full: the decoder gave the frame, which the process's own journal says before the
frame is appended to the spool. A frame that was appended may never be missing. One that was given and not
yet appended is at the boundary of the kill: of each source at most one a kill, its last. All others that
are missing were never read in full: they were in the kernel, on the wire, or sent while nobody listened.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from runtime.settings_sources import ENV_PREFIX
from tests.support.waiting import timeout_s, wait_until


@dataclass
class Run:
    """One life of the process, by its journal: digests by source, in order."""

    read: dict[str, list[str]] = field(default_factory=dict)
    appended: dict[str, list[str]] = field(default_factory=dict)
    killed_at: str | None = None

    @classmethod
    def of(cls, journal: Path) -> "Run":
        run = cls()
        lines = journal.read_text().splitlines() if journal.exists() else []
        for line in map(json.loads, lines):
            if line["event"] == "killed":
                run.killed_at = line["step"]
            elif line["event"] == "read":
                run.read.setdefault(line["source"], []).append(line["digest"])
            elif line["event"] == "appended":
                run.appended.setdefault(line["source"], []).append(line["digest"])
        return run

    @property
    def appended_frames(self) -> int:
        return sum(map(len, self.appended.values()))


class KilledConnector:
    """Starts the process, kills it or lets it kill itself, and keeps the journal of each life."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self._folder = folder
        clean = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        given = {f"{ENV_PREFIX}{name.upper()}": str(value) for name, value in settings.items()}
        self._environment = {**clean, **given, "TRAPLINE_LOG_FORMAT": "json"}
        self._journals: list[Path] = []

    @property
    def runs(self) -> list[Run]:
        return [Run.of(journal) for journal in self._journals]

    def live_until_step(self, step: str, nth: int) -> None:
        """Start, and wait until it has killed itself."""
        process = self._start(step, nth)
        try:
            assert process.wait(timeout_s(90)) == -signal.SIGKILL, self._log()
        finally:
            self._end(process)
        assert Run.of(self._journals[-1]).killed_at == step

    def live_until_frames(self, frames: int) -> None:
        """Start, wait until so many frames are in the spool, and kill it wherever it is."""
        process = self._start("never", 1)
        try:
            journal = self._journals[-1]
            wait_until(
                lambda: Run.of(journal).appended_frames >= frames or process.poll() is not None,
                lambda: f"{frames} frames; {self._log()}",
                90,
            )
            process.send_signal(signal.SIGKILL)
            assert process.wait(timeout_s(30)) == -signal.SIGKILL, self._log()
        finally:
            self._end(process)

    def live_and_stop(self, until) -> None:
        """Start, wait until something holds, and ask it to end; it leaves nothing in the spool."""
        process = self._start("never", 1)
        try:
            wait_until(lambda: until() or process.poll() is not None, self._log, 120)
            process.terminate()
            assert process.wait(timeout_s(60)) == 0, self._log()
        finally:
            self._end(process)
        assert json.loads(self._log().splitlines()[-1]) == {"event": "ended", "spooled": 0}

    def _start(self, step: str, nth: int) -> subprocess.Popen:
        self._journals.append(self._folder / f"journal-{len(self._journals):03}.jsonl")
        with self._journals[-1].with_suffix(".log").open("wb") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.support.crashing_connector"),
                    *(str(self._journals[-1]), step, str(nth)),
                ],
                env=self._environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def _end(self, process: subprocess.Popen) -> None:
        if process.poll() is None:
            process.kill()
        process.wait()

    def _log(self) -> str:
        return self._journals[-1].with_suffix(".log").read_text()[-4000:]
