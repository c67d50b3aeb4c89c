"""The connector's process: a thread for each source, one for Kafka, and an orderly end.

What was read in full is in Kafka, or in this process's bounded memory, or in rejects with its reason. A
SIGKILL costs what is in memory: frames that Kafka had not acknowledged yet. A stop waits for them.
"""

import threading
import time
from dataclasses import dataclass
from typing import Final

from connector.errors import UndeliveredError
from connector.metrics import Destination, SourceCounts
from connector.publisher import Publisher
from connector.readers import find_files, make_readers, unread_files
from connector.settings import ConnectorSettings
from connector.topics import wait_for_kafka
from runtime.health import Heartbeat
from runtime.kafka_probe import KafkaProbe
from runtime.logs import get_logger
from runtime.shutdown import Shutdown

log = get_logger(__name__)

_WATCH_S: Final = 0.5
_STUCK_AFTER_S: Final = 30.0
_LAST_TURN_S: Final = 2.0  # until a reader notices a stop


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did, over all sources.

    Attributes:
        frames: read in full.
        read_bytes: read from the sources.
        delivered: frames that are in raw, acknowledged.
        rejects: frames and runs of bytes rejected.
        undelivered: records that were given up.
    """

    frames: int = 0
    read_bytes: int = 0
    delivered: int = 0
    rejects: int = 0
    undelivered: int = 0


class ConnectorService:
    """Reads every source into Kafka until a stop is asked for, or files have come to their end."""

    def __init__(self, settings: ConnectorSettings) -> None:
        """Prepare; nothing is connected yet."""
        self._settings = settings
        self._heartbeat = Heartbeat(_STUCK_AFTER_S)
        self._probe = KafkaProbe(settings)
        self._stop = threading.Event()
        self._publisher = Publisher(settings)
        self._counts = {source.name: SourceCounts(source.name) for source in settings.sources}
        self._outlets = [
            self._publisher.outlet(source, self._counts[source.name]) for source in settings.sources
        ]
        self._readers = make_readers(settings, self._outlets, self._stop)
        self._reading = False

    def stuck(self) -> str | None:
        """Why the process should be restarted; None while its threads turn, whatever Kafka does."""
        problem = self._heartbeat.problem()
        if problem is None and self._reading:
            problem = self._publisher.heartbeat.problem()
        return problem

    def not_ready(self) -> str | None:
        """Why no frames come into Kafka at present; None where those of one source at least do."""
        problem = self._probe.problem()
        if problem is not None:
            return problem
        problems = [f"{reader.source.name}: {reader.problem}" for reader in self._readers if reader.problem]
        return (
            "no source is connected; " + "; ".join(problems) if len(problems) == len(self._readers) else None
        )

    def run(self, shutdown: Shutdown) -> Summary:
        """Read until a stop is asked for, or all sources are files and were read; deliver what was read.

        Raises:
            FileSourceError: at the start, a file:// source has no file; in the end, one could not be read.
            DeliveryError: Kafka refuses frames for a reason that no waiting mends.
            UndeliveredError: the stop gave up waiting for Kafka.
            KafkaUnavailableError, MissingTopicError, TopicCheckError: at the start; see `wait_for_kafka`.
        """
        find_files(self._readers)
        if not wait_for_kafka(self._settings, shutdown, self._heartbeat):
            return Summary()
        self._publisher.start()
        self._reading = True
        for reader in self._readers:
            reader.start()
        while self._failure() is None and not self._all_done() and not shutdown.wait(_WATCH_S):
            self._heartbeat.beat()
        return self._end()

    def _all_done(self) -> bool:
        """Whether nothing more can be read, and Kafka has acknowledged everything."""
        return all(reader.finished for reader in self._readers) and not any(
            outlet.waiting_records for outlet in self._outlets
        )

    def _failure(self) -> Exception | None:
        """What no thread of ours will get over."""
        failures = (self._publisher.failure, *(reader.failure for reader in self._readers))
        return next((failure for failure in failures if failure is not None), None)

    def _end(self) -> Summary:
        """Read no more, deliver what was read, and say what became of it."""
        failure = self._failure()
        deadline_s = time.monotonic() + self._settings.flush_timeout_s
        self._publisher.give_up_at(deadline_s)
        self._stop.set()
        for reader in self._readers:
            reader.wait_until_idle(deadline_s + _LAST_TURN_S - time.monotonic())
        undelivered = self._publisher.close()
        self._reading = False
        summary = self._summary(undelivered)
        for name, counts in self._counts.items():
            log.info("counted", source=name, **_figures(counts))
        if undelivered:
            log.error("read, and not in Kafka", records=undelivered)
        if failure is None and undelivered:
            failure = UndeliveredError(
                f"{undelivered} of the records that were read are not in Kafka: it did not acknowledge them "
                f"within {self._settings.flush_timeout_s:g} s (TRAPLINE_FLUSH_TIMEOUT_S)"
            )
        failure = failure or unread_files(self._readers)
        if failure is not None:
            raise failure
        return summary

    def _summary(self, undelivered: int) -> Summary:
        every = self._counts.values()
        return Summary(
            frames=sum(int(counts.frames.total) for counts in every),
            read_bytes=sum(int(counts.read_bytes.total) for counts in every),
            delivered=sum(int(counts.delivered[Destination.RAW].total) for counts in every),
            rejects=sum(counts.rejects for counts in every),
            undelivered=undelivered,
        )


def _figures(counts: SourceCounts) -> dict[str, int]:
    return {
        "frames": int(counts.frames.total),
        "read_bytes": int(counts.read_bytes.total),
        "delivered": int(counts.delivered[Destination.RAW].total),
        "rejects": counts.rejects,
        "reconnects": int(counts.reconnects.total),
    }
