"""An embedded Kafka with listeners for proxies: who comes through one is sent on through the same one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import timeout_s
from trapline.embedded.data_folder import Cluster, DataFolder
from trapline.embedded.kafka import EmbeddedKafka
from trapline.embedded.ports import HOST, free_port


class RoutedKafka(EmbeddedKafka):
    """For each route, each node has one more listener, which advertises the port of that route's proxy.

    Args:
        data: folder of the records.
        nodes: how many.
        routes: their names, in capital letters as Kafka wants listeners to be named.

    Attributes:
        ports: for each route the ports of its proxy, each with the node's port that it leads to.
    """

    def __init__(self, data: Path, *, nodes: int, routes: Sequence[str]) -> None:
        super().__init__(data, nodes=nodes)
        self.ports: dict[str, dict[int, int]] = {}
        taken: list[int] = []
        for route in routes:
            pairs = []
            for _ in range(nodes):
                for _ in ("of the proxy", "of the node"):
                    taken.append(free_port(taken))
                pairs.append((taken[-2], taken[-1]))
            self.ports[route] = dict(pairs)

    def bootstrap_by(self, route: str) -> str:
        """HOST:PORT,... of the route's proxy."""
        return ",".join(f"{HOST}:{port}" for port in self.ports[route])

    def _write_properties(self, cluster: Cluster, folder: DataFolder) -> None:
        super()._write_properties(cluster, folder)
        for index, node in enumerate(cluster.nodes):
            file = folder.node_folder(node) / "server.properties"
            lines = dict(line.split("=", 1) for line in file.read_text().splitlines())
            for route, ports in self.ports.items():
                proxy, own = list(ports.items())[index]
                lines["listeners"] += f",{route}://{HOST}:{own}"
                lines["advertised.listeners"] += f",{route}://{HOST}:{proxy}"
                lines["listener.security.protocol.map"] += f",{route}:PLAINTEXT"
            file.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))


@contextmanager
def one_node(data: Path, route: str) -> Iterator[RoutedKafka]:
    """A Kafka of one node with one route; it is killed at the end."""
    kafka = RoutedKafka(data, nodes=1, routes=(route,))
    try:
        kafka.start(timeout_s(60))
        yield kafka
    finally:
        kafka.kill()
