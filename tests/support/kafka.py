"""The Kafka that tests run against: a real one, from the first of these that there is.

1. TRAPLINE_TEST_BOOTSTRAP_SERVERS: a broker somebody else runs.
2. Docker, where its engine answers: the image apache/kafka, with the embedded broker's settings.
3. The embedded one.

There is no fourth: without a broker the tests fail.
"""

import os
import shutil
import signal
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from tests.support.waiting import timeout_s
from trapline.embedded import EmbeddedKafka
from trapline.embedded.jar_lock import packaged_lock
from trapline.embedded.ports import HOST, free_port
from trapline.embedded.readiness import wait_until_ready
from trapline.embedded.server_properties import common_settings

START_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Kafka:
    """The broker of the whole test session; topics are what keeps tests apart."""

    bootstrap_servers: str
    origin: str


@contextmanager
def session_kafka(folder: Path) -> Iterator[Kafka]:
    """The broker of the session; it ends with the context if the context started it."""
    named = os.environ.get("TRAPLINE_TEST_BOOTSTRAP_SERVERS")
    if named:
        _require_ready(named)
        yield Kafka(named, "TRAPLINE_TEST_BOOTSTRAP_SERVERS")
    elif _docker_answers():
        with _container() as bootstrap_servers:
            yield Kafka(bootstrap_servers, "Docker")
    else:
        with OwnKafka(folder) as own:
            yield Kafka(own.bootstrap_servers, "embedded")


class OwnKafka:
    """An embedded broker of one test at a time, which may do to it what it likes."""

    def __init__(self, folder: Path) -> None:
        self.embedded = EmbeddedKafka(folder)

    @property
    def bootstrap_servers(self) -> str:
        return self.embedded.bootstrap_servers

    @property
    def pid(self) -> int:
        return self.embedded.pid

    def start(self) -> None:
        self.embedded.start(timeout_s(START_TIMEOUT_S))

    def stop(self) -> None:
        """SIGTERM."""
        self.embedded.stop(timeout_s(30.0))

    def kill(self) -> None:
        """SIGKILL."""
        self.embedded.kill()

    def restart(self) -> None:
        """Start again on the same data and port; first stops it in order if it is running."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def recover(self) -> None:
        """Have it run, whatever was done to it."""
        if not self.embedded.running:
            self.start()
        elif psutil.Process(self.pid).status() == psutil.STATUS_STOPPED:
            self.resume()
            _require_ready(self.bootstrap_servers)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
        shutil.rmtree(self.embedded.data, ignore_errors=True)  # pytest would keep the records of three runs


def process_gone(pid: int) -> bool:
    """The process has ended; what waits for its parent to notice counts."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _require_ready(bootstrap_servers: str) -> None:
    if not wait_until_ready(bootstrap_servers, time.monotonic() + timeout_s(START_TIMEOUT_S), lambda: None):
        raise RuntimeError(f"no Kafka answers at {bootstrap_servers}")


def _docker_answers() -> bool:
    address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if address.startswith("unix://"):
        # Asking here is quiet; Docker's client leaves a socket open when nobody answers.
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(address.removeprefix("unix://")) != 0:
                return False
    import docker  # noqa: PLC0415  takes a while
    from docker.errors import DockerException  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            client = docker.from_env(timeout=10)
        except DockerException:
            return False
        try:
            return bool(client.ping())
        except DockerException:
            return False
        finally:
            client.close()


@contextmanager
def _container() -> Iterator[str]:
    """The same version of Kafka in a container."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    port = free_port()
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": "1@localhost:9093",
        "controller.listener.names": "CONTROLLER",
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        **common_settings(replicas=1),
    }
    container = DockerContainer(f"apache/kafka:{packaged_lock().kafka_version}").with_bind_ports(9092, port)
    for name, value in settings.items():
        container = container.with_env("KAFKA_" + name.upper().replace(".", "_"), value)
    with container:
        _require_ready(f"{HOST}:{port}")
        yield f"{HOST}:{port}"
