import os
import socket
from pathlib import Path

import pytest

from trapline.embedded import data_folder
from trapline.embedded.data_folder import DataFolder
from trapline.embedded.errors import DataFolderError, PortError
from trapline.embedded.ports import free_port, is_free


@pytest.fixture
def folder(tmp_path):
    folder = DataFolder(tmp_path / "data")
    yield folder
    folder.close()


@pytest.fixture
def listener():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
        listener.listen()
        yield listener.getsockname()[1]


def reopened(folder):
    folder.close()
    return DataFolder(folder.path)


def test_keeps_cluster_id_and_port_once_in_use(folder):
    first = folder.cluster(0)
    folder.remember(first)
    again = reopened(folder)
    try:
        assert again.cluster(0) == first
    finally:
        again.close()


def test_a_port_that_was_never_in_use_may_change(folder, monkeypatch):
    first = folder.cluster(0)
    monkeypatch.setattr(data_folder, "free_port", lambda taken=(): first.nodes[0].port + 1 + len(taken))
    second = folder.cluster(0)
    assert second.cluster_id == first.cluster_id
    assert second.nodes[0].port == first.nodes[0].port + 1


def test_a_given_port_wins_over_the_last_one(folder):
    folder.remember(folder.cluster(0))
    port = free_port()
    cluster = folder.cluster(port)
    assert cluster.nodes[0].port == port
    assert cluster.nodes[0].controller_port != port


def test_nodes_have_ports_of_their_own_and_keep_them(folder):
    port = free_port()
    cluster = folder.cluster(port, 3)
    assert [node.node_id for node in cluster.nodes] == [1, 2, 3]
    assert [node.port for node in cluster.nodes] == [port, port + 1, port + 2]
    assert len({each for node in cluster.nodes for each in (node.port, node.controller_port)}) == 6
    folder.remember(cluster)
    again = reopened(folder)
    try:
        assert again.cluster(0) == cluster
        with pytest.raises(DataFolderError, match=r"3 nodes, which cannot become 1; say --nodes 3"):
            again.cluster(0, 1)
    finally:
        again.close()


def test_a_port_in_use_is_named(folder, listener):
    with pytest.raises(PortError, match=rf"port {listener} is in use.*--port"):
        folder.cluster(listener)


def test_the_last_port_is_not_silently_changed(folder):
    cluster = folder.cluster(0)
    folder.remember(cluster)
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", cluster.nodes[0].port))
        thief.listen()
        with pytest.raises(PortError, match="was used before"):
            folder.cluster(0)


def test_a_folder_in_use_names_who_uses_it(folder):
    with pytest.raises(DataFolderError, match=rf"in use by a broker that process {os.getpid()} started"):
        DataFolder(folder.path)
    folder.close()
    DataFolder(folder.path).close()


@pytest.mark.parametrize(
    "text", ["{}", "no json", '{"v": 2}', '{"v": 1, "cluster_id": "x", "nodes": [1]}', "[]"]
)
def test_an_unreadable_cluster_file_is_named(folder, text):
    (folder.path / "cluster.json").write_text(text)
    with pytest.raises(DataFolderError, match=r"cluster\.json"):
        folder.cluster(0)


def test_the_data_of_another_kafka_is_left_alone(folder):
    (folder.path / "logs").mkdir()
    (folder.path / "logs" / "meta.properties").write_text("cluster.id=abc\n")
    with pytest.raises(DataFolderError, match="another Kafka"):
        folder.cluster(0)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataFolderError, match="--data"):
        DataFolder(tmp_path / "file" / "data")
    with pytest.raises(DataFolderError, match="comma"):
        DataFolder(tmp_path / "a,b")


def test_free_ports_are_not_those_of_outgoing_connections():
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(50):
        port = free_port()
        assert port < first
        assert is_free(port)


def test_a_reserved_port_is_named():
    if os.geteuid() == 0:
        assert is_free(1023)
    else:
        with pytest.raises(PortError, match="above 1023"):
            is_free(1023)
