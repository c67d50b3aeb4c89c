"""Everything that runs in a round: Kafka, the wires, our processes, and the witness."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.settings import load_settings
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from schemas.topics import TopicNames
from tests.chaos.plan import Layout
from tests.chaos.truth import Truth
from tests.chaos.witness import Witness
from tests.chaos.worker import Worker
from tests.support.kafka_proxy import KafkaProxy
from tests.support.proxy_loop import HOST, ProxyLoop
from tests.support.routed_kafka import RoutedKafka
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import timeout_s, wait_until

SOURCES = tuple(f"sb{number}" for number in range(6))
ALL = frozenset(SOURCES)
SILENT = frozenset(SOURCES[-1:])  # where a layout says so, now and then
SESSION_TIMEOUT_S = 6.0
_ROUTES = ("CONNECTOR", "GROUPER")
_IMAGE_SIZE = 32
_RATE_HZ = 5
_STEADY_S = 120.0


class NoMountError(Exception):
    """A small disk cannot be made: this machine gives no right to mount."""


class System:
    """A round's system, started on entering, gone on leaving.

    Args:
        layout: what runs.
        folder: of this round; logs and truth stay in it.
        prefix: of the topics.
        seed: of the sky.

    Attributes:
        workers: by name; `extra` ones too.
        wires: to the image servers, one a source.
        proxies: to Kafka, one a route.
        steady_s: when all sources were there, seconds since 1970.
    """

    def __init__(self, layout: Layout, folder: Path, prefix: str, seed: int) -> None:
        self.layout = layout
        self.folder = folder
        self.names = TopicNames(prefix)
        self.prefix = prefix
        self.workers: dict[str, Worker] = {}
        self.truth = Truth(folder)
        self._seed = seed
        self._ends: list[str] = []
        self._stack = ExitStack()
        self._data = folder / "kafka"
        self._spools = folder / "spools"

    def __enter__(self) -> Self:
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        for each in (self._data, self._spools):
            self._stack.callback(shutil.rmtree, each, ignore_errors=True)
        if self.layout.disk_mb:
            self._mount_small_disk()
        self.kafka = RoutedKafka(self._data, nodes=self.layout.nodes, routes=_ROUTES)
        self._stack.callback(self._end_kafka)
        self.kafka.start(timeout_s(120))
        self.bootstrap_servers = self.kafka.bootstrap_servers
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        self._create_topics()
        loop = self._stack.enter_context(ProxyLoop())
        self.wires = {
            source: TcpProxy(loop, lambda source=source: self._port_of(source)) for source in SOURCES
        }
        self.proxies = {route: KafkaProxy(loop, self.kafka.ports[route]) for route in _ROUTES}
        self.witness = Witness(self.bootstrap_servers, self.names.groups, self.layout.partitions)
        self._stack.callback(self.witness.close)
        self._start_workers()
        self.wait_for_groups_after(0, complete=True)
        self.steady_s = time.time()

    def _create_topics(self) -> None:
        overrides = {
            "bootstrap_servers": self.bootstrap_servers,
            "topic_prefix": self.prefix,
            "partitions": self.layout.partitions,
        }
        create_topics(load_settings(TopicsSettings, overrides=overrides, known=[]))

    def _start_workers(self) -> None:
        self._add("emulator", "emulator", self._emulator_options, "CONNECTOR").start()
        wait_until(self._ports, "the image servers' ports", 60)
        for number in range(1, self.layout.groupers + 1):
            self.add_grouper(f"grouper-{number}", f"g{number}" if self.layout.static else None).start()
        self._add(
            "reader",
            "tail",
            lambda _life: ("--json", "--from-beginning", f"--group-id={self.prefix}.reader"),
            None,
        ).start()
        for number in range(1, self.layout.connectors + 1):
            name = f"connector-{number}"
            self._add(name, "connector", self._connector_options(name), "CONNECTOR").start()

    def _add(
        self, name: str, verb: str, options: Callable[[int], Sequence[str]], route: str | None
    ) -> Worker:
        environment = {
            "TRAPLINE_BOOTSTRAP_SERVERS": (
                self.kafka.bootstrap_by(route) if route is not None else self.bootstrap_servers
            ),
            "TRAPLINE_TOPIC_PREFIX": self.prefix,
            "TRAPLINE_LOG_FORMAT": "json",
        }
        if verb in {"connector", "grouper"}:
            environment["TRAPLINE_SOURCES"] = ",".join(
                f"{source}=tcp://{HOST}:{wire.port}" for source, wire in self.wires.items()
            )
        if verb == "emulator":
            environment = {"TRAPLINE_LOG_FORMAT": "json"}
        worker = Worker(name, verb, options, environment, self.folder / "logs")
        self._stack.callback(worker.end_now)
        self.workers[name] = worker
        return worker

    def _emulator_options(self, life: int) -> Sequence[str]:
        ports = self._ports_file(life)
        options = [
            *(f"--sources={len(SOURCES)}", f"--size={_IMAGE_SIZE}", f"--rate={self.rate_hz}", "--port=0"),
            *(f"--ports-file={ports}", f"--truth={self.truth.file(life)}", f"--seed={self._seed + life}"),
            # A client that is stopped is not to be disconnected: what it has not read yet must arrive.
            "--backlog-frames=100000",
        ]
        if self.layout.silent_every:
            options.append(
                f"--misbehave=silent:every={self.layout.silent_every}:steps=1:source={SOURCES[-1]}"
            )
        return options

    def _connector_options(self, name: str) -> Callable[[int], Sequence[str]]:
        spool = self.layout.spool
        # An answer of Kafka that was dropped is missed after 60 s only, and what it was about sent again.
        options = [f"--spool={spool}", "--flush-timeout-s=90"]
        if spool != "off":
            options.append(f"--spool-dir={self._spools / name}")
        return lambda _life: options

    @property
    def spooled_bytes(self) -> int:
        """Frames in the spools' files, released ones included whose file is still there."""
        total = 0
        for path in self._spools.rglob("*.frames"):
            with suppress(FileNotFoundError):  # released meanwhile
                total += path.stat().st_size
        return total

    @property
    def rate_hz(self) -> int:
        """Timestamps a second: twice as many where they are spread over many partitions."""
        return _RATE_HZ * (2 if self.layout.partitions > 1 else 1)

    def add_grouper(self, name: str, static_id: str | None = None) -> Worker:
        """One more, not started yet."""
        options = [
            f"--session-timeout-s={SESSION_TIMEOUT_S:g}",
            f"--reorder-grace-s={self.layout.reorder_grace_s:g}",
            "--commit-interval-s=1",
        ]
        if static_id is not None:
            options.append(f"--group-instance-id={static_id}")
        return self._add(name, "grouper", lambda _life: options, "GROUPER")

    def discard(self, worker: Worker) -> None:
        """An extra one is not needed any more."""
        self._ends += worker.unexpected_ends()
        worker.end_now()
        del self.workers[worker.name]

    # --- who is who

    @property
    def groupers(self) -> list[Worker]:
        return [worker for name, worker in self.workers.items() if name.startswith("grouper")]

    @property
    def connectors(self) -> list[Worker]:
        return [worker for name, worker in self.workers.items() if name.startswith("connector")]

    def worker(self, role: str) -> Worker:
        """The first of a role, or who owns a partition of raw."""
        if role == "owner":
            return self.owner()
        return next(worker for name, worker in self.workers.items() if name.startswith(role))

    def owner(self) -> Worker:
        """The grouper that was given a partition last."""

        def found() -> Worker | None:
            for worker in self.groupers:
                if not worker.alive:
                    continue
                told = [
                    line["partitions"] if line["event"] == "partitions assigned" else []
                    for line in worker.events()
                    if line["event"] in {"partitions assigned", "partitions revoked"}
                ]
                if told and told[-1]:
                    return worker
            return None

        return wait_until(found, "a grouper that owns a partition", 60)

    def leader(self, topic: str, partition: int = 0) -> int:
        """The node that leads a partition."""

        def found() -> int | None:
            metadata = self.admin.list_topics(topic, timeout=timeout_s(10))
            leader = metadata.topics[topic].partitions[partition].leader
            return leader if leader > 0 else None

        return wait_until(found, f"a leader of {topic}", 60)

    def coordinator(self, topic: str, name: str) -> int:
        """The node that coordinates a transactional id or consumer group: by the hash of its name."""
        partitions = len(self.admin.list_topics(topic, timeout=timeout_s(10)).topics[topic].partitions)
        return self.leader(topic, (_java_hash(name) & 0x7FFFFFFF) % partitions)

    def members(self, group: str) -> int:
        """Of a consumer group, as Kafka sees it."""
        described = self.admin.describe_consumer_groups([group], request_timeout=timeout_s(10))
        return len(described[group].result().members)

    # --- waiting

    def wait_for_groups_after(
        self, since_s: float, timeout: float = _STEADY_S, *, complete: bool = False
    ) -> None:
        """Wait until groups that were observed after that time are to be read, in every partition.

        Args:
            since_s: seconds since 1970.
            timeout: in seconds, before scaling.
            complete: groups that lack nothing alone count.
        """
        since_us = round(since_s * 1e6)
        wait_until(
            lambda: len(self.witness.partitions_since(since_us, complete=complete)) == self.layout.partitions,
            lambda: (
                f"groups of after {since_s:.1f} in {self.layout.partitions} partitions; last words: "
                + "; ".join(f"{each.name}: {each.last_words()}" for each in self.groupers + self.connectors)
            ),
            timeout,
        )

    # --- mending

    def heal(self) -> None:
        """Whatever was done: everything runs, and nothing is in the way.

        What was dead and should not have been is in `unexpected_ends`: each fault starts again what it ended,
        of Kafka; of ours a worker knows whether it was to end.
        """
        for wire in self.wires.values():
            wire.heal()
        for proxy in self.proxies.values():
            proxy.lift()
        for node in self.kafka.nodes:
            if node.pid is not None and node.running:
                os.kill(node.pid, signal.SIGCONT)
            else:
                self._ends.append(f"node {node.node.node_id} of Kafka had ended: {node.last_words()}")
                self.kafka.start_node(node.node.node_id, timeout_s(120))
        for worker in list(self.workers.values()):
            if worker.name.startswith("grouper-extra"):
                if worker.alive:
                    worker.resume()
                    worker.terminate()
                self.discard(worker)
            elif not worker.alive:
                worker.start()
            else:
                worker.resume()

    def unexpected_ends(self) -> list[str]:
        """Processes that ended though nobody meant them to, of which was not told before."""
        for worker in self.workers.values():
            self._ends += worker.unexpected_ends()
        told, self._ends = self._ends, []
        return told

    def pids_of_ours(self) -> dict[str, int]:
        """By name; a process that was started again has another one."""
        return {name: worker.pid for name, worker in self.workers.items()}

    # --- offsets

    def committed(self) -> dict[int, TopicPartition]:
        """The groupers' committed offsets, by partition."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": f"{self.prefix}.grouper",
                "log_level": 0,
            }
        )
        try:
            asked = [TopicPartition(self.names.raw, number) for number in range(self.layout.partitions)]
            return {each.partition: each for each in consumer.committed(asked, timeout=timeout_s(20))}
        finally:
            consumer.close()

    def raw_ends(self) -> dict[int, int]:
        """The end of each partition of raw; nothing in it is transactional."""
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap_servers, "group.id": f"{self.prefix}.ends", "log_level": 0}
        )
        try:
            return {
                number: consumer.get_watermark_offsets(
                    TopicPartition(self.names.raw, number), timeout=timeout_s(20), cached=False
                )[1]
                for number in range(self.layout.partitions)
            }
        finally:
            consumer.close()

    # --- inside

    def _ports_file(self, life: int) -> Path:
        return self.folder / f"ports-{life}"

    def _ports(self) -> dict[str, int]:
        """Of the emulator's present life; empty until it answers."""
        file = self._ports_file(self.workers["emulator"].life)
        if not file.exists():
            return {}
        pairs = (part.split("=", 1) for part in file.read_text().strip().split(","))
        return {name: int(url.rpartition(":")[2].split("?")[0]) for name, url in pairs}

    def _port_of(self, source: str) -> int:
        return self._ports().get(source, 1)  # nobody listens on port 1: refused

    def _end_kafka(self) -> None:
        self.kafka.kill()

    # --- the small disk

    @property
    def small_disk(self) -> Path:
        return self._data / "node-1"

    def _mount_small_disk(self) -> None:
        self.small_disk.mkdir(parents=True, exist_ok=True)
        self._mount("-t", "tmpfs", "-o", f"size={self.layout.disk_mb}m", "tmpfs")
        self._stack.callback(subprocess.run, ["umount", "-l", str(self.small_disk)], check=False)

    def grow_small_disk(self, megabytes: int) -> None:
        self._mount("-o", f"remount,size={megabytes}m")

    def _mount(self, *options: str) -> None:
        done = subprocess.run(
            ["mount", *options, str(self.small_disk)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NoMountError(f"disk-full needs the right to mount a tmpfs: {done.stderr.strip()}")


def stay(seconds: float) -> None:
    """A fault's own length; nothing is waited for."""
    time.sleep(seconds)


def _java_hash(text: str) -> int:
    """java.lang.String.hashCode, by which Kafka chooses a coordinator's partition."""
    value = 0
    for char in text:
        value = (31 * value + ord(char)) & 0xFFFFFFFF
    return value
