import socket
import time

import pytest

from emulator.frame_server import FrameServer
from runtime.image_server.errors import PortError
from runtime.image_server.script import Close, Pause, Reset, Send
from tests.support.waiting import wait_until


def connect(server: FrameServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def test_a_client_gets_the_script_then_the_end():
    with FrameServer([b"one", Send.of(b"tw", b"", b"o"), Close(), b"never"]) as server:
        with connect(server) as connection:
            assert read_all(connection) == b"onetwo"
        with connect(server) as connection:
            assert read_all(connection) == b"onetwo"
        assert server.connections == 2


def test_each_client_gets_its_own_script_and_the_last_serves_the_rest():
    with FrameServer([b"first", Close()], [b"later", Close()]) as server:
        answers = []
        for _ in range(3):
            with connect(server) as connection:
                answers.append(read_all(connection))
        assert answers == [b"first", b"later", b"later"]


def test_a_pause_keeps_the_connection_open():
    with FrameServer([b"before", Pause(0.2), b"after", Close()]) as server, connect(server) as connection:
        began_s = time.monotonic()
        assert read_all(connection) == b"beforeafter"
        assert time.monotonic() - began_s >= 0.2


def test_a_reset_breaks_the_connection():
    with (
        FrameServer([b"x", Pause(0.1), Reset()]) as server,
        connect(server) as connection,
        pytest.raises(ConnectionResetError),
    ):
        read_all(connection)


def test_more_can_be_sent_to_those_who_are_there():
    with FrameServer([b"hello "]) as server, connect(server) as connection:
        assert connection.recv(6, socket.MSG_WAITALL) == b"hello "
        server.push(b"world", Close())
        assert read_all(connection) == b"world"


def test_large_sends_arrive_whole_however_slowly_they_are_read():
    payload = bytes(range(256)) * 40_000
    with FrameServer([payload, payload[:1000], Close()]) as server, connect(server) as connection:
        received = bytearray()
        while part := connection.recv(70_001):
            received += part
        assert received == payload + payload[:1000]


def test_a_client_that_leaves_is_noticed_and_others_go_on():
    payload = bytes(10_000_000)
    with FrameServer([payload, Close()]) as server:
        leaver, stayer = connect(server), connect(server)
        leaver.close()
        with stayer:
            assert len(read_all(stayer)) == len(payload)
        wait_until(lambda: server.departures, "the departure to be noticed")
        assert len(server.departures) == 1
        assert server.clients == 0


def test_a_taken_port_is_named():
    with FrameServer([]) as server, pytest.raises(PortError, match=str(server.port)):
        FrameServer([], port=server.port).start()


def test_stop_ends_open_connections():
    server = FrameServer([b"x"])
    server.start()
    with connect(server) as connection:
        server.stop()
        assert read_all(connection) in {b"x", b""}
    server.stop()
