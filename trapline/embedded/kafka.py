"""A real Apache Kafka as child processes, one a node: no Docker, no system Java."""

import time
from pathlib import Path
from types import TracebackType
from typing import Self

from trapline.embedded.data_folder import Cluster, DataFolder
from trapline.embedded.errors import DataFolderError, EmbeddedKafkaError, PortError, StartError
from trapline.embedded.jar_lock import packaged_lock
from trapline.embedded.jars import installed_jars
from trapline.embedded.jvm import Jvm
from trapline.embedded.node_process import NodeProcess
from trapline.embedded.places import default_cache_dir
from trapline.embedded.progress import Progress, Unwatched
from trapline.embedded.readiness import wait_until_listed, wait_until_ready
from trapline.embedded.server_properties import server_properties
from trapline.embedded.start_archive import archive_options

_PORT_TRIES = 3


class EmbeddedKafka:
    """A Kafka cluster of one node or a few on a data folder; it ends with this process, however that ends.

    Can be started again after `stop` or `kill`, on the same data, cluster id and ports. A single node can be
    ended and started while the others go on. Not safe to use from several threads.

    Args:
        data: folder of the records; made if it does not exist.
        port: of clients, of the first node, the others follow; 0: those used with this data before, or any
            free ones.
        nodes: how many; None: as many as this data was made with, else one. Of three, each record is on all
            three and acknowledged by two, so that one may be lost.
        cache: folder of the jars; None: TRAPLINE_CACHE_DIR or the XDG cache folder.
        progress: is told of downloads and other steps that take seconds.
        start_archive: make an archive of loaded classes once (about 10 s) that later starts profit from.
    """

    def __init__(
        self,
        data: Path,
        port: int = 0,
        *,
        nodes: int | None = None,
        cache: Path | None = None,
        progress: Progress | None = None,
        start_archive: bool = True,
    ) -> None:
        self._data = data
        self._port = port
        self._node_count = nodes
        self._cache = cache or default_cache_dir()
        self._progress = progress or Unwatched()
        self._start_archive = start_archive
        self._folder: DataFolder | None = None
        self._nodes: tuple[NodeProcess, ...] = ()
        self._launching: tuple[Jvm, tuple[str, ...]] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """HOST:PORT,... for clients; known from the first start on.

        Raises:
            EmbeddedKafkaError: it was never started.
        """
        if not self._nodes:
            raise EmbeddedKafkaError("the embedded Kafka has not been started")
        return ",".join(each.node.address for each in self._nodes)

    @property
    def nodes(self) -> tuple[NodeProcess, ...]:
        """In the order of their numbers; empty before the first start. To be looked at: see `start_node`."""
        return self._nodes

    @property
    def pid(self) -> int:
        """The process id of the first node's JVM.

        Raises:
            EmbeddedKafkaError: it is not running.
        """
        pid = self._nodes[0].pid if self._nodes else None
        if pid is None:
            raise EmbeddedKafkaError("the embedded Kafka is not running")
        return pid

    @property
    def data(self) -> Path:
        """The folder of the records."""
        return self._data

    @property
    def running(self) -> bool:
        """All of its JVMs are there."""
        return bool(self._nodes) and all(each.running for each in self._nodes)

    def start(self, timeout_s: float = 60.0) -> None:
        """Start, and return once clients are answered and transactions work.

        Args:
            timeout_s: for Kafka itself; downloading the jars the first time is not counted.

        Raises:
            EmbeddedKafkaError: its subclasses say what went wrong; nothing is left running.
        """
        if self.running:
            return
        self._end_now()  # of a cluster, some nodes may run
        self._folder = DataFolder(self._data)
        try:
            cluster = self._folder.cluster(self._port, self._node_count)
            jvm = Jvm.find(installed_jars(packaged_lock(), self._cache, self._progress))
            options = archive_options(jvm, self._cache, self._progress) if self._start_archive else ()
            self._start(jvm, options, cluster, self._folder, timeout_s)
        except BaseException:
            self._end_now()
            raise

    def start_node(self, number: int, timeout_s: float = 60.0) -> None:
        """Start one node again, and return once the cluster lists it.

        Args:
            number: Kafka's of the node, from 1.
            timeout_s: for that.

        Raises:
            EmbeddedKafkaError: it did not start; the other nodes are left as they are.
        """
        node = self._node(number)
        if node.running:
            return
        if self._launching is None or self._folder is None:
            raise EmbeddedKafkaError("the embedded Kafka has not been started")
        jvm, options = self._launching
        node.launch(jvm, options, self._folder.lock_fd)
        if not wait_until_listed(
            node.node.address, {number}, time.monotonic() + timeout_s, node.require_running
        ):
            raise StartError(
                f"node {number} did not join the cluster in time; its logs in {node.folder} end with:\n"
                f"{node.last_words()}"
            )

    def stop_node(self, number: int, timeout_s: float = 30.0) -> bool:
        """SIGTERM to one node, and wait for a clean end; True if it was one."""
        return self._node(number).stop(timeout_s)

    def kill_node(self, number: int) -> None:
        """SIGKILL to one node, and wait for its end."""
        self._node(number).kill()

    def run_once(self, jvm: Jvm, options: tuple[str, ...], timeout_s: float) -> None:
        """Start with these options of the JVM, stop again: how an archive of loaded classes is made.

        Raises:
            EmbeddedKafkaError: as `start`.
        """
        self._folder = DataFolder(self._data)
        try:
            cluster = self._folder.cluster(self._port, self._node_count)
            self._start(jvm, options, cluster, self._folder, timeout_s)
            self.stop(timeout_s)
        finally:
            self._end_now()

    def stop(self, timeout_s: float = 30.0) -> bool:
        """SIGTERM, and wait for a clean end; True if it was one.

        Args:
            timeout_s: then SIGKILL; Kafka recovers from that at the next start.
        """
        deadline = time.monotonic() + timeout_s
        # All at once: a node hands its work over to others, and the last ones have nobody left to hand it to.
        for each in self._nodes:
            each.terminate()
        clean = [each.stop(max(0.0, deadline - time.monotonic())) for each in self._nodes]
        self._release()
        return all(clean)

    def kill(self) -> None:
        """SIGKILL to all nodes, and wait for the end."""
        self._end_now()

    def wait(self, timeout_s: float) -> bool:
        """Whether all of it has ended by itself."""
        deadline = time.monotonic() + timeout_s
        return all(each.wait(max(0.0, deadline - time.monotonic())) for each in self._nodes)

    def last_words(self) -> str:
        """The end of the logs of the nodes that do not run, for an error message."""
        if self._folder is None:
            return ""
        return "\n".join(each.last_words() for each in self._nodes if not each.running)

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
        self._launching = jvm, options
        for left in reversed(range(_PORT_TRIES)):
            self._nodes = tuple(NodeProcess(node, folder.node_folder(node)) for node in cluster.nodes)
            self._write_properties(cluster, folder)
            for each in self._nodes:
                if not folder.is_formatted(each.node):
                    each.format(jvm, options, cluster.cluster_id)
            try:
                self._launch(folder, deadline)
            except PortError:
                # Somebody took a port between our look at it and Kafka's.
                if not left:
                    raise
                for each in self._nodes:
                    each.kill()
                cluster = folder.cluster(self._port, self._node_count)
            else:
                folder.remember(cluster)
                return

    def _launch(self, folder: DataFolder, deadline: float) -> None:
        jvm, options = self._launching or (None, ())
        if jvm is None:
            raise EmbeddedKafkaError("the embedded Kafka has not been started")
        for each in self._nodes:
            each.launch(jvm, options, folder.lock_fd)

        def check() -> None:
            for each in self._nodes:
                each.require_running()

        numbers = {each.node.node_id for each in self._nodes}
        if not wait_until_listed(self.bootstrap_servers, numbers, deadline, check) or not wait_until_ready(
            self.bootstrap_servers, deadline, check
        ):
            raise StartError(
                f"Kafka did not answer in time; its logs in {self._data} end with:\n"
                + "\n".join(each.last_words() for each in self._nodes)
            )

    def _node(self, number: int) -> NodeProcess:
        for each in self._nodes:
            if each.node.node_id == number:
                return each
        raise EmbeddedKafkaError(f"the embedded Kafka has no node {number}; it has {len(self._nodes)}")

    def _node_folder(self) -> Path:
        """The first node's."""
        if not self._nodes:
            raise EmbeddedKafkaError("the embedded Kafka has not been started")
        return self._nodes[0].folder

    def _write_properties(self, cluster: Cluster, folder: DataFolder) -> None:
        for node in cluster.nodes:
            node_folder = folder.node_folder(node)
            try:
                node_folder.mkdir(exist_ok=True)
                text = server_properties(cluster, node, node_folder / "data")
                (node_folder / "server.properties").write_text(text, encoding="ascii")
            except OSError as error:
                raise DataFolderError(f"cannot write into {node_folder} ({error.strerror})") from error

    def _end_now(self) -> None:
        for each in self._nodes:
            each.kill()
        self._release()

    def _release(self) -> None:
        if self._folder is not None:
            self._folder.close()
            self._folder = None
