"""One run of the emulator: steps through the schedule and sends each step's frames to the clients."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from emulator import metrics
from emulator.client import Client
from emulator.images import Images
from emulator.ledger import Ledger
from emulator.misbehaviour import Misconduct, Piece
from emulator.pacing import Pace, Schedule
from emulator.read_ahead import ReadAhead
from emulator.script import Action, Close, Pause, Send
from emulator.switchboard import Departure, Port, Switchboard
from runtime.health import Heartbeat
from runtime.logs import get_logger
from schemas.timestamp import format_timestamp

log = get_logger(__name__)

_TURN_S = 1.0
"""Longest wait in the loop; each turn is a heartbeat."""

_DRAIN_S = 5.0
"""How long clients may take to read what is under way once the run has been told to stop."""

_GOODBYE_S = 5.0
"""How long clients may take to hang up after the end of the stream."""


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
    """Runs in one thread, which owns the switchboard.

    A step's frames are all queued, and at 'rate max' all sent, before the next step begins.

    Args:
        plan: what to do.
        images: prepared.
        switchboard: with one port a source, listening.
        ports: by source, in order.
        misconduct: spoils frames.
        ledger: is told what became of each frame.
    """

    def __init__(
        self,
        plan: RunPlan,
        *,
        images: Images,
        switchboard: Switchboard,
        ports: dict[str, Port],
        misconduct: Misconduct,
        ledger: Ledger,
    ) -> None:
        self._plan = plan
        self._images = images
        self._switchboard = switchboard
        self._ports = ports
        self._misconduct = misconduct
        self._ledger = ledger
        self._stop = threading.Event()
        self.heartbeat = Heartbeat()

    def stop(self) -> None:
        """End the run after the step under way; from any thread."""
        self._stop.set()
        self._switchboard.wake()

    def run(self) -> None:
        """Run to the end of the plan or until stopped; then half-close and close all connections."""
        try:
            wanted = self._plan.wait_for_clients
            if wanted and not self._everyone_here(wanted):
                log.info("waiting for clients", per_source=wanted)
                self._serve_until(lambda: self._everyone_here(wanted))
            self._run_steps()
            self._finish()
        finally:
            self._switchboard.close()

    def _run_steps(self) -> None:
        schedule = self._plan.pace.begin(time.time_ns() // 1000, time.monotonic())
        self._images.start(schedule)
        steps = min((n for n in (self._plan.steps, self._images.steps) if n is not None), default=None)
        ahead = ReadAhead(self._images, 0, steps, self._switchboard.wake)
        try:
            step = 0
            while step != steps and self._may_send(schedule, step, ahead):
                self.heartbeat.beat()
                self._send_step(schedule, step, ahead)
                step += 1
                self._ledger.counts.steps = step
        finally:
            ahead.stop()

    def _may_send(self, schedule: Schedule, step: int, ahead: ReadAhead) -> bool:
        """Wait until a step is due, rendered and wanted; False when the run is to stop."""
        if self._plan.flood:
            self._switchboard.turn(0.0)  # notice who came and went, also where nobody has to be waited for
            needed = min(self._plan.wait_for_clients, 1)
            self._serve_until(lambda: ahead.ready() and self._everyone_here(needed))
        else:
            self._serve_until(lambda: False, schedule.due_s(step))
            self._serve_until(ahead.ready)
            self._watch_lateness(time.monotonic() - schedule.due_s(step))
        return not self._stop.is_set()

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
        exposures = dict(zip(self._ports, ahead.take(), strict=True))
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
            self._serve_until(lambda: self._switchboard.idle)

    def _queue(self, piece: Piece) -> None:
        """Queue a piece for each client of its source; a paced run drops those with too long a backlog."""
        source = piece.frame.source
        port = self._ports[source]
        if not self._plan.flood:
            for client in list(port.clients):
                if client.backlog >= self._plan.backlog_frames:
                    self._drop_slow(source, port, client)
        clients = list(port.clients)
        actions = self._actions(piece, len(clients))
        for client in clients:
            self._switchboard.queue(port, client, actions)

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

    def _drop_slow(self, source: str, port: Port, client: Client) -> None:
        lost = self._switchboard.drop(port, client)
        self._ledger.counts.slow_clients += 1
        metrics.SLOW_CLIENTS.labels(source).inc()
        metrics.CLIENTS.labels(source).set(len(port.clients))
        log.warning(
            "client cannot keep up and is disconnected",
            source=source,
            client=client.name,
            frames_lost=lost,
            backlog_frames=self._plan.backlog_frames,
        )

    def _end_source(self, source: str) -> None:
        port = self._ports[source]
        if port.listening:
            log.info("source goes dead on purpose", source=source)
            self._switchboard.stop_listening(port)
            for client in list(port.clients):
                self._switchboard.queue(port, client, [Close()])

    def _finish(self) -> None:
        """Let the clients read what is under way, then the end of the stream."""
        for piece in self._misconduct.remainder():
            self._queue(piece)
        for port in self._ports.values():
            self._switchboard.stop_listening(port)
        # A flood that has come to its end waits for its clients; only a stop limits it.
        endless = self._plan.flood
        self._serve_until(lambda: self._switchboard.idle, None if endless else time.monotonic() + _DRAIN_S)
        if self._stop.is_set():
            self._drain(lambda: self._switchboard.idle, _DRAIN_S)
        self._switchboard.half_close()
        self._drain(lambda: not any(port.clients for port in self._ports.values()), _GOODBYE_S)

    def _drain(self, condition: Callable[[], bool], at_most_s: float) -> None:
        """Serve until a condition holds, also after a stop."""
        until_s = time.monotonic() + at_most_s
        while not condition() and time.monotonic() < until_s:
            self._switchboard.turn(until_s - time.monotonic())

    def _serve_until(self, condition: Callable[[], bool], deadline_s: float | None = None) -> None:
        """Serve until a condition holds, a time has come, or the run is to stop."""
        while not self._stop.is_set() and not condition():
            wait_s = _TURN_S if deadline_s is None else min(deadline_s - time.monotonic(), _TURN_S)
            if wait_s <= 0:
                return
            self._switchboard.turn(wait_s)
            self.heartbeat.beat()

    def _everyone_here(self, number: int) -> bool:
        """Every source that is alive has so many clients."""
        return all(len(port.clients) >= number for port in self._ports.values() if port.listening)


def log_departure(departure: Departure, source: str) -> None:
    """Log a client that went away, and note it in the metrics."""
    metrics.CLIENTS.labels(source).set(len(departure.port.clients))
    log.info(
        "client gone",
        source=source,
        client=departure.client.name,
        reason=departure.reason,
        frames_lost=departure.lost_sends,
    )
