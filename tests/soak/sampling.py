"""What is looked at every few seconds: processes from outside, and what they say of themselves."""

import shutil
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil
from confluent_kafka import Consumer, KafkaException, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from tests.soak.errors import SoakError
from tests.soak.flatness import Allowance

_MIB: Final = 1024**2
_ASK_S: Final = 10.0

ALLOWED: Final[Mapping[str, Allowance]] = {
    "rss": Allowance(24.0),
    "auditor rss": Allowance(64.0),  # fetches up to 32 MiB of each topic ahead, where it has fallen behind
    # A JVM fills its heap, here up to 1 GiB, before it tidies the old part of it: with 256 MiB Kafka grew a
    # third as fast (2026-11-30).
    "broker rss": Allowance(64.0),
    "threads": Allowance(1.0, 0.0),
    "fds": Allowance(4.0),
    "connector fds": Allowance(14.0),  # two a source while its spool is in use
    "broker fds": Allowance(24.0),  # a segment of 1 GiB every 21 s, until retention first deletes some
    # Four timestamps on their way: a machine that is busy with something else for a few seconds.
    "queue": Allowance(96.0),
    "spool": Allowance(256.0),  # the same, and segments of 32 MiB that are not yet released
    "lag": Allowance(32.0),
    "open": Allowance(4.0),
}
"""By a figure's name, or its last word. What is not here is shown, and not judged."""

UNITS: Final[Mapping[str, str]] = {
    "rss": "MiB",
    "queue": "MiB",
    "spool": "MiB",
    "lag": "offsets",
    "open": "groups",
    "data": "GiB",
    "free": "GiB",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """All figures at one moment.

    Attributes:
        at_s: seconds since the run began.
        figures: by name, in the unit that `UNITS` says.
    """

    at_s: float
    figures: Mapping[str, float]


class Sampler:
    """Takes samples of one run, while it is entered."""

    def __init__(
        self,
        bootstrap_servers: str,
        prefix: str,
        reader_group: str,
        ports: Mapping[str, int],
        data: Path,
        *,
        spool: bool,
    ) -> None:
        """Connect.

        Args:
            bootstrap_servers: where Kafka is.
            prefix: of the topics.
            reader_group: the reader's consumer group.
            ports: of the metrics of connector and grouper.
            data: Kafka's folder.
            spool: whether the connector has one.
        """
        self._spool = spool
        self._began_s = time.monotonic()
        self._ports = ports
        self._data = data
        self._lags = {
            "grouper": (_consumer(bootstrap_servers, f"{prefix}.grouper"), f"{prefix}.raw"),
            "reader": (_consumer(bootstrap_servers, reader_group), f"{prefix}.groups"),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for consumer, _topic in self._lags.values():
            consumer.close()

    def sample(self, pids: Mapping[str, int]) -> Sample:
        """Look at everything once.

        Args:
            pids: of the processes by name.

        Raises:
            SoakError: one has ended, or does not tell what it has to.
        """
        figures = of_processes(pids)
        connector, grouper = (_metrics(name, self._ports[name]) for name in ("connector", "grouper"))
        figures |= of_metrics(connector, grouper, spool=self._spool)
        for name, (consumer, topic) in self._lags.items():
            figures[f"{name} lag"] = _lag(consumer, topic)
        figures["kafka data"] = _size(self._data) / 1024**3
        figures["disk free"] = shutil.disk_usage(self._data).free / 1024**3
        return Sample(time.monotonic() - self._began_s, figures)


def of_processes(pids: Mapping[str, int]) -> dict[str, float]:
    """Memory, threads and file descriptors of each, as the kernel knows them.

    Raises:
        SoakError: one has ended.
    """
    figures: dict[str, float] = {}
    for name, pid in pids.items():
        try:
            process = psutil.Process(pid)
            figures[f"{name} rss"] = process.memory_info().rss / _MIB
            figures[f"{name} threads"] = process.num_threads()
            figures[f"{name} fds"] = process.num_fds()
            ended = process.status() == psutil.STATUS_ZOMBIE
        except psutil.Error as error:
            raise SoakError(f"the {name} cannot be looked at: {error}") from error
        if ended:
            raise SoakError(f"the {name} (process {pid}) has ended")
    return figures


def of_metrics(
    connector: Mapping[str, float], grouper: Mapping[str, float], *, spool: bool
) -> dict[str, float]:
    """What connector and grouper say of themselves, by the names of their metrics.

    Raises:
        SoakError: a metric is not there: it would be flat for ever.
    """
    try:
        figures = {
            "connector queue": connector["trapline_connector_queue_bytes"] / _MIB,
            "grouper open": grouper["trapline_grouper_open_groups"],
        }
        if spool:
            figures["connector spool"] = connector["trapline_connector_spool_bytes"] / _MIB
    except KeyError as error:
        raise SoakError(f"there is no metric {error.args[0]}") from error
    return figures


def _consumer(bootstrap_servers: str, group: str) -> Consumer:
    return Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "enable.auto.commit": False})


def _lag(consumer: Consumer, topic: str) -> float:
    """Offsets between a consumer group's position and the end; transaction markers count too."""
    try:
        (position,) = consumer.committed([TopicPartition(topic, 0)], timeout=_ASK_S)
        low, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=_ASK_S, cached=False)
    except KafkaException as error:
        raise SoakError(f"Kafka does not tell the lag on {topic}: {error}") from error
    return float(end - max(low, position.offset))


def _metrics(name: str, port: int) -> dict[str, float]:
    """The sum of each metric's series."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_ASK_S) as answer:
            text = answer.read().decode()
    except OSError as error:
        raise SoakError(f"the {name} does not tell its metrics: {error}") from error
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return sums


def _size(folder: Path) -> int:
    """Bytes on disk of a folder whose files come and go."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total
