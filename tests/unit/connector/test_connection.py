import socket
import time

import pytest

from connector.connection import connect
from schemas.source import ServerSource


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def source_of(listener) -> ServerSource:
    return ServerSource("sb0", "127.0.0.1", listener.getsockname()[1])


def test_a_read_waits_a_tick_and_gets_what_is_there(listener):
    with connect(source_of(listener), timeout_s=5, tick_s=0.2) as connection:
        peer, _ = listener.accept()
        with peer:
            buffer = bytearray(100)
            began_s = time.monotonic()
            with pytest.raises(BlockingIOError):
                connection.recv_into(buffer)
            assert time.monotonic() - began_s >= 0.15
            peer.sendall(b"abc")
            assert connection.recv_into(buffer) == 3
        assert connection.recv_into(buffer) == 0


def test_a_peer_that_vanished_is_noticed(listener):
    with connect(source_of(listener), timeout_s=5, tick_s=0.2) as connection:
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0


def test_nobody_listens(listener):
    source = source_of(listener)
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        connect(source, timeout_s=5, tick_s=0.2)
