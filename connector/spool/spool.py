"""The connector's spool as its process sees it: a lane for each source, and one thread for all."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from connector.errors import SpoolError
from connector.outlet import Outlet
from connector.records import Record
from connector.settings import ConnectorSettings
from connector.spool import metrics
from connector.spool.bound import Bound
from connector.spool.feeder import Feeder
from connector.spool.folder import SpoolFolder
from connector.spool.index import Title
from connector.spool.lane import Lane, Ways
from connector.spool.metrics import SpoolCounts
from connector.spool.recovery import Found, find_segments
from connector.spool.source_spool import SourceSpool
from connector.steps import OnStep
from runtime.logs import get_logger
from schemas.pixel_order import PixelOrder
from schemas.source import ServerSource

log = get_logger(__name__)


class Spool:
    """All lanes: of the image servers in the settings, and of what sources of earlier runs have left.

    Files as sources have none: they are on disk already, and are read again from their beginning.

    Attributes:
        lanes: by the source's name.
    """

    def __init__(
        self,
        settings: ConnectorSettings,
        path: Path,
        outlet_of: Callable[[str], Outlet],
        *,
        stopping: threading.Event,
        wait_for_room: Callable[[], bool],
        on_step: OnStep,
    ) -> None:
        """Lock the folder, and look what is in it.

        Args:
            settings: of the connector.
            path: the spool's folder.
            outlet_of: makes the way into Kafka's client of a source.
            stopping: set once no more is read.
            wait_for_room: waits a moment for Kafka; False where it is of no more use.
            on_step: told of the steps of each record.

        Raises:
            SpoolError: another connector has the folder, it can't be read, or it holds frames for other
                topics.
        """
        self._settings = settings
        self._woken = threading.Event()
        self._ways = Ways(
            wait_for_room,
            Bound(settings.spool_max_bytes, settings.spool_reserve_bytes),
            stopping,
            self._woken.set,
            on_step,
            through=settings.spool == "through",
        )
        metrics.LIMIT.set(settings.spool_max_bytes)
        self._folder = SpoolFolder(path)
        try:
            self.lanes = dict(self._make_lanes(outlet_of))
        except BaseException:
            self._folder.close()
            raise
        self._feeder = Feeder(tuple(self.lanes.values()), self._woken, wait_for_room)

    @property
    def failure(self) -> Exception | None:
        """What its thread will not get over."""
        return self._feeder.failure

    @property
    def busy(self) -> bool:
        """Whether anything in it is not acknowledged."""
        return any(lane.busy for lane in self.lanes.values())

    @property
    def records(self) -> int:
        """Records on disk that Kafka has not acknowledged."""
        return sum(lane.spool.entries for lane in self.lanes.values())

    def stuck(self) -> str | None:
        """Why its thread counts as stuck."""
        return self._feeder.heartbeat.problem()

    def start(self) -> None:
        """Send what it holds."""
        self._feeder.start()

    def end_feeding(self) -> None:
        """Bring nothing more back from disk."""
        self._feeder.close()

    def close(self, unacknowledged: Iterable[tuple[Record, Outlet]]) -> dict[str, int]:
        """Keep on disk what Kafka does not have; for each source, how many records could not be kept.

        Args:
            unacknowledged: what was handed over.
        """
        of_outlet: dict[Outlet, list[Record]] = {}
        for record, outlet in unacknowledged:
            of_outlet.setdefault(outlet, []).append(record)
        lost = {name: lane.close(of_outlet.get(lane.outlet, [])) for name, lane in self.lanes.items()}
        self._folder.close()
        return lost

    def _make_lanes(self, outlet_of: Callable[[str], Outlet]) -> Iterable[tuple[str, Lane]]:
        orders = {source.name: source.pixel_order for source in self._settings.sources}
        read = [source.name for source in self._settings.own_sources if isinstance(source, ServerSource)]
        for name in [*read, *(name for name in self._folder.sources() if name not in read)]:
            title = Title(self._settings.topic_prefix, name, orders.get(name, PixelOrder.FITS))
            yield name, self._make_lane(title, outlet_of, configured=name in read)

    def _make_lane(self, title: Title, outlet_of: Callable[[str], Outlet], *, configured: bool) -> Lane:
        settings = self._settings
        folder = self._folder.of_source(title.name)
        try:
            found = find_segments(folder, title)
        except OSError as error:
            raise SpoolError(f"the spool {folder} can't be read: {error.strerror or error}") from error
        for segment in found.segments:
            if segment.title.prefix != title.prefix:
                raise SpoolError(
                    f"the spool {folder} holds frames for the topics of {segment.title.prefix!r}, not of "
                    f"{title.prefix!r}: send them with TRAPLINE_TOPIC_PREFIX={segment.title.prefix}, or give "
                    "this connector its own TRAPLINE_SPOOL_DIR"
                )
        spool = SourceSpool(
            folder,
            title,
            found.segments,
            names=settings.topics,
            max_future_s=settings.max_future_s,
            limits=settings.frame_limits,
            segment_bytes=settings.spool_segment_bytes,
            fsync=settings.fsync,
            bound=self._ways.bound,
        )
        counts = SpoolCounts(title.name, spool)
        _tell(title.name, spool, found, counts, configured=configured)
        return Lane(folder, spool, counts, outlet_of(title.name), self._ways)


def _tell(name: str, spool: SourceSpool, found: Found, counts: SpoolCounts, *, configured: bool) -> None:
    counts.found_records.add(spool.entries)
    counts.torn.add(found.torn)
    counts.torn_bytes.add(found.torn_bytes)
    if found.torn:
        log.warning(
            "cut off the spool: a frame that was not written to its end, when an earlier run was killed",
            source=name,
            segments=found.torn,
            bytes=found.torn_bytes,
        )
    if found.untitled:
        log.warning(
            "the spool does not say how the pixels lie; taken as the source's URL says, or as fits",
            source=name,
            segments=found.untitled,
        )
    if spool.entries:
        log.info(
            "the spool holds what an earlier run left; it is sent first",
            source=name,
            records=spool.entries,
            bytes=spool.bytes,
            segments=spool.segments,
            in_settings=configured,
        )
