"""`trapline serve`: looks at the range, opens the ports, and plays until the end or until asked to stop.

Where the sources are named, the ports are opened first of all: a client may come while that is done.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from confluent_kafka import KafkaException

from consumer.cadence import Cadence
from consumer.catalogue import CatalogueRecord
from consumer.catalogue_tail import CatalogueTail
from consumer.errors import BrokerUnreachableError, NothingFoundError
from consumer.group_range import GroupRange
from consumer.history import History
from consumer.kafka_errors import stream_error
from consumer.selection import Revisions
from consumer.serving import metrics
from consumer.serving.ahead import Ahead
from consumer.serving.frames import FrameSource, PlayedGroup, served
from consumer.serving.live import live_records
from consumer.serving.metrics import Counts
from consumer.serving.player import Played, Player, PlayPlan
from consumer.serving.playlist import Item, Place, playlist
from consumer.serving.settings import ServeSettings
from consumer.serving.survey import Survey, count_without_frames, pixel_orders, survey
from consumer.start import AtOffset, LastGroups
from runtime.image_server.ports_file import write_ports_file
from runtime.image_server.servers import ImageServers
from runtime.kafka import explain, kafka_error
from runtime.logs import get_logger
from runtime.shutdown import Shutdown
from schemas.pixel_order import PixelOrder
from schemas.source import ServerSource
from schemas.timestamp import format_timestamp

_WATCH_S: Final = 0.1
_LIVE_LOOK_BACK: Final = 20
"""Of so many last groups the sources are taken that are served from now on, as the grouper's `auto` does."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Programme:
    """What is going to be played, known before anything is.

    Attributes:
        survey: what the range holds; for what comes from now on: what the last groups hold.
        orders: by source, in the order of the ports, the order of the pixels in its frames.
        without_frames: groups of which raw no longer has every frame; None where nobody counted.
    """

    survey: Survey
    orders: Mapping[str, PixelOrder]
    without_frames: int | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """Where groups are read; from the start of the reading on it belongs to the thread that reads.

    Attributes:
        history: what there is.
        tail: what comes; None: that is not played.
        let_go: closes all of it.
    """

    history: History
    tail: CatalogueTail | None
    let_go: ExitStack


class ServeService:
    """Serves one range of history, or what comes.

    Attributes:
        counts: what was done.
        finished: whether the range was played to its end.
    """

    def __init__(
        self,
        settings: ServeSettings,
        where: GroupRange,
        cadence: Cadence,
        *,
        announce: Callable[[Programme, tuple[ServerSource, ...]], None],
        on_played: Callable[[Played], None],
    ) -> None:
        """Connect to nothing yet.

        Args:
            settings: checked.
            where: which groups.
            cadence: how fast; what comes from now on is sent as it comes.
            announce: called once the servers answer, with what is going to be played, and where.
            on_played: told of each group that has gone out, in the serving thread.
        """
        self.counts = Counts()
        self.finished = False
        self._settings = settings
        self._where = where
        self._cadence = cadence
        self._announce = announce
        self._on_played = on_played
        self._servers: ImageServers | None = None
        self._serving = False
        self._history: History | None = None
        self._programme: Programme | None = None
        self._starts: dict[int, int] = {}  # by partition: where what comes from now on begins
        self._done: dict[int, int] = {}  # by partition: one past the last group that has gone out
        self._failure: BaseException | None = None

    def problem(self) -> str | None:
        """Why it does not serve, or serves no more; None while all is well."""
        return self._servers.heartbeat.problem() if self._serving and self._servers is not None else None

    def not_ready(self) -> str | None:
        """Why clients cannot connect; None where they can."""
        return "looking what the range holds" if self._servers is None else self.problem()

    def left(self) -> GroupRange:
        """What has not gone out yet."""
        if self._where.from_now_on or self._history is None:
            offsets = {**self._starts, **self._done}
            return self._where.resumed(offsets, self.counts.groups) if offsets else self._where
        where = self._where
        if isinstance(where.place, LastGroups) and self._programme is not None:
            # Of the last publications not each is a group that is played.
            where = replace(where, place=LastGroups(self._programme.survey.meant))
        return self._history.resumed(where, self._done, self.counts.groups, self.counts.left_out)

    def look(self, shutdown: Shutdown) -> Programme:
        """Find out what is going to be played; opens no port.

        Raises:
            NothingFoundError: no group lies in the range, or it is not known which sources there will be.
            StreamError: Kafka is away, or refuses; a topic does not exist.
        """
        with History(self._settings) as history:
            programme = self._look(history, shutdown)
            if self._where.from_now_on:
                return programme
            records = history.find(replace(self._where, limit=None))
            items = islice(self._playlist(history, records, programme.survey.newest), self._where.limit)
            lost = count_without_frames(self._settings, items, history.partitions)
            return replace(programme, without_frames=lost)

    def run(self, shutdown: Shutdown) -> None:
        """Serve, until all has gone out or the process is to stop.

        Raises:
            NothingFoundError: as `look`.
            PortError: a port cannot be had; with named sources that comes before anything of Kafka.
            StreamError: Kafka was away for longer than `broker_wait_s`, or refuses; a topic does not exist.
        """
        with ExitStack() as ports, ExitStack() as stack:
            servers = ImageServers(lambda source, number: metrics.CLIENTS.labels(source).set(number))
            ports.callback(servers.close)
            if self._where.sources:
                self._listen(servers, self._where.sources)
            history = History(self._settings)
            self._history = history
            stack.callback(history.close)
            programme = self._look(history, shutdown)
            if shutdown.requested:
                return
            self._programme = programme
            tail = None
            if self._where.from_now_on:  # from before anybody is told of the servers
                self._starts = history.ends()
                tail = CatalogueTail(self._settings, history.partitions)
                stack.callback(tail.close)
            metrics.touch(programme.orders)
            if not self._where.sources:
                self._listen(servers, programme.orders)
            self._tell(programme, servers.sources(programme.orders))
            ports.pop_all()  # from here on the thread that serves closes them
            self._play(_Source(history, tail, stack.pop_all()), programme, servers, shutdown)

    def _listen(self, servers: ImageServers, sources: Iterable[str]) -> None:
        servers.listen(self._settings.serve_host, self._settings.serve_port, sources)
        self._servers = servers
        ports = [port.number for port in servers.ports.values()]
        log.info("listening", host=self._settings.serve_host, first_port=ports[0], ports=len(ports))

    def _look(self, history: History, shutdown: Shutdown) -> Programme:
        history.require_topic(self._settings.topics.raw)  # the frames come from there
        where = self._where
        if where.from_now_on:
            where = GroupRange(LastGroups(_LIVE_LOOK_BACK))
        found = survey(
            history.find(replace(where, limit=None)),
            cadence=self._cadence,
            revisions=Revisions.ALL if self._where.from_now_on else Revisions(self._settings.serve_revisions),
            resumed=self._resumed,
            limit=where.limit,
            stopped=lambda: shutdown.requested,
        )
        sources = found.ordered_sources(self._where.sources)
        there = found.groups or self._where.from_now_on
        if not (sources and there) and not shutdown.requested:
            raise NothingFoundError(self._nothing(history))
        latest_of = {source: found.latest_of[source] for source in sources if source in found.latest_of}
        return Programme(found, served(sources, pixel_orders(self._settings, latest_of)))

    def _tell(self, programme: Programme, sources: tuple[ServerSource, ...]) -> None:
        if self._settings.serve_ports_file is not None:
            write_ports_file(self._settings.serve_ports_file, ",".join(map(str, sources)))
        log.info("serving", sources=len(sources), wait_for_clients=self._settings.serve_wait_for_clients)
        self._announce(programme, sources)

    def _play(
        self, source: "_Source", programme: Programme, servers: ImageServers, shutdown: Shutdown
    ) -> None:
        settings = self._settings
        frames = FrameSource(
            settings,
            source.history,
            programme.orders,
            self.counts,
            chosen=bool(self._where.sources),
            verbatim_only=settings.serve_verbatim_only,
        )
        source.let_go.callback(frames.close)
        stop = threading.Event()
        ahead = Ahead(
            self._groups(source, programme, frames, stop),
            max_groups=settings.read_ahead_groups,
            max_bytes=settings.read_ahead_bytes,
            notify=servers.wake,
            at_end=source.let_go.close,
        )
        paced = self._cadence.paced and not self._where.from_now_on
        plan = PlayPlan(
            self._cadence.begin() if paced else None,
            settings.serve_wait_for_clients,
            settings.serve_drop_stalled_s,
        )
        player = Player(plan, servers, ahead, self.counts, self._note)
        servers.heartbeat.beat()
        self._serving = True
        thread = threading.Thread(target=self._serve, args=(player,), name="servers", daemon=True)
        thread.start()
        try:
            while thread.is_alive() and not shutdown.wait(_WATCH_S):
                pass
        finally:
            servers.stop()
            stop.set()
            thread.join()
            ahead.stop()
        if self._failure is not None:
            raise self._failure

    def _serve(self, player: Player) -> None:
        try:
            self.finished = player.run()
        except KafkaException as error:
            cause = kafka_error(error)
            topic = self._settings.topics.raw
            self._failure = stream_error(cause, topic) or BrokerUnreachableError(explain(cause))
        except Exception as failure:  # noqa: BLE001 - handed to the main thread
            self._failure = failure

    def _groups(
        self, source: "_Source", programme: Programme, frames: FrameSource, stop: threading.Event
    ) -> Iterator[PlayedGroup]:
        unlimited = replace(self._where, limit=None)
        records: Iterator[CatalogueRecord]
        if source.tail is not None:
            records, newest = live_records(source.tail, unlimited, stop.wait), {}
        else:
            records, newest = source.history.find(unlimited), programme.survey.newest
        return frames.read(self._playlist(source.history, records, newest), self._where.limit)

    def _playlist(
        self, history: History, records: Iterable[CatalogueRecord], newest: Mapping[int, Place]
    ) -> Iterator[Item]:
        def look_up(place: Place) -> CatalogueRecord | None:
            return next(history.at(place[0], [place[1]]), None)

        revisions = Revisions(self._settings.serve_revisions)
        return playlist(records, revisions, newest, look_up, resumed=self._resumed)

    @property
    def _resumed(self) -> bool:
        """Whether first publications that are not in the range were played."""
        # With complete_only the first publication, which lacked something, was not.
        offsets = isinstance(self._where.place, AtOffset) and not self._where.complete_only
        return self._where.from_now_on or offsets

    def _note(self, played: Played) -> None:
        self._done[played.group.partition] = played.group.next_offset
        self._on_played(played)

    def _nothing(self, history: History) -> str:
        prefix = self._settings.topic_prefix
        newest = history.newest()
        if newest is None:
            later = "; for what will come say which: --sources sb0,sb1" if self._where.from_now_on else ""
            return f"{prefix} has no group yet (or is TRAPLINE_TOPIC_PREFIX another one?){later}"
        present, _ = newest.presence()
        return (
            f"no group of {prefix} lies in this range ({self._where.options()}); its newest group is of "
            f"{format_timestamp(newest.timestamp_us)} and has the sources {','.join(present)}"
        )
