"""The frames of a group: verbatim out of raw, or rebuilt from the groups topic where raw lost them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from consumer.group import Group
from consumer.group_range import GroupRange
from consumer.history import History
from consumer.serving import metrics
from consumer.serving.metrics import Counts, LeftOut
from consumer.serving.playlist import Item
from consumer.serving.raw_frames import RawFrame, RawFrames
from consumer.serving.rebuilt import rebuilt_frame
from consumer.settings import ConsumerSettings
from runtime.logs import get_logger
from schemas.catalogue import Member
from schemas.errors import SchemaError
from schemas.pixel_order import PixelOrder
from schemas.timestamp import format_timestamp

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class PlayedFrame:
    """A frame on its way to the clients.

    Attributes:
        source: whose.
        data: the whole of it.
    """

    source: str
    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class PlayedGroup:
    """The frames of one timestamp.

    Attributes:
        timestamp_us: of the group, microseconds since 1970 UTC.
        partition: where it lies,
        next_offset: and from where on playing is resumed after it, in the groups topic.
        frames: in the order in which they are sent.
    """

    timestamp_us: int
    partition: int
    next_offset: int
    frames: tuple[PlayedFrame, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of all its frames."""
        return sum(len(frame.data) for frame in self.frames)


class FrameSource:
    """Reads the frames of groups; one thread at a time."""

    def __init__(
        self,
        settings: ConsumerSettings,
        history: History,
        orders: Mapping[str, PixelOrder],
        counts: Counts,
        *,
        chosen: bool,
        verbatim_only: bool,
    ) -> None:
        """Connect to nothing yet.

        Args:
            settings: where Kafka is.
            history: where images are read if raw has let go of a frame.
            orders: by source that has a port: the order of the pixels in its frames.
            counts: are kept up to date.
            chosen: whether the sources were named; all others are then meant to have no port.
            verbatim_only: leave out a group rather than rebuild a frame of it.
        """
        self._settings = settings
        self._history = history
        self._orders = orders
        self._counts = counts
        self._chosen = chosen
        self._verbatim_only = verbatim_only
        self._raw: dict[int, RawFrames] = {}
        self._told: set[str] = set()

    def close(self) -> None:
        """Let go of raw."""
        for raw in self._raw.values():
            raw.close()

    def read(self, items: Iterable[Item], limit: int | None = None) -> Iterator[PlayedGroup]:
        """The groups of a playlist that can be played; the others are counted.

        Args:
            items: the playlist.
            limit: at most so many.

        Raises:
            StreamError, KafkaException: Kafka was away for too long, or refuses to be read.
        """
        played = 0
        for item in items:
            frames = self._frames(item)
            if frames:
                yield PlayedGroup(item.entry.timestamp_us, item.partition, item.next_offset, tuple(frames))
                played += 1
                if played == limit:
                    return

    def _frames(self, item: Item) -> list[PlayedFrame] | None:
        members = [member for member in item.entry.members if self._has_port(member)]
        raw = self._raw_of(item.record.partition)
        # In the order of the log: what is passed on the way to a frame is kept.
        found = {m.source: raw.frame(m) for m in sorted(members, key=lambda member: member.raw_offset)}
        lost = [member for member in members if found[member.source] is None]
        if lost and self._verbatim_only:
            self._leave_out(item, LeftOut.NOT_VERBATIM)
            return None
        images = self._images(item) if lost else {}
        if images is None:
            return None
        frames = []
        for member in members:
            frame = found[member.source]
            if frame is None:
                self._count_rebuilt(member.source)
                frames.append(PlayedFrame(member.source, images[member.source]))
            else:
                self._check_order(member.source, frame)
                frames.append(PlayedFrame(member.source, frame.data))
        return frames

    def _images(self, item: Item) -> dict[str, bytes] | None:
        """Frames rebuilt from the images of a group; None, counted, where there are none any more."""
        gone = self._history.gone.groups
        group = self._history.read(item.record, GroupRange(sources=tuple(self._orders)))
        if group is None:
            self._leave_out(item, LeftOut.GONE if self._history.gone.groups > gone else LeftOut.UNREADABLE)
            return None
        try:
            return self._rebuilt(group)
        except SchemaError as error:
            log.warning("group left out: an image cannot be read", group=group.group_id, error=str(error))
            self._leave_out(item, LeftOut.UNREADABLE)
            return None

    def _rebuilt(self, group: Group) -> dict[str, bytes]:
        return {i.source: rebuilt_frame(i.fits, self._orders[i.source]) for i in group.images}

    def _raw_of(self, partition: int) -> RawFrames:
        if partition not in self._raw:
            share = len(self._history.partitions)
            self._raw[partition] = RawFrames(self._settings, partition, share=share)
        return self._raw[partition]

    def _has_port(self, member: Member) -> bool:
        if member.source in self._orders or self._chosen:
            return member.source in self._orders
        self._counts.unserved += 1
        metrics.UNSERVED.inc()
        if self._once(f"unserved {member.source}"):
            log.warning(
                "a source that was not known at the start has no port; start again to serve it",
                source=member.source,
            )
        return False

    def _check_order(self, source: str, frame: RawFrame) -> None:
        if frame.pixel_order is not self._orders[source] and self._once(f"order {source}"):
            log.warning(
                "frames of this source change their pixel order within the range: a connector told of one "
                "takes the others for transposed; serve the range in two parts",
                source=source,
                told=self._orders[source].value,
                found=frame.pixel_order.value,
            )

    def _count_rebuilt(self, source: str) -> None:
        self._counts.rebuilt += 1
        metrics.REBUILT.labels(source).inc()
        if self._once("rebuilt"):
            log.warning(
                "raw no longer has all frames: those are rebuilt from the groups topic, the same images with "
                "other digests (--verbatim-only leaves such groups out)",
                topic=self._settings.topics.raw,
            )

    def _leave_out(self, item: Item, reason: LeftOut) -> None:
        self._counts.leave_out(reason)
        if self._once(reason):
            log.warning(
                "group left out; further ones are counted",
                reason=reason.value,
                timestamp=format_timestamp(item.entry.timestamp_us),
            )

    def _once(self, what: str) -> bool:
        new = what not in self._told
        self._told.add(what)
        return new


def served(sources: Collection[str], orders: Mapping[str, PixelOrder]) -> dict[str, PixelOrder]:
    """The order of pixels of each source that gets a port; FITS's where nothing is known of it yet."""
    return {source: orders.get(source, PixelOrder.FITS) for source in sources}
