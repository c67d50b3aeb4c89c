"""`trapline broker` as one runs it."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.waiting import timeout_s, wait_until


class Command:
    """The command as a process; its output goes to a file each."""

    def __init__(self, folder, *options):
        self.ready_file = folder / "address"
        self.out, self.err = folder / "out", folder / "err"
        arguments = ["--data", folder / "data", "--port", "0", "--ready-file", self.ready_file, *options]
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "trapline", "broker", *map(str, arguments)],
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def address(self):
        wait_until(
            lambda: self.ready_file.exists() or self.process.poll() is not None,
            lambda: f"readiness; so far: {self.err.read_text()}",
            120,
        )
        return self.ready_file.read_text().strip()

    def jvm(self):
        below = psutil.Process(self.process.pid).children(recursive=True)
        return next((each for each in below if "java" in each.name()), None)

    def end(self, number):
        """Signals the whole process group, as a terminal does on Ctrl-C."""
        os.killpg(self.process.pid, number)
        return self.status()

    def status(self):
        return self.process.wait(timeout_s(60))


@pytest.fixture
def start(tmp_path):
    commands = []

    def start(*options):
        commands.append(Command(tmp_path, *options))
        return commands[-1]

    yield start
    for command in commands:
        if command.process.poll() is None:
            command.process.kill()
            command.process.wait()


def test_runs_until_told_and_goes_on_with_all_data(start, tmp_path):
    command = start()
    address = command.address()
    assert (
        command.out.read_text()
        == f"Kafka is ready at {address}; data in {tmp_path / 'data'}; Ctrl-C stops it\n"
    )
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic("t", 1, 1)])["t"].result(timeout_s(20))
    producer = Producer({"bootstrap.servers": address})
    producer.produce("t", b"kept")
    assert producer.flush(timeout_s(20)) == 0

    assert command.end(signal.SIGINT) == 0
    assert command.out.read_text().endswith("Kafka stopped\n")
    assert not command.ready_file.exists()

    command = start()
    assert command.address() == address
    consumer = Consumer({"bootstrap.servers": address, "group.id": "g"})
    consumer.assign([TopicPartition("t", 0, 0)])
    assert consumer.poll(timeout_s(20)).value() == b"kept"
    consumer.close()
    assert command.end(signal.SIGTERM) == 0

    command = start()
    command.address()
    command.jvm().kill()
    assert command.status() == 1
    assert "trapline: error: Kafka ended by itself" in command.err.read_text()


def test_of_three_nodes_one_may_die_and_comes_back(start):
    command = start("--nodes", "3")
    addresses = command.address()
    assert len(addresses.split(",")) == 3
    made = subprocess.run(
        [sys.executable, "-m", "trapline", "topics", "create", f"--bootstrap-servers={addresses}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s(60),
    )
    assert made.returncode == 0, made.stderr  # asks each broker for its limits
    admin = AdminClient({"bootstrap.servers": addresses})
    admin.create_topics([NewTopic("t", 1, -1)])["t"].result(timeout_s(30))
    (partition,) = admin.list_topics("t", timeout=timeout_s(10)).topics["t"].partitions.values()
    assert sorted(partition.replicas) == [1, 2, 3]
    producer = Producer({"bootstrap.servers": addresses, "acks": "all"})

    leader = addresses.split(",")[partition.leader - 1]
    port = int(leader.rpartition(":")[2])
    jvms = [
        each for each in psutil.Process(command.process.pid).children(recursive=True) if "java" in each.name()
    ]
    assert len(jvms) == 3
    (of_leader,) = [
        each
        for each in jvms
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in each.net_connections())
    ]
    of_leader.kill()
    producer.produce("t", b"kept")
    assert producer.flush(timeout_s(60)) == 0
    wait_until(
        lambda: f"node {partition.leader} is back at {leader}" in command.err.read_text(),
        command.err.read_text,
        60,
    )
    assert f"node {partition.leader} ended (status -9)" in command.err.read_text()
    consumer = Consumer({"bootstrap.servers": leader, "group.id": "g"})
    consumer.assign([TopicPartition("t", 0, 0)])
    assert consumer.poll(timeout_s(30)).value() == b"kept"
    consumer.close()
    assert command.end(signal.SIGTERM) == 0

    command = start("--nodes", "1")
    assert command.status() == 1
    assert "3 nodes, which cannot become 1" in command.err.read_text()


def test_an_interrupted_start_leaves_nothing_behind(start, tmp_path):
    command = start()
    wait_until((tmp_path / "data" / "node-1" / "jvm.log").exists, "the JVM to be started")
    jvm = wait_until(command.jvm, "the JVM's process")
    assert command.end(signal.SIGINT) == 130
    assert not jvm.is_running()


def test_a_port_in_use_is_one_clear_line(start, kafka):
    port = kafka.bootstrap_servers.rpartition(":")[2]
    command = start("--port", port)
    assert command.status() == 1
    (line,) = command.err.read_text().splitlines()
    assert line.startswith(f"trapline: error: port {port} is in use on 127.0.0.1")
    assert "--port" in line
