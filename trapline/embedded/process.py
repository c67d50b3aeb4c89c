"""A running program, such as a JVM, held through its supervisor."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from trapline.embedded.errors import StartError

SUPERVISOR = Path(__file__).with_name("supervisor.py")
# Java options of the user's shell are meant for other programs, and each prints a line.
_FOREIGN_VARIABLES = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH")


def java_environment() -> dict[str, str]:
    """Our environment without what would change the JVM behind our back."""
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN_VARIABLES}


class SupervisedProcess:
    """One run of a command under `supervisor.py`; it ends, at the latest, when our process does.

    Args:
        command: the program and its arguments.
        log: gets the program's standard error, and its standard output unless that is read.
        lock_fd: a locked file that the program keeps open.
        output_fd: the end of a pipe that gets its standard output; the caller closes it.
        environment: of the program; None: ours, as a JVM takes it.

    Raises:
        StartError: the program cannot be started.

    Attributes:
        pid: the program's process id.
    """

    def __init__(
        self,
        command: list[str],
        *,
        log: Path,
        lock_fd: int | None = None,
        output_fd: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        passed = [each for each in (output_fd, lock_fd) if each is not None]
        numbers = ["-1" if each is None else str(each) for each in (output_fd, lock_fd)]
        arguments = [str(os.getpid()), str(log), *numbers, "--", *command]
        self._supervisor = subprocess.Popen(  # noqa: S603  # our own script
            [sys.executable, "-I", "-S", str(SUPERVISOR), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=java_environment() if environment is None else environment,
            pass_fds=passed,
            start_new_session=True,  # Ctrl-C is for us; we then stop what we have started in order
        )
        if self._supervisor.stdout is None:
            raise StartError("the supervising process has no output")
        line = self._supervisor.stdout.readline().decode()
        if not line.startswith("pid "):
            self._close()
            raise StartError(f"cannot run {command[0]}: the reason is above, from {SUPERVISOR.name}")
        self.pid = int(line.split()[1])
        self.status: int | None = None

    @property
    def running(self) -> bool:
        """The program has not ended."""
        return not self.wait(0)

    def terminate(self) -> None:
        """SIGTERM."""
        self._order(b"T")

    def kill(self) -> None:
        """SIGKILL."""
        self._order(b"K")

    def wait(self, timeout_s: float) -> bool:
        """Whether the program has ended; then `status` is its exit status (negative: the signal)."""
        if self.status is not None:
            return True
        try:
            self._supervisor.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        rest = self._supervisor.stdout.read().decode() if self._supervisor.stdout else ""
        self._close()
        # Without its last line the supervisor was killed, and the program with it.
        self.status = int(rest.split()[1]) if rest.startswith("exit ") else -signal.SIGKILL
        return True

    def _order(self, letter: bytes) -> None:
        if self._supervisor.stdin is not None and self.running:
            with contextlib.suppress(BrokenPipeError):  # it ended in this moment
                self._supervisor.stdin.write(letter)
                self._supervisor.stdin.flush()

    def _close(self) -> None:
        if self._supervisor.stdout is not None:
            self._supervisor.stdout.close()
        if self._supervisor.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._supervisor.stdin.close()
        self._supervisor.wait()


def stopped_within(process: SupervisedProcess, timeout_s: float) -> bool:
    """SIGTERM, and SIGKILL if that has not helped in time; True if it was not needed."""
    deadline = time.monotonic() + timeout_s
    process.terminate()
    if process.wait(max(0.0, deadline - time.monotonic())):
        return True
    process.kill()
    process.wait(30.0)
    return False
