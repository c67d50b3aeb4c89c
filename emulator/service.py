"""The emulator: image servers in a thread, for the command line and for tests alike."""

import dataclasses
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from emulator import metrics
from emulator.broadcast import Broadcast, RunPlan
from emulator.fits_images import FitsImages
from emulator.images import Images, SkyImages, ring_steps
from emulator.ledger import Ledger
from emulator.metrics import Counts
from emulator.misbehaviour import FAULTS, Misconduct
from emulator.settings import DEFAULT_SOURCES, EmulatorSettings
from emulator.truth import TruthFile
from runtime.image_server.ports_file import write_ports_file
from runtime.image_server.servers import ImageServers
from runtime.logs import get_logger
from runtime.shutdown import Shutdown
from schemas.source import ServerSource

log = get_logger(__name__)

_WATCH_S = 0.1


class Emulator:
    """Image servers that can be started and stopped inside a process; also a context manager.

    Example:
        with Emulator(EmulatorSettings(emulator_sources=2, emulator_port=0)) as emulator:
            connect_to(emulator.sources)

    Raises (start):
        PortError, FitsFolderError, EmulatorError: what is wrong and which option helps.
    """

    def __init__(self, settings: EmulatorSettings) -> None:
        self._settings = settings
        self._broadcast: Broadcast | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._ledger = Ledger(None)
        self._truth: TruthFile | None = None
        self._servers: ImageServers | None = None

    @property
    def sources(self) -> tuple[ServerSource, ...]:
        """The servers as a connector is told of them, with their real ports."""
        if self._servers is None:
            return ()
        return self._servers.sources(self._settings.emulator_pixel_order)

    @property
    def sources_value(self) -> str:
        """The same as a value of TRAPLINE_SOURCES."""
        return ",".join(map(str, self.sources))

    @property
    def counts(self) -> Counts:
        """What the run has done so far."""
        return self._ledger.counts

    def problem(self) -> str | None:
        """Why it does not serve; None while all is well."""
        return "not started yet" if self._servers is None else self._servers.heartbeat.problem()

    def start(self) -> None:
        """Render ahead, open the ports, and serve in a thread. When it returns, clients can connect."""
        settings = self._settings
        images = _images(settings)
        images.prepare(settings.pace.begin(*_now()))
        names = tuple(f"sb{index}" for index in range(images.source_count))
        metrics.touch(names, tuple(FAULTS))
        servers = ImageServers(lambda source, clients: metrics.CLIENTS.labels(source).set(clients))
        try:
            servers.listen(settings.emulator_host, settings.emulator_port, names)
            self._servers = servers
            if settings.emulator_truth is not None:
                self._truth = TruthFile(settings.emulator_truth)
            if settings.emulator_ports_file is not None:
                write_ports_file(settings.emulator_ports_file, self.sources_value)
        except BaseException:
            servers.close()
            if self._truth is not None:
                self._truth.close()
            raise
        self._ledger = Ledger(self._truth)
        plan = RunPlan(
            settings.pace,
            settings.emulator_frames,
            settings.wait_for_clients,
            settings.emulator_backlog_frames,
        )
        misconduct = Misconduct(settings.emulator_misbehave, names)
        self._broadcast = Broadcast(
            plan,
            images=images,
            servers=servers,
            misconduct=misconduct,
            ledger=self._ledger,
        )
        self._thread = threading.Thread(target=self._serve, name="emulator", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a finite run to end; says whether it has.

        Raises:
            Exception: whatever ended it early.
        """
        if self._thread is None:
            raise RuntimeError("wait() before start()")
        self._thread.join(timeout_s)
        if self._failure is not None:
            raise self._failure
        return not self._thread.is_alive()

    def stop(self) -> Counts:
        """End the run: clients may read what is under way, then the end of the stream. Idempotent.

        Raises:
            Exception: whatever ended it early.
        """
        if self._broadcast is not None and self._servers is not None:
            self._servers.stop()
            self.wait()
        return self.counts

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self) -> None:
        try:
            if self._broadcast is not None:
                self._broadcast.run()
        except Exception as failure:  # noqa: BLE001 - handed to whoever waits for the thread
            self._failure = failure
        finally:
            if self._truth is not None:
                self._truth.close()


class EmulatorService:
    """`trapline emulator`: an Emulator until its run ends or the process is asked to stop.

    Args:
        settings: checked.
        announce: called once the servers answer, with a value for TRAPLINE_SOURCES.
    """

    def __init__(self, settings: EmulatorSettings, announce: Callable[[str], None]) -> None:
        self._settings = settings
        self._announce = announce
        self._emulator = Emulator(settings)

    def problem(self) -> str | None:
        """Why it does not serve, or serves no more; None while all is well."""
        return self._emulator.problem()

    def run(self, shutdown: Shutdown) -> Counts:
        """Serve; returns the final counts, which are logged as well.

        Raises:
            PortError, EmulatorError: the emulator cannot start.
        """
        self._emulator.start()
        try:
            log.info("serving", sources=len(self._emulator.sources), **_described(self._settings))
            self._announce(self._emulator.sources_value)
            while not self._emulator.wait(0.0) and not shutdown.wait(_WATCH_S):
                pass
        finally:
            counts = self._emulator.stop()
            log.info("stopped", **dataclasses.asdict(counts))
        return counts


def _images(settings: EmulatorSettings) -> Images:
    if settings.emulator_fits is not None:
        return FitsImages(
            settings.emulator_fits,
            settings.emulator_sources,
            keep_dates=settings.emulator_keep_dates,
            pixel_order=settings.emulator_pixel_order,
        )
    count = settings.emulator_sources or DEFAULT_SOURCES
    ring = ring_steps(settings.emulator_ring, settings.emulator_rate, settings.emulator_size, count)
    return SkyImages(
        settings.emulator_seed, settings.emulator_size, count, ring, settings.emulator_pixel_order
    )


def _now() -> tuple[int, float]:
    return time.time_ns() // 1000, time.monotonic()


def _described(settings: EmulatorSettings) -> dict[str, str | int]:
    """The settings that tell one run from another, for the log."""
    rate = settings.emulator_rate
    faults = ",".join(str(one) for one in settings.emulator_misbehave)
    return {
        "images": str(settings.emulator_fits or settings.emulator_size),
        "rate": "max" if rate is None else f"{rate:g}/s",
        "frames": "until stopped" if settings.emulator_frames is None else settings.emulator_frames,
        **({"misbehave": faults} if faults else {}),
    }
