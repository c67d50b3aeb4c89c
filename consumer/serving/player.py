"""Sends groups to the clients when they are due: all sources of one timestamp before the next.

Nothing is dropped. A group has gone out when each client that was there has all of it; only then does the
next one begin, so the slowest client sets the pace wherever it is slower than the clock, and what is read
ahead stays bounded. What was held up by a slow client is caught up; where playing stood still because
nobody was there, it goes on at the cadence.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from consumer.cadence import Schedule, awake_s
from consumer.serving import metrics
from consumer.serving.ahead import Ahead
from consumer.serving.frames import PlayedFrame, PlayedGroup
from consumer.serving.metrics import Counts
from runtime.image_server.client import Client
from runtime.image_server.script import Send
from runtime.image_server.servers import DRAIN_S, ImageServers
from runtime.logs import get_logger

log = get_logger(__name__)

_LOOK_S: Final = 1.0
"""How often clients that are waited for are looked at."""

_TELL_S: Final = 10.0
"""After so long without a byte taken it is said who is waited for."""

_TOLERANCE_S: Final = 0.1
"""Groups follow each other at least so far apart, for what counts as late."""


@dataclass(frozen=True, slots=True)
class Played:
    """A group that has gone out.

    Attributes:
        group: it.
        due_s: when it was due, on the monotonic clock,
        began_s: and when its first frame was handed to the system.
    """

    group: PlayedGroup
    due_s: float
    began_s: float


@dataclass(frozen=True, slots=True)
class PlayPlan:
    """How to play.

    Attributes:
        schedule: says when groups are due; None: as they come.
        wait_for_clients: clients that each source waits for before the first group. Unless it is 0, a source
            without any is waited for later, too.
        drop_stalled_s: a client that takes no byte for so long is disconnected; None: it is waited for.
    """

    schedule: Schedule | None
    wait_for_clients: int
    drop_stalled_s: float | None


class Player:
    """Runs in one thread, which owns the servers."""

    def __init__(
        self,
        plan: PlayPlan,
        servers: ImageServers,
        ahead: Ahead,
        counts: Counts,
        on_played: Callable[[Played], None],
    ) -> None:
        """Prepare.

        Args:
            plan: how to play.
            servers: one a source, listening.
            ahead: the groups.
            counts: are kept up to date.
            on_played: told of each group that has gone out, in the player's thread.
        """
        self._plan = plan
        self._servers = servers
        self._ahead = ahead
        self._counts = counts
        self._on_played = on_played
        self._held_up_s = 0.0  # for want of clients: the schedule is later by this
        self._last_due_s = 0.0

    def run(self) -> bool:
        """Play to the end, or until the servers are stopped; then close all connections.

        Returns:
            Whether all has gone out.

        Raises:
            Exception: whatever ended the reading.
        """
        try:
            self._servers.wait_for_clients(self._plan.wait_for_clients)
            whole = self._play()
            if whole or self._servers.idle:  # else they have had their time
                self._servers.finish(drain_s=None)
        finally:
            self._servers.close()
        return whole

    def _play(self) -> bool:
        while True:
            self._servers.serve_until(self._ahead.ready)
            if self._servers.stopped:
                return False
            group = self._ahead.take()
            if group is None:
                return True
            due_s = self._await(group)
            if self._servers.stopped:
                return False
            began_s = time.monotonic()
            if not self._send(group):
                return False
            self._ahead.done()
            self._counts.groups += 1
            metrics.GROUPS.inc()
            self._watch_lateness(due_s, began_s)
            self._on_played(Played(group, due_s, began_s))

    def _await(self, group: PlayedGroup) -> float:
        """Wait until a group is due, and everybody there; returns when it was due."""
        now_s = time.monotonic()
        due_s = now_s
        if self._plan.schedule is not None:
            due_s = self._plan.schedule.due_s(group.timestamp_us, now_s) + self._held_up_s
            self._servers.serve_until(lambda: False, due_s - awake_s(due_s - now_s))
            while time.monotonic() < due_s and not self._servers.stopped:
                self._servers.serve_now()
        self._servers.serve_now()  # notice who has come and gone, also where nothing was waited for
        return due_s + self._await_clients()

    def _await_clients(self) -> float:
        """Wait for a client of each source, where that is wanted; returns for how long."""
        needed = min(self._plan.wait_for_clients, 1)
        if self._servers.everyone_here(needed):
            return 0.0
        began_s = time.monotonic()
        self._servers.wait_for_clients(needed)
        held_up_s = time.monotonic() - began_s
        self._held_up_s += held_up_s
        return held_up_s

    def _send(self, group: PlayedGroup) -> bool:
        """Send a group to all who are there; says whether it has gone out whole."""
        left = [Delivery(frame, self._counts) for frame in group.frames]
        while left:
            for delivery in left:
                self._queue(delivery)
            self._await_delivery()
            left = [delivery for delivery in left if not delivery.had]
            if left and self._servers.stopped:
                return False
            if left and not self._plan.wait_for_clients:
                for delivery in left:
                    self._counts.unseen += 1
                    metrics.UNSEEN.labels(delivery.frame.source).inc()
                return True
            if left:  # the only client of a source went away before it had its frame
                self._await_clients()
        return True

    def _queue(self, delivery: "Delivery") -> None:
        source, data = delivery.frame.source, delivery.frame.data
        for client in self._servers.clients(source):
            self._servers.queue(source, client, [Send.of(data, receipt=delivery)])

    def _await_delivery(self) -> None:
        """Serve until every client has all that is queued; who takes nothing may be disconnected."""
        watch = StallWatch(time.monotonic())
        while not self._servers.idle and not self._servers.stopped:
            self._servers.serve_until(lambda: self._servers.idle, time.monotonic() + _LOOK_S)
            for source in self._servers.ports:
                for client in self._servers.clients(source):
                    self._look_at(source, client, watch.stalled_s(client, time.monotonic()), watch)
        if self._servers.stopped:
            self._servers.drain(lambda: self._servers.idle, DRAIN_S)

    def _look_at(self, source: str, client: Client, stalled_s: float, watch: "StallWatch") -> None:
        limit_s = self._plan.drop_stalled_s
        if limit_s is not None and stalled_s >= limit_s:
            self._servers.drop(source, client)
            self._counts.stalled_clients += 1
            metrics.STALLED_CLIENTS.inc()
            log.warning(
                "client takes nothing and is disconnected",
                source=source,
                client=client.name,
                stalled_s=round(stalled_s),
            )
        elif stalled_s >= _TELL_S and watch.tell(client):
            log.warning(
                "a client takes nothing; all wait for it (--drop-stalled ends that)",
                source=source,
                client=client.name,
                stalled_s=round(stalled_s),
            )

    def _watch_lateness(self, due_s: float, began_s: float) -> None:
        late_s = began_s - due_s
        metrics.LATENESS.observe(max(0.0, late_s))
        step_s, self._last_due_s = due_s - self._last_due_s, due_s
        if self._plan.schedule is None or late_s <= max(step_s, _TOLERANCE_S):
            return
        self._counts.late += 1
        metrics.LATE.inc()
        if self._counts.late.bit_count() == 1:  # the 1st, 2nd, 4th, 8th, …
            log.warning(
                "behind the pace; nothing is dropped: a client, or Kafka, is slower than that",
                late_s=round(late_s, 3),
                late_groups=self._counts.late,
            )


class Delivery:
    """The receipt of one frame for all the clients it is queued for.

    Attributes:
        frame: the frame.
        had: whether a client has all of it: its last byte is in the client's connection.
    """

    def __init__(self, frame: PlayedFrame, counts: Counts) -> None:
        self.frame = frame
        self.had = False
        self._counts = counts

    def sent(self) -> None:
        """One client has it."""
        if not self.had:
            self.had = True
            self._counts.frames += 1
            self._counts.bytes += len(self.frame.data)
            metrics.FRAMES.labels(self.frame.source).inc()
            metrics.BYTES.labels(self.frame.source).inc(len(self.frame.data))

    def lost(self) -> None:
        """One client will never have it."""
        log.debug("frame lost with its client", source=self.frame.source)


class StallWatch:
    """For how long clients have taken nothing, while something is queued for them."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._seen: dict[Client, tuple[int, float]] = {}
        self._told: set[Client] = set()

    def stalled_s(self, client: Client, now_s: float) -> float:
        """Seconds since this client took a byte; 0 where it has everything."""
        if client.idle:
            self._seen.pop(client, None)
            return 0.0
        sent, since_s = self._seen.get(client, (-1, self._began_s))
        if sent not in (client.bytes_sent, -1):
            since_s = now_s
        self._seen[client] = client.bytes_sent, since_s
        return now_s - since_s

    def tell(self, client: Client) -> bool:
        """Whether this client is to be named now: once."""
        new = client not in self._told
        self._told.add(client)
        return new
