"""`trapline export`: groups of the past, or as they come, into FITS files."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import click

from consumer.catalogue import CatalogueRecord
from consumer.errors import NothingFoundError
from consumer.export import Exporter, FilePer
from consumer.group import Group
from consumer.group_range import GroupRange
from consumer.history import History, readable_entry
from consumer.settings import OF_MEMBERS, ConsumerSettings
from consumer.stream import GroupStream
from runtime.logs import get_logger
from runtime.options import settings_options
from trapline.going_on import tell_how_to_go_on
from trapline.interruption import interruptible
from trapline.nothing_found import nothing_found
from trapline.range_options import range_options
from trapline.reading_progress import ReadingProgress
from trapline.verb import Verb

log = get_logger(__name__)


@click.command(
    "export",
    cls=Verb,
    examples="""
        trapline export images/
        trapline export --from 2026-11-23T10:00:00 --to 2026-11-23T11:00:00 images/
        # the last ten complete groups, a file an image
        trapline export --last 10 --complete-only --one-file-per image images/
        # two subbands, as they come, until Ctrl-C
        trapline export --end --sources sb0,sb1 images/
    """,
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@range_options()
@click.option(
    "--one-file-per",
    type=click.Choice(["group", "image"]),
    default="group",
    show_default=True,
    help="A file a group, an extension a source; or a file an image.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@settings_options(ConsumerSettings, exclude=("sources", "http_host", "http_port", *OF_MEMBERS))
def command(
    settings: ConsumerSettings, *, folder: Path, where: GroupRange, one_file_per: str, quiet: bool
) -> None:
    """Write groups to FITS files in FOLDER, as far back as Kafka holds them.

    Without options that say which, all groups there are. A file is there whole or not at all, and one that
    is there is not written again: after an interruption the same command goes on where it stopped. Groups
    whose images retention has deleted are left out, and counted.

    \b
    Exit status: 0 done; 1 an error; 2 a wrong option; 3 no group in the range, or all images gone;
    130 interrupted (what is finished stays).
    """  # noqa: D301 - click's mark, not an escape
    with interruptible(), Exporter(folder, cast("FilePer", one_file_per)) as exporter:
        export = _Export(settings, where, exporter)
        with ReadingProgress("exported", quiet=quiet) as progress:
            try:
                (export.follow if where.from_now_on else export.past)(progress)
            except BaseException as error:
                progress.close()
                _tell(export, folder)
                if export.groups or isinstance(error, KeyboardInterrupt):
                    tell_how_to_go_on(export.left())
                raise
        _tell(export, folder)


class _Export:
    """Groups on their way into files.

    Attributes:
        exporter: writes them.
        groups: how many are finished: written, or there already.
        gone: what is to be said of those whose images are gone; empty where there is none.
    """

    def __init__(self, settings: ConsumerSettings, where: GroupRange, exporter: Exporter) -> None:
        self.exporter = exporter
        self.groups = 0
        self.gone = ""
        self._settings = settings
        self._where = where
        self._history: History | None = None
        self._starts: dict[int, int] = {}  # by partition: where what comes from now on begins
        self._done: dict[int, int] = {}  # by partition: one past the last group finished

    def past(self, progress: ReadingProgress) -> None:
        """Export what there is."""
        with History(self._settings) as history:
            self._history = history
            newest = history.newest()
            if newest is not None:
                progress.expect(self._where, newest.timestamp_us)
            for record in history.find(replace(self._where, limit=None)):
                self._take(history, record, progress)
                self.gone = str(history.gone) if history.gone.groups else ""
                if self.groups == self._where.limit:
                    return
            if not self.groups:
                prefix = self._settings.topic_prefix
                raise NothingFoundError(nothing_found("export", prefix, self._where, newest, self.gone))

    def follow(self, progress: ReadingProgress) -> None:
        """Export what comes from now on."""
        with GroupStream(self._settings, where=self._where, merge="timestamp", revisions="all") as stream:
            self._starts = stream.starts
            for group in stream:
                self._write(group, progress)

    def left(self) -> GroupRange:
        """What was not exported yet."""
        if self._history is None:
            offsets = {**self._starts, **self._done}
            return self._where.resumed(offsets, self.groups) if offsets else self._where
        return self._history.resumed(self._where, self._done, self.groups)

    def _take(self, history: History, record: CatalogueRecord, progress: ReadingProgress) -> None:
        entry = readable_entry(record)
        if entry is not None and self.exporter.has(entry, self._where):
            self._done[record.partition] = entry.last_offset + 1
            self.groups += 1
            progress.advance(entry.timestamp_us, 0)
            return
        group = history.read(record, self._where)
        if group is not None:
            self._write(group, progress)

    def _write(self, group: Group, progress: ReadingProgress) -> None:
        self.exporter.write(group)
        self._done[group.partition] = group.last_offset + 1
        self.groups += 1
        progress.advance(group.timestamp_us, group.size_bytes)


def _tell(export: _Export, folder: Path) -> None:
    written = export.exporter
    log.info(
        "export ended",
        folder=str(folder),
        groups=export.groups,
        files_written=written.written,
        files_there_already=written.kept,
        megabytes=round(written.written_bytes / 1e6, 1),
    )
    if export.gone:
        log.warning("groups left out", cause=export.gone)
