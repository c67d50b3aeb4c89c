"""The broker's settings, each with its reason. Retention and record sizes are the topics' own affair."""

from pathlib import Path

from trapline.embedded.data_folder import Cluster, Node
from trapline.embedded.ports import HOST

MIB = 1024 * 1024
# A window of 64 MiB, its headers, and the frame of a batch around it.
MAX_RECORD_BYTES = 68 * MIB
# A producer may put several records of one topic into a request; this is also Kafka's default.
MAX_REQUEST_BYTES = 100 * MIB
# Requests that wait for a worker; without a bound, many large ones at once could fill the heap.
REQUEST_MEMORY_BYTES = 3 * MAX_REQUEST_BYTES
TEN_YEARS_MINUTES = 10 * 366 * 24 * 60
INT_MAX = 2**31 - 1


def common_settings(replicas: int) -> dict[str, str]:
    """What also a broker in a container is given for tests, so that it behaves the same.

    Args:
        replicas: of Kafka's own topics; 1 for a single node.
    """
    in_sync = max(1, replicas - 1)
    return {
        "offsets.topic.replication.factor": str(replicas),
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(in_sync),
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        # The default of 50 is for clusters with thousands of consumer groups.
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.num.partitions": "8",
        "num.partitions": "1",
        # What was acknowledged is on two nodes where there are three: one may be lost for good.
        "min.insync.replicas": str(in_sync),
        "default.replication.factor": str(replicas),
        # A misspelt topic must not come into being.
        "auto.create.topics.enable": "false",
        # Consumers of a small cluster need not wait three seconds for each other.
        "group.initial.rebalance.delay.ms": "0",
        # Offsets of a consumer group without members expire, by default after a week; a grouper or a
        # reader that was off for longer would have lost its place.
        "offsets.retention.minutes": str(TEN_YEARS_MINUTES),
        # The same for the state of a producer that was idle for long.
        "transactional.id.expiration.ms": str(INT_MAX),
        "message.max.bytes": str(MAX_RECORD_BYTES),
        "replica.fetch.max.bytes": str(MAX_RECORD_BYTES),
        "socket.request.max.bytes": str(MAX_REQUEST_BYTES),
        "queued.max.request.bytes": str(REQUEST_MEMORY_BYTES),
        "num.network.threads": "2",
        "num.io.threads": "4",
    }


def server_properties(cluster: Cluster, node: Node, data: Path) -> str:
    """The content of server.properties of one node.

    Args:
        cluster: all nodes.
        node: this one.
        data: the folder of its records.
    """
    voters = ",".join(f"{each.node_id}@{HOST}:{each.controller_port}" for each in cluster.nodes)
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(node.node_id),
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        # Nobody outside this machine: there is no password.
        "listeners": f"PLAINTEXT://{HOST}:{node.port},CONTROLLER://{HOST}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{node.port}",
        "log.dirs": str(data),
        # After a SIGKILL the controller waits for this long, from its own start, before it believes that the
        # broker of the last run is gone (default 9 s). Shorter, a busy machine could look like a dead broker.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        **common_settings(replicas=min(3, len(cluster.nodes))),
    }
    return "".join(f"{name}={_escaped(value)}\n" for name, value in settings.items())


def _escaped(value: str) -> str:
    r"""A value of a Java properties file: backslashes doubled, what is not ASCII as \uXXXX."""
    return "".join(
        char if char.isascii() else "".join(f"\\u{unit:04x}" for unit in _utf16(char))
        for char in value.replace("\\", "\\\\")
    )


def _utf16(char: str) -> list[int]:
    encoded = char.encode("utf-16-be")
    return [int.from_bytes(encoded[at : at + 2]) for at in range(0, len(encoded), 2)]
