"""Processes under test: real ones, watched from outside for processor time and memory."""

import bisect
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.machine import ROOT

_SAMPLE_S = 0.1
_STOP_S = 30.0
_LAST_LINES = 15


class BenchmarkError(Exception):
    """A measurement could not be made; says which process failed and how its log ends."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment.

    Attributes:
        at_s: seconds since 1970.
        cpu_s: processor seconds used so far, system calls included.
        rss_bytes: resident memory.
        peak_bytes: the most it ever was.
    """

    at_s: float
    cpu_s: float
    rss_bytes: int
    peak_bytes: int


class Watched:
    """A running process."""

    def __init__(
        self, name: str, module: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        """Start it.

        Args:
            name: of it, for its log and for errors.
            module: what comes after `python -m`.
            environment: its TRAPLINE_* variables; none are taken over from this process.
            folder: where its output and its log go.
        """
        self.name = name
        self._log = folder / f"{name}.log"
        self._output = folder / f"{name}.out"
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TRAPLINE_")}
        with self._log.open("wb") as log, self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env={**inherited, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                # Ctrl-C is for the benchmarks, which stop their processes themselves.
                start_new_session=True,
            )
        self.samples: list[Sample] = []
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name=f"watch-{name}", daemon=True)
        self._watcher.start()

    @property
    def output(self) -> str:
        """What it has written to its standard output."""
        return self._output.read_text()

    @property
    def peak_bytes(self) -> int:
        """The most memory it ever had resident."""
        return max((sample.peak_bytes for sample in self.samples), default=0)

    def cpu_between(self, start_s: float, end_s: float) -> float:
        """Processor seconds it used between two times (seconds since 1970)."""
        return self._cpu_at(end_s) - self._cpu_at(start_s)

    def check(self) -> None:
        """Raise where it has ended by an error."""
        status = self._process.poll()
        if status not in (None, 0):
            raise BenchmarkError(f"{self.name} ended with status {status}:\n{self._last_lines()}")

    def wait(self, timeout_s: float, others: Sequence["Watched"] = ()) -> None:
        """Wait until it has ended well.

        Args:
            timeout_s: for its end.
            others: processes that it depends on.
        """
        deadline_s = time.monotonic() + timeout_s
        while self._process.poll() is None:
            for each in others:
                each.check()
            if time.monotonic() > deadline_s:
                raise BenchmarkError(f"{self.name} did not end in {timeout_s:.0f} s:\n{self._last_lines()}")
            time.sleep(0.05)
        self.check()
        self._end_watch()

    def stop(self) -> None:
        """Stop it, as Kubernetes would; after 30 s end it."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._end_watch()

    def _watch(self) -> None:
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(self._process.pid)
            while not self._ended.is_set():
                with process.oneshot():
                    times, memory = process.cpu_times(), process.memory_info()
                cpu_s = times.user + times.system
                peak = max(memory.rss, _high_water_bytes(process.pid))
                self.samples.append(Sample(time.time(), cpu_s, memory.rss, peak))
                self._ended.wait(_SAMPLE_S)

    def _end_watch(self) -> None:
        self._ended.set()
        self._watcher.join()

    def _cpu_at(self, at_s: float) -> float:
        """Between two samples, in proportion."""
        samples = list(self.samples)
        after = bisect.bisect_left(samples, at_s, key=lambda sample: sample.at_s)
        if after == 0:
            return samples[0].cpu_s
        if after == len(samples):
            return samples[-1].cpu_s
        first, second = samples[after - 1], samples[after]
        part = (at_s - first.at_s) / (second.at_s - first.at_s)
        return first.cpu_s + part * (second.cpu_s - first.cpu_s)

    def _last_lines(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join(f"  {line}" for line in lines)


def _high_water_bytes(pid: int) -> int:
    """What Linux remembers as the most; 0 where there is no such file, and samples have to do."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
