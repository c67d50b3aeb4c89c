"""The connector's process: a thread for each source, one for Kafka, and an orderly end.

What was read in full is in Kafka, or in this process's bounded memory, or in the spool on disk, or in
rejects with its reason. A SIGKILL costs what is in memory alone: frames that Kafka had not acknowledged yet,
unless all go through the spool. A stop waits for them, and keeps in the spool what Kafka does not take.
"""

import threading
import time
from dataclasses import dataclass
from typing import Final

from connector.errors import UndeliveredError
from connector.metrics import Destination, SourceCounts
from connector.outlet import Outlet
from connector.publisher import Publisher
from connector.readers import find_files, make_readers, unread_files
from connector.records import Record
from connector.settings import ConnectorSettings
from connector.spool.folder import left_behind
from connector.spool.spool import Spool
from connector.steps import OnStep, no_step
from connector.topics import wait_for_kafka
from runtime.health import Heartbeat
from runtime.kafka_probe import KafkaProbe
from runtime.logs import get_logger
from runtime.shutdown import Shutdown
from schemas.errors import TraplineError
from schemas.source import ServerSource

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
        spooled: records that are left in the spool, for the next run.
    """

    frames: int = 0
    read_bytes: int = 0
    delivered: int = 0
    rejects: int = 0
    undelivered: int = 0
    spooled: int = 0


class ConnectorService:
    """Reads every source into Kafka until a stop is asked for, or files have come to their end."""

    def __init__(self, settings: ConnectorSettings, on_step: OnStep = no_step) -> None:
        """Prepare; nothing is connected yet, but the spool's folder is locked, where there is one.

        Args:
            settings: of the connector.
            on_step: told of the steps of each record.

        Raises:
            SpoolError: the spool's folder can't be used.
        """
        self._settings = settings
        self._heartbeat = Heartbeat(_STUCK_AFTER_S)
        self._probe = KafkaProbe(settings)
        self._stop = threading.Event()
        self._publisher = Publisher(settings, on_step)
        self._counts = {source.name: SourceCounts(source.name) for source in settings.own_sources}
        self._outlets: dict[str, Outlet] = {}
        self._spool = self._make_spool(on_step)
        lanes = {} if self._spool is None else self._spool.lanes
        ways = [
            lanes[source.name]
            if source.name in lanes and isinstance(source, ServerSource)
            else self._outlet(source.name)
            for source in settings.own_sources
        ]
        self._readers = make_readers(settings, ways, self._stop)
        self._reading = False

    def _outlet(self, name: str) -> Outlet:
        counts = self._counts.setdefault(name, SourceCounts(name))
        self._outlets[name] = self._publisher.outlet(name, counts)
        return self._outlets[name]

    def _make_spool(self, on_step: OnStep) -> Spool | None:
        settings = self._settings
        if settings.spool_dir is None:
            return None
        if settings.spool == "off":
            for name in left_behind(settings.spool_dir):
                log.warning(
                    "the spool holds frames of an earlier run, and is off: they are not sent "
                    "(TRAPLINE_SPOOL=overflow or through sends them)",
                    source=name,
                    folder=str(settings.spool_dir),
                )
            return None
        return Spool(
            settings,
            settings.spool_dir,
            self._outlet,
            stopping=self._stop,
            wait_for_room=self._publisher.wait_for_room,
            on_step=on_step,
        )

    def stuck(self) -> str | None:
        """Why the process should be restarted; None while its threads turn, whatever Kafka does."""
        problem = self._heartbeat.problem()
        if problem is None and self._reading:
            problem = self._publisher.heartbeat.problem()
        if problem is None and self._reading and self._spool is not None:
            problem = self._spool.stuck()
        return problem

    def not_ready(self) -> str | None:
        """Why no frames come into Kafka at present; None where those of one source at least do.

        After a start each source has to have been connected once, or have failed once: who is ready lets its
        twin be stopped, which still reads what is awaited here. One that is down for good is not waited for.
        """
        problem = self._probe.problem()
        if problem is not None:
            return problem
        problems = [f"{reader.source.name}: {reader.problem}" for reader in self._readers if reader.problem]
        if len(problems) == len(self._readers):
            return "no source is connected; " + "; ".join(problems)
        awaited = [reader.source.name for reader in self._readers if reader.untried]
        return "first attempts to connect are not over: " + ", ".join(awaited) if awaited else None

    def run(self, shutdown: Shutdown) -> Summary:
        """Read until a stop is asked for, or all sources are files and were read; deliver what was read.

        Raises:
            FileSourceError: at the start, a file:// source has no file; in the end, one could not be read.
            DeliveryError: Kafka refuses frames for a reason that no waiting mends.
            UndeliveredError: the stop gave up waiting for Kafka.
            KafkaUnavailableError, MissingTopicError, TopicCheckError: at the start; see `wait_for_kafka`.
        """
        try:
            find_files(self._readers)
            if self._spool is None and not wait_for_kafka(self._settings, shutdown, self._heartbeat):
                return Summary()
        except BaseException:
            self._close_spool()
            raise
        self._tell_share()
        self._publisher.start()
        self._reading = True
        if self._spool is not None:
            self._spool.start()
        for reader in self._readers:
            reader.start()
        try:
            # With a spool there is room for what comes before Kafka answers.
            if self._spool is not None:
                wait_for_kafka(self._settings, shutdown, self._heartbeat)
            while self._failure() is None and not self._all_done() and not shutdown.wait(_WATCH_S):
                self._heartbeat.beat()
        except TraplineError as error:
            return self._end(error)
        return self._end(self._failure())

    def _tell_share(self) -> None:
        settings = self._settings
        if settings.share is not None:
            log.info(
                "reading a share of the sources",
                share=str(settings.share),
                copies=settings.share_copies,
                sources=[source.name for source in settings.own_sources],
            )

    def _close_spool(self) -> None:
        """Before anything was read."""
        if self._spool is not None:
            self._spool.close([])

    def _all_done(self) -> bool:
        """Whether nothing more can be read, and Kafka has acknowledged everything."""
        if self._spool is not None and self._spool.busy:
            return False
        return all(reader.finished for reader in self._readers) and not any(
            outlet.waiting_records for outlet in self._outlets.values()
        )

    def _failure(self) -> Exception | None:
        """What no thread of ours will get over."""
        spool_failure = None if self._spool is None else self._spool.failure
        failures = (self._publisher.failure, spool_failure, *(reader.failure for reader in self._readers))
        return next((failure for failure in failures if failure is not None), None)

    def _end(self, failure: Exception | None) -> Summary:
        """Read no more, deliver what was read, and say what became of it."""
        deadline_s = time.monotonic() + self._settings.flush_timeout_s
        self._publisher.give_up_at(deadline_s)
        self._stop.set()
        for reader in self._readers:
            reader.wait_until_idle(deadline_s + _LAST_TURN_S - time.monotonic())
        if self._spool is not None:
            self._spool.end_feeding()
        failure = failure or self._failure()
        undelivered = self._keep(self._publisher.close())
        self._reading = False
        summary = self._summary(undelivered)
        for name, counts in self._counts.items():
            log.info("counted", source=name, **_figures(counts))
        if summary.spooled:
            log.warning("left in the spool, for the next run", records=summary.spooled)
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

    def _keep(self, unacknowledged: list[tuple[Record, Outlet]]) -> int:
        """Keep in the spool what Kafka does not have; the records of which that was not possible."""
        lanes = {} if self._spool is None else self._spool.lanes
        of_lanes = {lane.outlet for lane in lanes.values()}
        lost = {
            name: outlet.waiting_records for name, outlet in self._outlets.items() if outlet not in of_lanes
        }
        if self._spool is not None:
            for name, records in self._spool.close(unacknowledged).items():
                lost[name] = lost.get(name, 0) + records
        for name, records in lost.items():
            self._counts[name].undelivered.add(records)
        return sum(lost.values())

    def _summary(self, undelivered: int) -> Summary:
        every = self._counts.values()
        return Summary(
            frames=sum(int(counts.frames.total) for counts in every),
            read_bytes=sum(int(counts.read_bytes.total) for counts in every),
            delivered=sum(int(counts.delivered[Destination.RAW].total) for counts in every),
            rejects=sum(counts.rejects for counts in every),
            undelivered=undelivered,
            spooled=0 if self._spool is None else self._spool.records,
        )


def _figures(counts: SourceCounts) -> dict[str, int]:
    return {
        "frames": int(counts.frames.total),
        "read_bytes": int(counts.read_bytes.total),
        "delivered": int(counts.delivered[Destination.RAW].total),
        "rejects": counts.rejects,
        "reconnects": int(counts.reconnects.total),
    }
