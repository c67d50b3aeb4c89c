"""Groups of the past as a sequence, for notebooks: found at once, read when they are looked at.

>>> from trapline import open_groups
>>> groups = open_groups(from_="2026-11-23T10:00:00", to="2026-11-23T10:00:05")
>>> len(groups)
5
>>> groups[0].sources
('sb2', 'sb1', 'sb0')
>>> part = groups["2026-11-23T10:00:01":"2026-11-23T10:00:03"]
>>> [str(group.timestamp.time()) for group in part]
['10:00:01', '10:00:02']
>>> cube = part.to_array()
>>> cube.shape, cube.dtype
((2, 3, 6, 8), dtype('float32'))
>>> groups.close()
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from consumer.catalogue import CatalogueRecord
from consumer.catalogue_table import catalogue_table
from consumer.errors import ImagesGoneError, RangeError
from consumer.export import Exporter
from consumer.group import Group
from consumer.group_range import GroupRange, TimeLike, group_range, parse_time
from consumer.history import Gone, History, readable_entry
from consumer.past_places import Places, find_places
from consumer.selection import Revisions
from consumer.settings import ConsumerSettings, settings_with
from schemas.timestamp import format_timestamp

if TYPE_CHECKING:
    from astropy.table import Table
    from astropy.time import Time

Cube: TypeAlias = "np.ma.MaskedArray[Any, np.dtype[np.float32]]"
CHUNK: Final = 256  # entries looked up together


def open_groups(
    settings: ConsumerSettings | None = None,
    *,
    bootstrap_servers: str | None = None,
    topic_prefix: str | None = None,
    from_: TimeLike | None = None,
    to: TimeLike | None = None,
    last: int | None = None,
    offset: Mapping[int, int] | Iterable[str] | str | None = None,
    beginning: bool = False,
    sources: Iterable[str] | str = (),
    complete_only: bool = False,
    limit: int | None = None,
    revisions: Literal["first", "last", "all"] = "first",
) -> "PastGroups":
    """Find groups that Kafka still holds; without any argument all of them.

    No image is read by this. What is published afterwards is not in it. The arguments that say which
    groups are the options of the command line: `from_="-10m"` is `--from -10m`.

    Args:
        settings: where Kafka is; default: from the environment and the TOML file.
        bootstrap_servers: instead of that setting.
        topic_prefix: instead of that setting.
        from_: the first observation time meant: text (ISO 8601, UTC unless it names an offset; '-10m'
            before now), an aware datetime, or an astropy Time.
        to: the first that is not meant any more.
        last: the last so many groups that match.
        offset: where to begin in the groups topic, {partition: offset} or 'PARTITION:OFFSET'.
        beginning: from the oldest group there is, as without it.
        sources: only images of these.
        complete_only: only groups that lack nothing: no expected source, or none of `sources`.
        limit: at most so many groups, the first ones.
        revisions: of a timestamp that was published again with a late image. 'first': the first
            publication, so that no timestamp comes twice, as with GroupStream; 'last': the newest one that
            is meant; 'all'. `last` counts publications before this is looked at, `limit` groups after it.

    Raises:
        RangeError: an argument is wrong, or two contradict each other.
        SettingsError: a setting is wrong.
        StreamError: Kafka is away, refuses us, or has no such topic or offset.
    """
    given = {"bootstrap_servers": bootstrap_servers, "topic_prefix": topic_prefix}
    where = group_range(
        from_=from_,
        to=to,
        last=last,
        offset=offset,
        beginning=beginning,
        sources=sources,
        complete_only=complete_only,
        limit=limit,
    )
    try:
        chosen = Revisions(revisions)
    except ValueError:
        raise RangeError(f"revisions is {revisions!r}; say 'first', 'last' or 'all'") from None
    history = History(settings_with(settings, {k: v for k, v in given.items() if v is not None}))
    try:
        return PastGroups.found(history, where, chosen)
    except BaseException:
        history.close()
        raise


class PastGroups(Sequence[Group]):
    """Groups in the order of their observation time; of one time in the order of their publication.

    `groups[3]` reads a group, `groups[2:5]` and `groups["2026-11-23T10:00:00":"2026-11-23T10:01:00"]` are
    PastGroups again and read nothing; times may be text, aware datetimes or astropy Times, and go forward
    (RangeError). A loop reads one group after the other and leaves out those whose images retention has
    deleted (`gone` counts them, each once); `groups[3]` raises ImagesGoneError for such a one.

    About 20 bytes are held for each group, and no image: what is read is not kept.

    It stays connected to Kafka until `close()`, or the end of a `with` block. One thread at a time.
    """

    def __init__(
        self,
        history: History,
        where: GroupRange,
        places: Places,
    ) -> None:
        """As `open_groups` makes it.

        Args:
            history: where to read; closed with this object.
            where: its sources hold for each group.
            places: where the groups are described, in the order of time, or reversed.
        """
        self._history = history
        self._where = where
        self._places = places
        self._times_us = places.times_us

    @classmethod
    def found(
        cls, history: History, where: GroupRange, revisions: Revisions = Revisions.FIRST
    ) -> "PastGroups":
        """What the catalogue has in this range, of these publications.

        Raises:
            StreamError: Kafka went away, or refuses to be read.
        """
        return cls(history, where, find_places(history, where, revisions))

    @property
    def gone(self) -> Gone:
        """The groups that were looked at and whose images are not there any more, each counted once."""
        return self._history.gone

    @property
    def timestamps_us(self) -> NDArray[np.int64]:
        """The observation times: axis (group), int64, microseconds since 1970 UTC."""
        return self._times_us.copy()

    @property
    def times(self) -> "Time":
        """The observation times as an astropy Time, exact to the microsecond."""
        from astropy.time import Time  # noqa: PLC0415 - astropy only where it is used

        return Time(self._times_us.astype("datetime64[us]"), format="datetime64", scale="utc")

    def close(self) -> None:
        """Let go of Kafka; parts of these groups cannot be read any more either."""
        self._history.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._times_us)

    def __repr__(self) -> str:
        if not len(self):
            return "PastGroups(0 groups)"
        first, last = format_timestamp(int(self._times_us[0])), format_timestamp(int(self._times_us[-1]))
        return f"PastGroups({len(self)} groups, {first} to {last})"

    @overload
    def __getitem__(self, index: int) -> Group: ...
    @overload
    def __getitem__(self, index: "slice[Any, Any, Any]") -> "PastGroups": ...
    def __getitem__(self, index: "int | slice[Any, Any, Any]") -> "Group | PastGroups":
        if isinstance(index, slice):
            self._check_times(index)
            chosen = slice(self._place(index.start), self._place(index.stop), index.step)
            return PastGroups(self._history, self._where, self._places.part(chosen))
        number = range(len(self))[index]
        partition, offset = self._places.at(number)
        for record in self._history.at(partition, [offset]):
            group = self._history.read(record, self._where)
            if group is not None:
                return group
        raise ImagesGoneError(
            f"the images of group {number}, {format_timestamp(int(self._times_us[number]))}, are not there "
            "any more: retention has deleted them (or they cannot be read; see the log)"
        )

    def __iter__(self) -> Iterator[Group]:
        for _, record in self._records():
            group = self._history.read(record, self._where)
            if group is not None:
                yield group

    def to_array(self, sources: Sequence[str] | None = None) -> Cube:
        """All pixels of these groups: axes (time, source, y, x), float32.

        The time axis is `times`, the source axis is `sources`, y is NAXIS2 and x is NAXIS1. What is not
        there is masked (NaN under the mask): images that a group lacks, groups whose images are gone.
        NaN pixels stay NaN and are not masked. Everything is in memory at once: take a slice.

        Args:
            sources: which, in this order; default: `self.sources()`.

        Raises:
            ValueError: images have different shapes, or there is none.
            StreamError: Kafka went away, or refuses to be read.
        """
        names = list(self.sources() if sources is None else sources)
        cube: Cube | None = None
        for number, record in self._records():
            group = self._history.read(record, self._where)
            for image in () if group is None else group.images:
                if image.source not in names:
                    continue
                pixels = image.array
                if cube is None:
                    shape = (len(self), len(names), *pixels.shape)
                    cube = np.ma.array(np.full(shape, np.nan, dtype=np.float32), mask=True, fill_value=np.nan)
                if pixels.shape != cube.shape[2:]:
                    raise ValueError(
                        f"the image of {image.source} at {format_timestamp(record.timestamp_us)} has the "
                        f"shape {pixels.shape}, others {cube.shape[2:]}: choose sources of one shape"
                    )
                cube[number, names.index(image.source)] = pixels
        if cube is None:
            raise ValueError(
                f"none of the {len(self)} groups has an image of {', '.join(names) or 'any source'}"
            )
        return cube

    def sources(self) -> tuple[str, ...]:
        """Every source that one of these groups has, or that was named, by frequency.

        Raises:
            StreamError: Kafka went away, or refuses to be read.
        """
        frequencies: dict[str, float] = {}
        for _, record in self._records():
            entry = readable_entry(record)
            for member in () if entry is None else entry.members:
                if not self._where.sources or member.source in self._where.sources:
                    frequencies.setdefault(member.source, member.frequency_hz)
        return tuple(sorted(frequencies, key=lambda name: (frequencies[name], name)))

    def table(self) -> "Table":
        """The catalogue of these groups as an astropy Table, a row a group; no image is read.

        Columns: `time` (astropy Time, UTC), `group_id`, `revision`, `complete`, `closed_by`, `images` and
        `expected` (numbers), `missing` (names with commas), `received` (when the last frame was read),
        `partition`, `first_offset` and `last_offset` (in the groups topic), `has_images` (retention has not
        deleted them). Where sources were named, complete, images, expected and missing are about those.

        Raises:
            StreamError: Kafka went away, or refuses to be read.
        """
        oldest = {p: self._history.oldest_image(p) for p in self._history.partitions}
        return catalogue_table((record for _, record in self._records()), self._where, oldest)

    def to_fits(self, folder: Path | str, one_file_per: Literal["group", "image"] = "group") -> list[Path]:
        """Write these groups as FITS files, as `trapline export` does: finished ones are not written again.

        Args:
            folder: where; made if it is not there.
            one_file_per: a file a group, with an extension a source; or a file an image.

        Returns:
            The files of these groups, in their order, also those that were there.

        Raises:
            OSError: a file cannot be written; what is finished stays.
            StreamError: Kafka went away, or refuses to be read.
        """
        with Exporter(Path(folder), one_file_per) as exporter:
            return [path for group in self for path in exporter.write(group)]

    def _check_times(self, index: "slice[Any, Any, Any]") -> None:
        """A slice by time goes forward: which bound would belong to it backwards, nobody could know."""
        if all(bound is None or isinstance(bound, int | np.integer) for bound in (index.start, index.stop)):
            return
        if index.step is not None and index.step < 0:
            raise RangeError("a slice by time goes forward: say groups[FROM:TO][::-1]")
        if len(self) and self._times_us[0] > self._times_us[-1]:
            raise RangeError(
                "these groups are in reverse, and a slice by time goes forward: slice by number, or by time "
                "before reversing (groups[FROM:TO][::-1])"
            )

    def _place(self, bound: Any) -> int | None:
        """A bound of a slice as a number; a time stands for the first group that is not before it."""
        if bound is None or isinstance(bound, int | np.integer):
            return None if bound is None else int(bound)
        return int(np.searchsorted(self._times_us, parse_time(bound, time.time_ns() // 1000)))

    def _records(self) -> Iterator[tuple[int, CatalogueRecord]]:
        """The entries in order, with their numbers; `CHUNK` of them are held."""
        for start in range(0, len(self), CHUNK):
            numbers: dict[tuple[int, int], int] = {}
            offsets: dict[int, list[int]] = {}
            for number in range(start, min(start + CHUNK, len(self))):
                partition, offset = self._places.at(number)
                numbers[partition, offset] = number
                offsets.setdefault(partition, []).append(offset)
            found = {
                numbers[partition, record.offset]: record
                for partition, wanted in offsets.items()
                for record in self._history.at(partition, sorted(wanted))
            }
            yield from sorted(found.items(), key=lambda item: item[0])
