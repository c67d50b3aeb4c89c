"""The data folder: who uses it, which cluster it holds, on which ports.

DIR/cluster.json     what must stay the same over restarts
DIR/lock             locked while the broker runs; holds the process id of who started it
DIR/node-1/          one folder a node: server.properties, kafka.log, jvm.log
DIR/node-1/data/     Kafka's own files: the records
"""

import base64
import fcntl
import json
import os
import time
import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trapline.embedded.errors import DataFolderError, PortError
from trapline.embedded.ports import HOST, free_port, is_free

_LAYOUT = 1
# A little more than the supervising process gives a broker to end in order.
_ORPHAN_ENDS_S = 20.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Node:
    """One Kafka process of the cluster.

    Attributes:
        node_id: Kafka's number of it, from 1.
        port: of its clients.
        controller_port: of the metadata quorum.
    """

    node_id: int
    port: int
    controller_port: int

    @property
    def address(self) -> str:
        """HOST:PORT for clients."""
        return f"{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """What must stay the same over restarts on the same data.

    Attributes:
        cluster_id: Kafka's: 16 random bytes in base64.
        nodes: in the order of their numbers.
    """

    cluster_id: str
    nodes: tuple[Node, ...]

    def to_json(self) -> str:
        """For cluster.json."""
        return json.dumps({"v": _LAYOUT, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Cluster":
        """The inverse.

        Raises:
            ValueError, KeyError, TypeError: this is not such a text.
        """
        fields: Any = json.loads(text)
        if fields["v"] != _LAYOUT:
            raise ValueError(f"its layout is {fields['v']}, not {_LAYOUT}")
        return cls(str(fields["cluster_id"]), tuple(Node(**node) for node in fields["nodes"]))


class DataFolder:
    """A data folder that is ours until `close`.

    Args:
        path: made if it does not exist.

    Raises:
        DataFolderError: another broker uses it, or it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        if "," in str(self.path):
            raise DataFolderError(
                f"Kafka takes the comma in {self.path} for a separator; name another folder"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / "lock").open("a+", encoding="ascii")
        except OSError as error:
            raise DataFolderError(
                f"cannot use {self.path} for Kafka's data ({error.strerror}); "
                "name a folder that can be written with --data"
            ) from error
        self._take()
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def _take(self) -> None:
        """Lock it. A broker whose process was killed ends by itself: that one is waited for."""
        deadline = time.monotonic() + _ORPHAN_ENDS_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._lock.seek(0)
                owner = self._lock.read().strip()
                if _is_gone(owner) and time.monotonic() < deadline:
                    time.sleep(_POLL_S)
                    continue
                self._lock.close()
                raise DataFolderError(
                    f"the data folder {self.path} is in use by a broker that process {owner or 'unknown'} "
                    "started; stop that one, or name another folder with --data"
                ) from None
            else:
                return

    @property
    def lock_fd(self) -> int:
        """The locked file; a process that keeps it open keeps the folder locked."""
        return self._lock.fileno()

    def close(self) -> None:
        """Give the folder up."""
        if not self._lock.closed:
            # Not only close: a forked child of ours may have the file open too.
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            self._lock.close()

    def node_folder(self, node: Node) -> Path:
        """The folder of one node."""
        return self.path / f"node-{node.node_id}"

    def is_formatted(self, node: Node) -> bool:
        """Kafka has prepared the node's data folder; it writes this file last."""
        return (self.node_folder(node) / "data" / "meta.properties").exists()

    def cluster(self, port: int, nodes: int | None = None) -> Cluster:
        """The cluster of this folder, new or known, with ports that are free now.

        The cluster id is remembered at once. The ports of clients are so only by `remember`, once they are
        in use: until then other free ones may be picked.

        Args:
            port: for clients of the first node, the others follow; 0: those that were used last, or any
                free ones.
            nodes: how many; None: as many as it has, a new one has one. Never changed afterwards: the
                metadata quorum and the copies of the records are spread over them.

        Raises:
            PortError: such a port is taken.
            DataFolderError: the folder holds something else, or another number of nodes.
        """
        known = self._read()
        if known is None and any(self.path.glob("*/meta.properties")):
            raise DataFolderError(
                f"{self.path} holds the data of another Kafka; name another folder with --data"
            )
        if known is not None and nodes not in {None, len(known.nodes)}:
            raise DataFolderError(
                f"{self.path} holds a cluster of {len(known.nodes)} nodes, which cannot become {nodes}; "
                f"say --nodes {len(known.nodes)}, or name another folder with --data"
            )
        cluster_id = known.cluster_id if known else _new_cluster_id()
        last = known.nodes if known else tuple(Node(number, 0, 0) for number in range(1, (nodes or 1) + 1))
        self.remember(Cluster(cluster_id, last))
        taken: list[int] = []
        free: list[Node] = []
        for index, node in enumerate(last):
            free.append(self._with_free_ports(node, port + index if port else 0, taken))
            taken += [free[-1].port, free[-1].controller_port]
        return Cluster(cluster_id, tuple(free))

    def remember(self, cluster: Cluster) -> None:
        """Write cluster.json.

        Raises:
            DataFolderError: it cannot be written.
        """
        partial = self.path / "cluster.json.tmp"
        try:
            partial.write_text(cluster.to_json(), encoding="ascii")
            partial.replace(self.path / "cluster.json")
        except OSError as error:
            raise DataFolderError(f"cannot write {self.path / 'cluster.json'} ({error.strerror})") from error

    def _read(self) -> Cluster | None:
        path = self.path / "cluster.json"
        try:
            return Cluster.from_json(path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataFolderError(
                f"{path} is not what an embedded Kafka of this version wrote ({error}); "
                "name another folder with --data"
            ) from error

    @staticmethod
    def _with_free_ports(last: Node, port: int, taken: Collection[int] = ()) -> Node:
        wanted = port or last.port
        if wanted and not is_free(wanted):
            kept = "" if port else ", with which this data folder was used before,"
            raise PortError(
                f"port {wanted}{kept} is in use on {HOST}; stop who listens there, or choose another one "
                "with --port (0 with a new data folder picks a free one)"
            )
        client = wanted or free_port(taken)
        # Only the nodes themselves talk to a controller port: any free one does.
        controller = last.controller_port
        if not controller or controller in {client, *taken} or not is_free(controller):
            controller = free_port(taken=(client, *taken))
        return Node(last.node_id, client, controller)


def _is_gone(owner: str) -> bool:
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return True
    except (ValueError, OverflowError, PermissionError):
        return False
    return False


def _new_cluster_id() -> str:
    """Like Kafka's own: a random UUID in URL-safe base64, not beginning with '-'."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode("ascii")
        if not text.startswith("-"):
            return text
