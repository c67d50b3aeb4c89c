"""One run of the emulator: steps through the schedule and sends each step's frames to the clients."""

import time
from dataclasses import dataclass

from emulator import metrics
from emulator.images import Images
from emulator.ledger import Ledger
from emulator.misbehaviour import Misconduct, Piece
from emulator.pacing import Pace, Schedule
from emulator.read_ahead import ReadAhead
from runtime.image_server.client import Client
from runtime.image_server.script import Action, Close, Pause, Send
from runtime.image_server.servers import DRAIN_S, ImageServers
from runtime.logs import get_logger
from schemas.timestamp import format_timestamp

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run is to do.

    Attributes:
        pace: rate and timestamps.
        steps: number of steps; None: until stopped.
        wait_for_clients: clients that each source waits for before the first step.
        backlog_frames: frames that may wait for a slow client of a paced run.
    """

    pace: Pace
    steps: int | None
    wait_for_clients: int
    backlog_frames: int

    @property
    def flood(self) -> bool:
        """The clients set the rate: a step waits until they have the one before."""
        return self.pace.rate_hz is None


class Broadcast:
    """Runs in one thread, which owns the servers.

    A step's frames are all queued, and at 'rate max' all sent, before the next step begins.

    Args:
        plan: what to do.
        images: prepared.
        servers: one a source, in order, listening.
        misconduct: spoils frames.
        ledger: is told what became of each frame.
    """

    def __init__(
        self,
        plan: RunPlan,
        *,
        images: Images,
        servers: ImageServers,
        misconduct: Misconduct,
        ledger: Ledger,
    ) -> None:
        self._plan = plan
        self._images = images
        self._servers = servers
        self._misconduct = misconduct
        self._ledger = ledger

    def run(self) -> None:
        """Run to the end of the plan or until stopped; then half-close and close all connections."""
        try:
            self._servers.wait_for_clients(self._plan.wait_for_clients)
            self._run_steps()
            self._finish()
        finally:
            self._servers.close()

    def _run_steps(self) -> None:
        schedule = self._plan.pace.begin(time.time_ns() // 1000, time.monotonic())
        self._images.start(schedule)
        steps = min((n for n in (self._plan.steps, self._images.steps) if n is not None), default=None)
        ahead = ReadAhead(self._images, 0, steps, self._servers.wake)
        try:
            step = 0
            while step != steps and self._may_send(schedule, step, ahead):
                self._servers.heartbeat.beat()
                self._send_step(schedule, step, ahead)
                step += 1
                self._ledger.counts.steps = step
        finally:
            ahead.stop()

    def _may_send(self, schedule: Schedule, step: int, ahead: ReadAhead) -> bool:
        """Wait until a step is due, rendered and wanted; False when the run is to stop."""
        if self._plan.flood:
            self._servers.serve_now()  # also where nobody has to be waited for
            needed = min(self._plan.wait_for_clients, 1)
            self._servers.serve_until(lambda: ahead.ready() and self._servers.everyone_here(needed))
        else:
            self._servers.serve_until(lambda: False, schedule.due_s(step))
            self._servers.serve_until(ahead.ready)
            self._watch_lateness(time.monotonic() - schedule.due_s(step))
        return not self._servers.stopped

    def _watch_lateness(self, late_s: float) -> None:
        if self._plan.pace.rate_hz is None or late_s <= 1 / self._plan.pace.rate_hz:
            return
        self._ledger.counts.late_steps += 1
        metrics.LATE_STEPS.inc()
        if self._ledger.counts.late_steps.bit_count() == 1:  # the 1st, 2nd, 4th, 8th, …
            log.warning(
                "behind the schedule; a lower --rate, fewer sources or smaller images help",
                late_s=round(late_s, 3),
                late_steps=self._ledger.counts.late_steps,
            )

    def _send_step(self, schedule: Schedule, step: int, ahead: ReadAhead) -> None:
        timestamp_us = schedule.timestamp_us(step, time.time_ns() // 1000)
        exposures = dict(zip(self._servers.ports, ahead.take(), strict=True))
        for source in self._misconduct.order(step):
            exposure = exposures[source]
            if exposure is None:
                continue
            if self._misconduct.dead(step, source):
                self._end_source(source)
                continue
            own_us = exposure.timestamp_us
            frame = exposure.frame(source, timestamp_us if own_us is None else own_us)
            for piece in self._misconduct.pieces(step, frame):
                self._queue(piece)
        log.debug("step", step=step, timestamp=format_timestamp(timestamp_us))
        if self._plan.flood:
            self._servers.serve_until(lambda: self._servers.idle)

    def _queue(self, piece: Piece) -> None:
        """Queue a piece for each client of its source; a paced run drops those with too long a backlog."""
        source = piece.frame.source
        if not self._plan.flood:
            for client in self._servers.clients(source):
                if client.backlog >= self._plan.backlog_frames:
                    self._drop_slow(source, client)
        clients = self._servers.clients(source)
        actions = self._actions(piece, len(clients))
        for client in clients:
            self._servers.queue(source, client, actions)

    def _actions(self, piece: Piece, clients: int) -> list[Action]:
        frame = piece.frame
        delivery = self._ledger.expect(frame, clients)
        actions: list[Action]
        if piece.pause_inside_s is None:
            actions = [frame.send(delivery)]
        else:
            half = frame.pixels.nbytes // 2
            actions = [
                Send.of(frame.header + frame.text, frame.pixels[:half]),
                Pause(piece.pause_inside_s),
                Send.of(frame.pixels[half:], receipt=delivery),
            ]
        return [*actions, Close()] if piece.then_close else actions

    def _drop_slow(self, source: str, client: Client) -> None:
        lost = self._servers.drop(source, client)
        self._ledger.counts.slow_clients += 1
        metrics.SLOW_CLIENTS.labels(source).inc()
        log.warning(
            "client cannot keep up and is disconnected",
            source=source,
            client=client.name,
            frames_lost=lost,
            backlog_frames=self._plan.backlog_frames,
        )

    def _end_source(self, source: str) -> None:
        if self._servers.ports[source].listening:
            log.info("source goes dead on purpose", source=source)
            self._servers.end_source(source)

    def _finish(self) -> None:
        """Let the clients read what is under way, then the end of the stream."""
        for piece in self._misconduct.remainder():
            self._queue(piece)
        # A flood that has come to its end waits for its clients; only a stop limits it.
        self._servers.finish(drain_s=None if self._plan.flood else DRAIN_S)
