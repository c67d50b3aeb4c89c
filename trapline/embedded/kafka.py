"""A real Apache Kafka as a child process: no Docker, no system Java."""

import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from trapline.embedded.data_folder import Cluster, DataFolder, Node
from trapline.embedded.errors import DataFolderError, EmbeddedKafkaError, PortError, StartError
from trapline.embedded.jar_lock import packaged_lock
from trapline.embedded.jars import installed_jars
from trapline.embedded.jvm import Jvm
from trapline.embedded.last_words import last_words
from trapline.embedded.places import default_cache_dir
from trapline.embedded.process import SupervisedProcess, java_environment, stopped_within
from trapline.embedded.progress import Progress, Unwatched
from trapline.embedded.readiness import wait_until_ready
from trapline.embedded.server_properties import server_properties
from trapline.embedded.start_archive import archive_options

_PORT_TRIES = 3
_FORMAT_TIMEOUT_S = 60.0


class EmbeddedKafka:
    """One Kafka broker on a data folder, as a child process that ends with this one, however it ends.

    Can be started again after `stop` or `kill`, on the same data, cluster id and port. Not safe to use
    from several threads.

    Args:
        data: folder of the records; made if it does not exist.
        port: of clients; 0: the one used with this data before, or any free one.
        cache: folder of the jars; None: TRAPLINE_CACHE_DIR or the XDG cache folder.
        progress: is told of downloads and other steps that take seconds.
        start_archive: make an archive of loaded classes once (about 10 s) that later starts profit from.
    """

    def __init__(
        self,
        data: Path,
        port: int = 0,
        *,
        cache: Path | None = None,
        progress: Progress | None = None,
        start_archive: bool = True,
    ) -> None:
        self._data = data
        self._port = port
        self._cache = cache or default_cache_dir()
        self._progress = progress or Unwatched()
        self._start_archive = start_archive
        self._folder: DataFolder | None = None
        self._node: Node | None = None
        self._process: SupervisedProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        """HOST:PORT for clients; known from the first start on.

        Raises:
            EmbeddedKafkaError: it was never started.
        """
        if self._node is None:
            raise EmbeddedKafkaError("the embedded Kafka has not been started")
        return self._node.address

    @property
    def pid(self) -> int:
        """The process id of the JVM.

        Raises:
            EmbeddedKafkaError: it is not running.
        """
        if self._process is None:
            raise EmbeddedKafkaError("the embedded Kafka is not running")
        return self._process.pid

    @property
    def data(self) -> Path:
        """The folder of the records."""
        return self._data

    @property
    def running(self) -> bool:
        """The JVM is there."""
        return self._process is not None and self._process.running

    def start(self, timeout_s: float = 60.0) -> None:
        """Start, and return once clients are answered and transactions work.

        Args:
            timeout_s: for Kafka itself; downloading the jars the first time is not counted.

        Raises:
            EmbeddedKafkaError: its subclasses say what went wrong; nothing is left running.
        """
        if self.running:
            return
        self._release()
        self._folder = DataFolder(self._data)
        try:
            cluster = self._folder.cluster(self._port)
            jvm = Jvm.find(installed_jars(packaged_lock(), self._cache, self._progress))
            options = archive_options(jvm, self._cache, self._progress) if self._start_archive else ()
            self._start(jvm, options, cluster, self._folder, timeout_s)
        except BaseException:
            self._end_now()
            raise

    def run_once(self, jvm: Jvm, options: tuple[str, ...], timeout_s: float) -> None:
        """Start with these options of the JVM, stop again: how an archive of loaded classes is made.

        Raises:
            EmbeddedKafkaError: as `start`.
        """
        self._folder = DataFolder(self._data)
        try:
            self._start(jvm, options, self._folder.cluster(self._port), self._folder, timeout_s)
            self.stop(timeout_s)
        finally:
            self._end_now()

    def stop(self, timeout_s: float = 30.0) -> bool:
        """SIGTERM, and wait for a clean end; True if it was one.

        Args:
            timeout_s: then SIGKILL; Kafka recovers from that at the next start.
        """
        clean = self._process is None or stopped_within(self._process, timeout_s)
        self._release()
        return clean

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._end_now()

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended by itself."""
        return self._process is None or self._process.wait(timeout_s)

    def last_words(self) -> str:
        """The end of its logs, for an error message."""
        return last_words(self._node_folder()) if self._folder and self._node else ""

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _start(
        self, jvm: Jvm, options: tuple[str, ...], cluster: Cluster, folder: DataFolder, timeout_s: float
    ) -> None:
        deadline = time.monotonic() + timeout_s
        for left in reversed(range(_PORT_TRIES)):
            (self._node,) = cluster.nodes
            self._write_properties(cluster, folder)
            if not folder.is_formatted(self._node):
                self._format(jvm, options, cluster)
            try:
                self._launch(jvm, options, folder, deadline)
            except PortError:
                # Somebody took a port between our look at it and Kafka's.
                if not left:
                    raise
                cluster = folder.cluster(self._port)
            else:
                folder.remember(cluster)
                return

    def _node_folder(self) -> Path:
        if self._folder is None or self._node is None:
            raise EmbeddedKafkaError("the embedded Kafka has not been started")
        return self._folder.node_folder(self._node)

    def _write_properties(self, cluster: Cluster, folder: DataFolder) -> None:
        node_folder = self._node_folder()
        try:
            node_folder.mkdir(exist_ok=True)
            for node in cluster.nodes:
                text = server_properties(cluster, node, folder.node_folder(node) / "data")
                (node_folder / "server.properties").write_text(text, encoding="ascii")
        except OSError as error:
            raise DataFolderError(f"cannot write into {node_folder} ({error.strerror})") from error

    def _format(self, jvm: Jvm, options: tuple[str, ...], cluster: Cluster) -> None:
        node_folder = self._node_folder()
        command = jvm.command(
            "kafka.tools.StorageTool",
            *("format", "--cluster-id", cluster.cluster_id),
            # What an interrupted attempt has left is no reason to stop.
            *("--ignore-formatted", "--config", str(node_folder / "server.properties")),
            log=node_folder / "kafka.log",
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
            raise StartError(f"cannot run Java to prepare the data folder {self._data}: {error}") from error
        if done.returncode:
            raise StartError(f"Kafka could not prepare the data folder {self._data}:\n{done.stdout.rstrip()}")

    def _launch(self, jvm: Jvm, options: tuple[str, ...], folder: DataFolder, deadline: float) -> None:
        node_folder = self._node_folder()
        (node_folder / "jvm.log").write_bytes(b"")
        started = time.time()
        process = SupervisedProcess(
            jvm.command(
                "kafka.Kafka",
                str(node_folder / "server.properties"),
                log=node_folder / "kafka.log",
                options=options,
            ),
            log=node_folder / "jvm.log",
            lock_fd=folder.lock_fd,
        )
        self._process = process

        def check() -> None:
            if process.running:
                return
            words = last_words(node_folder, since=started)
            if "Address already in use" in words:
                raise PortError(
                    f"a port of {self.bootstrap_servers} was taken while Kafka started; start again, "
                    "or choose another one with --port"
                )
            raise StartError(
                f"Kafka ended while it started (status {process.status}); "
                f"its logs in {node_folder} end with:\n{words}"
            )

        if not wait_until_ready(self.bootstrap_servers, deadline, check):
            raise StartError(
                f"Kafka did not answer in time; its logs in {node_folder} end with:\n"
                f"{last_words(node_folder, since=started)}"
            )

    def _end_now(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30.0)
        self._release()

    def _release(self) -> None:
        self._process = None
        if self._folder is not None:
            self._folder.close()
            self._folder = None
