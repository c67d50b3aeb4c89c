"""One node of the cluster as a process: formatted, launched, looked at, ended."""

import subprocess
import time
from pathlib import Path

from trapline.embedded.data_folder import Node
from trapline.embedded.errors import PortError, StartError
from trapline.embedded.jvm import Jvm
from trapline.embedded.last_words import last_words
from trapline.embedded.process import SupervisedProcess, java_environment, stopped_within

_FORMAT_TIMEOUT_S = 60.0
_KILL_S = 30.0


class NodeProcess:
    """A node, whether it runs or not.

    Args:
        node: its number and ports.
        folder: its own, with server.properties in it before `format` and `launch`.
    """

    def __init__(self, node: Node, folder: Path) -> None:
        self.node = node
        self.folder = folder
        self._process: SupervisedProcess | None = None
        self._launched = 0.0

    @property
    def pid(self) -> int | None:
        """The process id of the JVM; None where it does not run."""
        return self._process.pid if self._process is not None else None

    @property
    def running(self) -> bool:
        """The JVM is there."""
        return self._process is not None and self._process.running

    @property
    def status(self) -> int | None:
        """How it ended (negative: the signal); None where it runs or never ran."""
        return self._process.status if self._process is not None and not self._process.running else None

    def format(self, jvm: Jvm, options: tuple[str, ...], cluster_id: str) -> None:
        """Have Kafka prepare its data folder.

        Raises:
            StartError: it could not.
        """
        command = jvm.command(
            "kafka.tools.StorageTool",
            *("format", "--cluster-id", cluster_id),
            # What an interrupted attempt has left is no reason to stop.
            *("--ignore-formatted", "--config", str(self.folder / "server.properties")),
            log=self.folder / "kafka.log",
            options=tuple(option for option in options if not option.startswith("-XX:AOTCacheOutput")),
        )
        try:
            done = subprocess.run(  # noqa: S603  our own command line
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=_FORMAT_TIMEOUT_S,
                env=java_environment(),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StartError(f"cannot run Java to prepare the data folder {self.folder}: {error}") from error
        if done.returncode:
            raise StartError(
                f"Kafka could not prepare the data folder {self.folder}:\n{done.stdout.rstrip()}"
            )

    def launch(self, jvm: Jvm, options: tuple[str, ...], lock_fd: int) -> None:
        """Start the JVM; that it answers is for somebody else to wait for.

        Raises:
            StartError: the program cannot be started.
        """
        (self.folder / "jvm.log").write_bytes(b"")
        self._launched = time.time()
        self._process = SupervisedProcess(
            jvm.command(
                "kafka.Kafka",
                str(self.folder / "server.properties"),
                log=self.folder / "kafka.log",
                options=options,
            ),
            log=self.folder / "jvm.log",
            lock_fd=lock_fd,
        )

    def require_running(self) -> None:
        """While it starts: go on waiting, or say why there is nothing to wait for.

        Raises:
            PortError: a port of it is taken.
            StartError: it has ended.
        """
        if self.running:
            return
        words = last_words(self.folder, since=self._launched)
        if "Address already in use" in words:
            raise PortError(
                f"a port of {self.node.address} was taken while Kafka started; start again, "
                "or choose another one with --port"
            )
        raise StartError(
            f"Kafka ended while it started (status {self.status}); "
            f"its logs in {self.folder} end with:\n{words}"
        )

    def last_words(self) -> str:
        """The end of its logs of this run, for an error message."""
        return last_words(self.folder, since=self._launched)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended by itself."""
        return self._process is None or self._process.wait(timeout_s)

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        if self._process is not None:
            self._process.terminate()

    def stop(self, timeout_s: float) -> bool:
        """SIGTERM, and SIGKILL after that time; True if SIGTERM was enough."""
        clean = self._process is None or stopped_within(self._process, timeout_s)
        self._process = None
        return clean

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_KILL_S)
            self._process = None
