"""One topic prefix on the broker, and the processes that run on it."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from confluent_kafka import KafkaException, TopicPartition

from benchmarks.bed import Bed
from benchmarks.plan import SOURCES
from benchmarks.processes import BenchmarkError, Watched
from runtime.kafka import true_end_offset

_START_S = 60.0
_POLL_S = 0.1
_LOOK_S = 0.01  # for a file that is waited for


class Lane:
    """Topics of a prefix and processes on them; at the end both are gone."""

    def __init__(self, bed: Bed, prefix: str) -> None:
        self._bed = bed
        self._prefix = prefix
        self._turn = 0
        self._served = 0
        self._processes: list[Watched] = []
        self._folder = bed.folder / prefix
        self._sources = ",".join(f"sb{number}=tcp://127.0.0.1:{number + 1}" for number in range(SOURCES))
        self.settings = bed.settings(prefix)
        self.names = self.settings.topics
        self._admin = bed.admin

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self._bed.create_topics(self._prefix, self._group_id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._bed.delete_topics(*self.names.all())

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A new run over the raw records that are there: empty results, a grouper that never ran."""
        self._turn += 1
        self._bed.create_topics(self._prefix, self._group_id)
        try:
            yield
        finally:
            self.stop()
            self._bed.delete_topics(self.names.groups, self.names.catalogue, self.names.rejects)

    def emulator(self, *, size: int, rate: str, groups: int) -> Watched:
        """Start image servers; they wait for one client each. What is started later reads from them."""
        ports = self._folder / f"sources-{len(self._processes)}-{self._turn}.txt"
        process = self.start(
            "emulator",
            *("trapline", "emulator", f"--sources={SOURCES}", f"--size={size}", f"--rate={rate}"),
            *(f"--frames={groups}", "--ring=4", "--port=0", "--wait-for-clients=1"),
            f"--ports-file={ports}",
        )
        self._sources = self._await_file(ports, process)
        return process

    def server(self, *module: str) -> Watched:
        """Start what serves history; what is started later reads from it."""
        ports = self._folder / f"served-{self._served}.txt"
        self._served += 1
        process = self.start("server", *module, f"--ports-file={ports}")
        self._sources = self._await_file(ports, process)
        return process

    def connector(self, *options: str) -> Watched:
        """Start `trapline connector`."""
        return self.start("connector", "trapline", "connector", *options)

    def grouper(self, *options: str) -> Watched:
        """Start `trapline grouper`."""
        group_id = f"--grouper-group-id={self._group_id}"
        return self.start("grouper", "trapline", "grouper", group_id, *options)

    def floor(self, stage: str, *options: str) -> Watched:
        """Start the floor of a stage."""
        return self.start(f"floor-{stage}", "benchmarks.floors", stage, *options)

    def grouper_floor(self, records: int, per_transaction: int) -> Watched:
        """Start the floor of the grouper: so many records, N a transaction."""
        return self.floor(
            "grouper",
            *(f"--records={records}", f"--per-transaction={per_transaction}"),
            f"--group-id={self._group_id}-floor",
        )

    def reader(self, *options: str) -> Watched:
        """Start a reader of groups."""
        return self.start("reader", "benchmarks.group_reader", *options)

    def start(self, name: str, *module: str) -> Watched:
        """Start `python -m MODULE` on this prefix."""
        environment = {
            "TRAPLINE_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "TRAPLINE_TOPIC_PREFIX": self._prefix,
            "TRAPLINE_SOURCES": self._sources,
        }
        process = Watched(name, module, environment, self._folder)
        self._processes.append(process)
        return process

    def stop(self) -> None:
        """Stop the processes, the last one started first."""
        while self._processes:
            self._processes.pop().stop()

    def check(self) -> None:
        """Raise where a process has failed."""
        for process in self._processes:
            process.check()

    @property
    def processes(self) -> tuple[Watched, ...]:
        """Those that were started and not stopped."""
        return tuple(self._processes)

    def end(self, topic: str) -> int:
        """One past the last offset of a topic's only partition."""
        return true_end_offset(self._admin, TopicPartition(topic, 0))

    def await_raw(
        self, records: int, timeout_s: float, progress: list[tuple[float, float]] | None = None
    ) -> None:
        """Wait until raw holds so many records.

        Args:
            records: how many.
            timeout_s: for all of them.
            progress: gets how many there were (second) at which times (first), seconds since 1970.
        """
        deadline_s = time.monotonic() + timeout_s
        end = 0
        while end < records:
            self.check()
            if time.monotonic() > deadline_s:
                raise BenchmarkError(f"{end} of {records} records are in raw after {timeout_s:.0f} s")
            # A broker that was stopped for a while leads anew, and refuses the first one who did not know.
            with contextlib.suppress(KafkaException):
                end = self.end(self.names.raw)
                if progress is not None:
                    progress.append((time.time(), end))
            time.sleep(_POLL_S)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each image server that was started last."""
        parts = (urlsplit(each.partition("=")[2]) for each in self._sources.split(","))
        return [(part.hostname or "", part.port or 0) for part in parts]

    @property
    def folder(self) -> Path:
        """Where its processes write; gone at the end."""
        return self._folder

    @property
    def _group_id(self) -> str:
        return f"{self._prefix}.grouper-{self._turn}"

    def _await_file(self, path: Path, process: Watched) -> str:
        deadline_s = time.monotonic() + _START_S
        while not path.exists():
            process.check()
            if time.monotonic() > deadline_s:
                raise BenchmarkError(f"{process.name} did not start in {_START_S:.0f} s")
            time.sleep(_LOOK_S)
        return path.read_text().strip()
