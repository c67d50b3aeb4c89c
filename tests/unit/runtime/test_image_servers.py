import socket

import pytest

from runtime.image_server.errors import PortError
from runtime.image_server.ports_file import write_ports_file
from runtime.image_server.servers import ImageServers
from schemas.pixel_order import PixelOrder
from tests.support.waiting import wait_until


@pytest.fixture
def changes():
    return []


@pytest.fixture
def servers(changes):
    one = ImageServers(lambda source, number: changes.append((source, number)))
    yield one
    one.close()


def connect(servers, source):
    return socket.create_connection(("127.0.0.1", servers.ports[source].number))


def test_free_ports_and_how_a_connector_is_told_of_them(servers):
    servers.listen("0.0.0.0", 0, ["sb0", "sb1"])  # noqa: S104 - closed at the end of the test
    first, second = (port.number for port in servers.ports.values())
    assert first != second
    told = servers.sources({"sb0": PixelOrder.FITS, "sb1": PixelOrder.TRANSPOSED})
    assert [str(source) for source in told] == [
        f"sb0=tcp://127.0.0.1:{first}",
        f"sb1=tcp://127.0.0.1:{second}?pixel_order=transposed",
    ]


def test_ports_follow_each_other_as_far_as_there_are_any(servers):
    with pytest.raises(PortError, match="sb1 would need port 65536"):
        servers.listen("127.0.0.1", 65535, ["sb0", "sb1"])


def test_who_is_here(servers, changes):
    servers.listen("127.0.0.1", 0, ["sb0", "sb1"])
    assert servers.everyone_here(0)
    with connect(servers, "sb0"), connect(servers, "sb1"):
        servers.wait_for_clients(1)
        assert sorted(changes) == [("sb0", 1), ("sb1", 1)]
        assert not servers.everyone_here(2)
    wait_until(lambda: servers.serve_now() or not servers.clients("sb0"), "the departure")
    assert ("sb0", 0) in changes


def test_a_source_that_ends_is_not_waited_for(servers):
    servers.listen("127.0.0.1", 0, ["sb0", "sb1"])
    servers.end_source("sb1")
    with connect(servers, "sb0"):
        servers.wait_for_clients(1)
    with pytest.raises(ConnectionRefusedError):
        connect(servers, "sb1")


def test_a_stop_ends_the_waiting(servers):
    servers.listen("127.0.0.1", 0, ["sb0"])
    servers.stop()
    servers.wait_for_clients(1)
    assert servers.stopped


def test_the_ports_file_is_there_whole_or_an_error_names_it(tmp_path):
    write_ports_file(tmp_path / "ports", "sb0=tcp://127.0.0.1:1")
    assert (tmp_path / "ports").read_text() == "sb0=tcp://127.0.0.1:1\n"
    with pytest.raises(PortError, match=r"nowhere/ports.*--ports-file"):
        write_ports_file(tmp_path / "nowhere" / "ports", "x")
