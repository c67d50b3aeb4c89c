"""Groupers on one topic prefix with several partitions, and what they have published."""

import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from confluent_kafka import TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from audit.auditor import Auditor
from audit.findings import Finding
from audit.settings import AuditSettings
from benchmarks.bed import Bed
from benchmarks.plan import SOURCES
from benchmarks.processes import BenchmarkError, Watched
from runtime.kafka import log_consumer
from runtime.settings import load_settings
from runtime.shutdown import Shutdown
from schemas.catalogue import CatalogueEntry
from trapline.embedded.ports import free_port

_WAIT_S: Final = 90.0
_POLL_S: Final = 0.1
SESSION_S: Final = 6


@dataclass(frozen=True, slots=True)
class Published:
    """One group, as it lies in its partition.

    Attributes:
        partition: where.
        appended_s: when the broker had appended its last image, seconds since 1970.
        entry: its catalogue entry.
    """

    partition: int
    appended_s: float
    entry: CatalogueEntry


class Fleet:
    """Topics of a prefix, groupers on them; at the end both are gone."""

    def __init__(self, bed: Bed, prefix: str, partitions: int) -> None:
        self._bed = bed
        self._prefix = prefix
        self.partitions = partitions
        self._folder = bed.folder / prefix
        self.settings = bed.settings(prefix)
        self.names = self.settings.topics
        self._ports: dict[Watched, int] = {}
        self._started = 0

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self._bed.create_topics(self._prefix, f"{self._prefix}.grouper", self.partitions)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for grouper in tuple(self._ports):
            self.stop(grouper)
        self._bed.delete_topics(*self.names.all())

    def grow(self, groupers: int) -> Sequence[Watched]:
        """Start so many more, and wait until each has its share."""
        for _ in range(groupers):
            port = free_port(set(self._ports.values()))
            environment = {
                "TRAPLINE_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
                "TRAPLINE_TOPIC_PREFIX": self._prefix,
                "TRAPLINE_SOURCES": ",".join(f"sb{n}=tcp://127.0.0.1:{n + 1}" for n in range(SOURCES)),
                "TRAPLINE_HTTP_PORT": str(port),
                "TRAPLINE_SESSION_TIMEOUT_S": str(SESSION_S),
            }
            self._started += 1
            module = ("trapline", "grouper")
            grouper = Watched(f"grouper-{self._started}", module, environment, self._folder)
            self._ports[grouper] = port
        self.await_shares()
        return tuple(self._ports)

    def stop(self, grouper: Watched) -> None:
        """Stop one as Kubernetes would."""
        del self._ports[grouper]
        grouper.stop()

    def await_shares(self) -> None:
        """Wait until all partitions are owned, and nobody has more than one above an even share."""
        least = self.partitions // len(self._ports)

        def shared() -> bool:
            owned = [self.figure(each, "trapline_grouper_partitions_owned") for each in self._ports]
            return sum(owned) == self.partitions and min(owned) >= least

        self._await(shared, f"{least} partitions a grouper")

    def windows(self) -> list[float]:
        """How many windows each grouper has put into groups."""
        return [self.figure(each, "trapline_grouper_windows_total", verdict="member") for each in self._ports]

    def figure(self, grouper: Watched, name: str, **labels: str) -> float:
        """One figure of a grouper's /metrics; 0 before it answers."""
        grouper.check()
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._ports[grouper]}/metrics", timeout=5
            ) as answer:
                text = answer.read().decode()
        except (urllib.error.URLError, OSError):
            return 0.0
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0.0

    def published(self, groups: int) -> list[Published]:
        """Wait until so many groups are out, and return all there are, in the order of each partition.

        Raises:
            BenchmarkError: a timestamp is there twice, a group is incomplete, or a partition is out of order.
        """
        entries = self._read_catalogue(groups)
        appended = self._append_times({(p, entry.last_offset) for p, entry in entries})
        found = [Published(p, appended[p, entry.last_offset], entry) for p, entry in entries]
        times = [each.entry.timestamp_us for each in found]
        if len(set(times)) != len(times):
            raise BenchmarkError(f"{len(times) - len(set(times))} timestamps are out twice")
        if not all(each.entry.complete for each in found):
            raise BenchmarkError(f"{sum(not each.entry.complete for each in found)} groups are incomplete")
        for partition in range(self.partitions):
            order = [each.entry.timestamp_us for each in found if each.partition == partition]
            if order != sorted(order):
                raise BenchmarkError(f"partition {partition} is not in the order of raw")
        return found

    def audit(self) -> None:
        """Hold what is there against raw, as `trapline verify --no-pixels` does.

        Raises:
            BenchmarkError: it finds anything.
        """
        findings: list[Finding] = []
        overrides = {"bootstrap_servers": self.settings.bootstrap_servers, "topic_prefix": self._prefix}
        settings = load_settings(AuditSettings, overrides=overrides, known=())
        with Auditor(settings, findings.append, pixels=False) as auditor:
            auditor.run(Shutdown())
        if findings:
            raise BenchmarkError("\n".join(finding.line() for finding in findings))

    def _read_catalogue(self, groups: int) -> list[tuple[int, CatalogueEntry]]:
        consumer = log_consumer(self.settings, group_id=None)
        entries: list[tuple[int, CatalogueEntry]] = []
        deadline_s = time.monotonic() + _WAIT_S
        try:
            consumer.assign([TopicPartition(self.names.catalogue, p, 0) for p in range(self.partitions)])
            while len(entries) < groups:
                for message in consumer.consume(1_000, 0.2):
                    value = CatalogueEntry.from_json(message.value() or b"")
                    entries.append((message.partition() or 0, value))
                    deadline_s = time.monotonic() + _WAIT_S  # a backlog may take its time while it goes on
                if time.monotonic() > deadline_s:
                    counts = Counter(partition for partition, _ in entries)
                    raise BenchmarkError(
                        f"{len(entries)} of {groups} groups are out, and none came for {_WAIT_S:.0f} s; by "
                        f"partition: {sorted(counts.items())}"
                    )
        finally:
            consumer.close()
        return entries

    def _append_times(self, wanted: set[tuple[int, int]]) -> Mapping[tuple[int, int], float]:
        consumer = log_consumer(self.settings, group_id=None)
        found: dict[tuple[int, int], float] = {}
        deadline_s = time.monotonic() + _WAIT_S
        try:
            consumer.assign([TopicPartition(self.names.groups, p, 0) for p in range(self.partitions)])
            while len(found) < len(wanted):
                for message in consumer.consume(1_000, 0.2):
                    place = message.partition() or 0, message.offset() or 0
                    if place in wanted:
                        found[place] = message.timestamp()[1] / 1000
                if time.monotonic() > deadline_s:
                    raise BenchmarkError(f"{len(found)} of {len(wanted)} groups could be read")
        finally:
            consumer.close()
        return found

    @staticmethod
    def _await(done: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + _WAIT_S
        while not done():
            if time.monotonic() > deadline_s:
                raise BenchmarkError(f"waited {_WAIT_S:.0f} s in vain for {what}")
            time.sleep(_POLL_S)
