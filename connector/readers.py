"""The reader of each source, whatever it is: an image server or files."""

import threading
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from connector.errors import FileSourceError
from connector.file_order import FileOrder, Turns
from connector.file_source import FileReader
from connector.intake import Intake, RecordTaker
from connector.metrics import SourceCounts
from connector.records import Record, RecordMaker
from connector.settings import ConnectorSettings
from connector.source import SourceReader
from schemas.source import FileSource, ServerSource, Source

# All files together may have this part of the queue waiting for Kafka. A quarter of 1 GiB is most of a
# second's work of one broker, so files lose nothing by it, and image servers beside them find room.
_QUEUE_PARTS: Final = 4


class Reader(Protocol):
    """What the service needs of a reader; see `SourceReader` and `FileReader`."""

    @property
    def source(self) -> Source:
        """What is read."""

    @property
    def problem(self) -> str | None:
        """Why no frames can come at present."""

    @property
    def untried(self) -> bool:
        """Whether it has neither begun to read nor failed to, since the start."""

    @property
    def failure(self) -> Exception | None:
        """What ended the thread."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to read, and all is handed over."""

    def start(self) -> None:
        """Read, in a thread."""

    def wait_until_idle(self, timeout_s: float) -> bool:
        """After a stop: wait until all that was read is handed over."""


class Way(Protocol):
    """Where a source's records go; see `Outlet` and `Lane`."""

    def publish(self, record: Record) -> None:
        """Take a record; may wait as long as it likes."""

    @property
    def counts(self) -> SourceCounts:
        """Of the source."""

    @property
    def waiting_bytes(self) -> int:
        """How much of it Kafka has not acknowledged."""


def make_readers(
    settings: ConnectorSettings, ways: Sequence[Way], stop: threading.Event
) -> tuple[Reader, ...]:
    """A reader for each source.

    Args:
        settings: with the sources that are read.
        ways: where the records of each source go.
        stop: set when reading is to end.
    """
    files = [source.name for source in settings.own_sources if isinstance(source, FileSource)]
    order = FileOrder(files, stop) if len(files) > 1 else None
    max_waiting_bytes = settings.queue_max_bytes // (_QUEUE_PARTS * max(len(files), 1))
    return tuple(
        _reader(source, settings, way, stop, max_waiting_bytes=max_waiting_bytes, order=order)
        for source, way in zip(settings.own_sources, ways, strict=True)
    )


def _reader(
    source: Source,
    settings: ConnectorSettings,
    way: Way,
    stop: threading.Event,
    *,
    max_waiting_bytes: int,
    order: FileOrder | None,
) -> Reader:
    maker = RecordMaker(source, settings.topics, max_future_s=settings.max_future_s)
    turns = None
    if order is not None and isinstance(source, FileSource):
        turns = Turns(source.name, order, way.publish)
    publish = way.publish if turns is None else turns.publish
    taker = RecordTaker(source.name, maker, publish, way.counts)
    intake = Intake(way.counts, taker)
    if isinstance(source, ServerSource):
        return SourceReader(source, settings, intake=intake, stop=stop)
    if isinstance(source, FileSource):
        return FileReader(
            source,
            settings,
            intake=intake,
            stop=stop,
            waiting_bytes=lambda: way.waiting_bytes,
            max_waiting_bytes=max_waiting_bytes,
            at=taker.at,
            turns=turns,
        )
    raise TypeError(f"no reader for {source}")


def find_files(readers: Iterable[Reader]) -> None:
    """Look for the files of all file:// sources.

    Raises:
        FileSourceError: names each source that has none that can be read.
    """
    problems: list[str] = []
    for reader in readers:
        if isinstance(reader, FileReader):
            try:
                reader.find()
            except FileSourceError as error:
                problems.append(str(error))
    if problems:
        raise FileSourceError("; ".join(problems))


def unread_files(readers: Iterable[Reader]) -> FileSourceError | None:
    """The error that some files could not be read, where there are such."""
    unread = {reader.source.name: reader.unread_files for reader in readers if isinstance(reader, FileReader)}
    if not any(unread.values()):
        return None
    named = ", ".join(f"{count} of {name}" for name, count in unread.items() if count)
    return FileSourceError(
        f"files that could not be read, or not to their end: {named}; the log says which and why. What the "
        "others hold is in Kafka; those that are published again are known as duplicates"
    )
