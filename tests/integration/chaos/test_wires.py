"""The wires themselves: they do what they count."""

import socket
import time

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.kafka_proxy import Act, Api, KafkaProxy, Rule, Way
from tests.support.proxy_loop import HOST, ProxyLoop
from tests.support.routed_kafka import one_node
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import timeout_s, wait_until


@pytest.fixture
def loop():
    with ProxyLoop() as loop:
        yield loop


@pytest.fixture
def server():
    with socket.create_server((HOST, 0)) as server:
        yield server


@pytest.fixture
def wire(loop, server):
    return TcpProxy(loop, lambda: server.getsockname()[1])


@pytest.fixture
def ends(wire, server):
    """A client's connection through the wire, and the server's end of it."""
    with socket.create_connection((HOST, wire.port), timeout_s(10)) as client:
        served, _ = server.accept()
        with served:
            yield client, served


def test_a_wire_passes_bytes_on_and_holds_them_while_stalled(wire, ends):
    client, served = ends
    served.sendall(b"before")
    assert client.recv(100) == b"before"
    wire.stall()
    served.sendall(b"stalled")
    wait_until(lambda: wire.stalled_bytes == len(b"stalled"), "the wire to hold bytes")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(100)
    wire.heal()
    client.settimeout(timeout_s(10))
    assert client.recv(100) == b"stalled"
    wait_until(lambda: wire.forwarded_bytes == len(b"beforestalled"), "all bytes to be counted")


def test_a_cut_is_a_reset_and_counted(wire, ends):
    client, served = ends
    served.sendall(b"x")
    assert client.recv(1) == b"x"
    assert wire.cut() == 1
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    assert wire.cut_connections == 1


def test_a_slow_wire_takes_its_time(wire, ends):
    client, served = ends
    wire.slow(1000)
    began_s = time.monotonic()
    served.sendall(bytes(500))
    received = 0
    while received < 500:
        received += len(client.recv(500))
    assert time.monotonic() - began_s >= 0.5
    assert wire.slowed_bytes == 500


def test_nobody_behind_a_wire_is_a_reset(loop):
    wire = TcpProxy(loop, lambda: 1)

    def use():
        with socket.create_connection((HOST, wire.port), timeout_s(10)) as client:
            client.recv(1)

    with pytest.raises(ConnectionResetError):
        use()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("routed") / "data", "PROXIED") as kafka:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        admin.create_topics([NewTopic("t", 1, 1)])["t"].result(timeout_s(20))
        yield kafka


@pytest.fixture(scope="module")
def proxy(kafka):
    with ProxyLoop() as loop:
        yield KafkaProxy(loop, kafka.ports["PROXIED"])


@pytest.fixture
def producer(kafka, topic_prefix):
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_by("PROXIED"),
            "transactional.id": topic_prefix,
            "reconnect.backoff.max.ms": 200,
            "socket.timeout.ms": 10_000,
            "transaction.timeout.ms": 10_000,
            "log_level": 0,
        }
    )
    producer.init_transactions(timeout_s(30))
    return producer


def transact(producer):
    producer.begin_transaction()
    producer.produce("t", b"value")
    producer.flush(timeout_s(20))
    producer.commit_transaction(timeout_s(30))


def test_clients_stay_on_the_proxy_and_requests_are_counted(proxy, producer):
    before = proxy.requests.get(Api.PRODUCE, 0), proxy.requests.get(Api.END_TXN, 0)
    transact(producer)
    assert (proxy.requests[Api.PRODUCE], proxy.requests[Api.END_TXN]) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("api", [Api.PRODUCE, Api.END_TXN])
def test_a_cut_request_or_answer_is_sent_again(proxy, producer, api, way):
    rule = Rule(api, way, Act.CUT)
    proxy.apply(rule)
    before = proxy.requests.get(api, 0)
    transact(producer)
    assert rule.acted == 1
    assert proxy.requests[api] >= before + 2


def test_a_held_request_arrives_though_its_sender_has_gone(proxy, producer):
    rule = Rule(Api.END_TXN, Way.REQUEST, Act.HOLD)
    proxy.apply(rule)
    producer.begin_transaction()
    producer.produce("t", b"value")
    producer.flush(timeout_s(20))
    with pytest.raises(KafkaException):
        producer.commit_transaction(1.0)
    assert (rule.acted, rule.passed_on) == (1, 0)
    del producer
    proxy.lift()
    wait_until(lambda: rule.passed_on == 1, "the held request to arrive")


def test_a_delayed_answer_is_late(proxy, producer):
    rule = Rule(Api.END_TXN, Way.ANSWER, Act.DELAY, seconds=1.0)
    proxy.apply(rule)
    began_s = time.monotonic()
    transact(producer)
    assert time.monotonic() - began_s >= 1.0
    wait_until(lambda: (rule.acted, rule.passed_on) == (1, 1), "the delayed answer to be counted")


def test_a_dropped_answer_never_comes(proxy, producer):
    rule = Rule(Api.END_TXN, Way.ANSWER, Act.DROP)
    proxy.apply(rule)
    producer.begin_transaction()
    producer.produce("t", b"value")
    producer.flush(timeout_s(20))
    with pytest.raises(KafkaException):
        producer.commit_transaction(2.0)
    assert (rule.acted, rule.passed_on) == (1, 0)
