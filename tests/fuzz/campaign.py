"""Runs targets under the engine side by side, and says what each found and how far it came."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fuzz.targets import CORPUS
from tests.fuzz.tokens import TOKENS

MAX_INPUT_BYTES: Final = 4096
_HANG_S: Final = 25
_MEMORY_MIB: Final = 1024
_LOOK_S: Final = 0.5
_INTERRUPTED: Final = 72  # libFuzzer exit status after SIGTERM
_STATUS: Final = re.compile(r"#(\d+)\s+\S+.*?cov: (\d+) ft: (\d+)")
_DONE: Final = re.compile(r"#(\d+)\s+DONE|stat::number_of_executed_units:\s*(\d+)")


@dataclass
class Run:
    """One target under the engine.

    Attributes:
        target: its name.
        process: the engine's.
        executions: inputs so far.
        coverage: branches of schemas/ and of the target that some input reached.
        features: the same, told apart by how often.
        grown_s: monotonic time at which `coverage` last grew.
        lines: what the engine said of a finding.
        status: the engine's exit status; None while it runs.
    """

    target: str
    process: subprocess.Popen[str]
    executions: int = 0
    coverage: int = 0
    features: int = 0
    grown_s: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    status: int | None = None

    @property
    def found(self) -> bool:
        """Whether an input broke a promise, or the engine itself broke; `lines` say which."""
        return self.status not in (None, 0, _INTERRUPTED)

    def listen(self) -> None:
        """Read what the engine says, until it ends."""
        assert self.process.stderr is not None
        with self.process.stderr as said:
            for line in said:
                self._hear(line)
        self.status = self.process.wait()

    def _hear(self, line: str) -> None:
        status = _STATUS.match(line)
        if status is None:
            done = _DONE.match(line)
            if done is not None:
                self.executions = int(done[1] or done[2])
            else:
                self.lines.append(line)
            return
        self.executions, coverage, self.features = (int(number) for number in status.groups())
        if coverage > self.coverage:
            self.coverage = coverage
            self.grown_s = time.monotonic()


def fuzz(
    targets: Sequence[str],
    folder: Path,
    *,
    seconds: float | None = None,
    quiet_s: float | None = None,
    runs: int | None = None,
    seed: int = 0,
) -> list[Run]:
    """Run targets side by side until all have ended.

    Args:
        targets: their names.
        folder: keeps, a folder a target, the inputs that reached something new, and findings.
        seconds: of all together.
        quiet_s: end once no target has reached anything new for so long.
        runs: inputs a target, at most.
        seed: 0 takes another one each time.
    """
    begin_s = time.monotonic()
    started = [_start(target, folder, runs, seed) for target in targets]
    listeners = [threading.Thread(target=run.listen) for run in started]
    for listener in listeners:
        listener.start()
    try:
        while any(listener.is_alive() for listener in listeners):
            time.sleep(_LOOK_S)
            now_s = time.monotonic()
            over = seconds is not None and now_s - begin_s >= seconds
            quiet = quiet_s is not None and now_s - max(run.grown_s for run in started) >= quiet_s
            if over or quiet:
                break
    finally:
        for run in started:
            if run.process.poll() is None:
                run.process.terminate()
        for listener in listeners:
            listener.join()
    return started


def _start(target: str, folder: Path, runs: int | None, seed: int) -> Run:
    work = folder / target
    work.mkdir(parents=True, exist_ok=True)
    words = folder / f"{target}.dict"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in TOKENS[target]))
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.engine",
        target,
        f"-dict={words}",
        f"-max_len={MAX_INPUT_BYTES}",
        f"-timeout={_HANG_S}",
        f"-rss_limit_mb={_MEMORY_MIB}",
        f"-artifact_prefix={folder}/{target}-",
        "-print_final_stats=1",
        f"-seed={seed}",
        *([] if runs is None else [f"-runs={runs}"]),
        str(work),
        str(CORPUS / target),
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    return Run(target, process)


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)
