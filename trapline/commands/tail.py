"""`trapline tail`: prints timestamp groups as they come."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from consumer.fits_files import write_group
from consumer.group import Group
from consumer.group_range import GroupRange
from consumer.report import json_line, line
from consumer.selection import parse_require
from consumer.settings import ConsumerSettings
from consumer.start import Beginning, End
from consumer.stream import GroupStream
from runtime.logs import configure_logs, get_logger
from runtime.options import settings_options
from schemas.timestamp import format_timestamp
from trapline.interruption import interruptible
from trapline.range_options import range_options
from trapline.verb import Verb

log = get_logger(__name__)


def _parsed(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A click callback that tells what `parse` has against the text."""

    def callback(_ctx: click.Context, _param: click.Parameter, text: str | None) -> Any:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return callback


@click.command(
    "tail",
    cls=Verb,
    examples="""
        trapline tail
        trapline tail --last 5
        # complete groups since a time, as JSON lines
        trapline tail --from 2026-11-23T10:00:00 --require all --json
        # everything that is there, then stop when nothing comes for 5 s
        trapline tail --beginning --idle-timeout 5
        # ten minutes of two subbands
        trapline tail --from -10m --to now --sources sb0,sb1
        # the next ten groups; the last of them as a FITS file
        trapline tail --limit 10 --write group.fits
    """,
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object a group instead of a line for people.")
@click.option("--from-beginning", "beginning_too", is_flag=True, hidden=True)
@range_options(default=End())
@click.option(
    "--require",
    default="any",
    show_default=True,
    callback=_parsed(parse_require),
    metavar="all|any|N",
    help="Which groups: complete ones, any, or those of at least N images.",
)
@click.option(
    "--revisions",
    type=click.Choice(["all", "first", "last"]),
    default="all",
    show_default=True,
    help="Of a timestamp that was published again with a late image: each publication, the first one, or "
    "the newest one there is.",
)
@click.option(
    "--merge",
    type=click.Choice(["arrival", "timestamp"]),
    default="arrival",
    show_default=True,
    help="Order of groups of several partitions.",
)
@click.option(
    "--idle-timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Stop when no group came for so long; if Kafka does not answer then, that is an error.",
)
@click.option(
    "--group-id",
    metavar="NAME",
    help="Use this Kafka consumer group: go on where it stopped. Without it nothing is remembered.",
)
@click.option(
    "--write",
    "write_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="At the end, write the last group printed to a FITS file, an extension a source.",
)
@click.option(
    "--fits",
    "fits_folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Write each group to a FITS file in this folder.",
)
@settings_options(ConsumerSettings, exclude=("sources", "http_host", "http_port"))
def command(
    settings: ConsumerSettings,
    *,
    as_json: bool,
    beginning_too: bool,
    where: GroupRange,
    require: Any,
    revisions: Any,
    merge: Any,
    idle_timeout: float | None,
    group_id: str | None,
    write_path: Path | None,
    fits_folder: Path | None,
) -> None:
    """Print a line a group, as groups become readable.

    The line: timestamp, how many images of how many, seconds from the arrival of the last frame until
    now, where the group lies, what is missing, which revision it is if not the first. Starts with the next
    group, unless told otherwise. Ends by Ctrl-C, SIGTERM, a limit, or with --to once all before it is
    printed: what is there of a range that is past, else until each partition has come to that time. A Kafka
    that goes away while it reads is waited for, and that is said.

    \b
    Exit status: 0 ended, also by Ctrl-C and where there was no group; 1 an error; 2 a wrong option.
    """  # noqa: D301 - click's mark, not an escape
    configure_logs(settings.log_level, settings.log_format)
    tail = _Tail(json_line if as_json else line, fits_folder)
    with interruptible():
        try:
            with GroupStream(
                settings,
                group_id=group_id,
                where=_begun(where, beginning_too=beginning_too, remembers=group_id is not None),
                require=require,
                revisions=revisions,
                merge=merge,
                idle_timeout_s=idle_timeout,
            ) as stream:
                for group in stream:
                    tail.show(group)
        except KeyboardInterrupt:
            pass
        finally:
            tail.end(write_path)


class _Tail:
    """What was printed, and how."""

    def __init__(self, form: Callable[[Group, int], str], fits_folder: Path | None) -> None:
        self._form = form
        self._fits_folder = fits_folder
        self._last: Group | None = None
        self._groups = 0
        self._incomplete = 0

    def show(self, group: Group) -> None:
        # Before the line: a signal may come as soon as somebody has read it.
        self._groups += 1
        self._incomplete += not group.complete
        self._last = group
        sys.stdout.write(self._form(group, time.time_ns() // 1000) + "\n")
        sys.stdout.flush()
        if self._fits_folder is not None:
            write_group(group, self._fits_folder / _file_name(group))

    def end(self, write_path: Path | None) -> None:
        if write_path is not None and self._last is not None:
            write_group(self._last, write_path)
            log.info(
                "group written", file=str(write_path), timestamp=format_timestamp(self._last.timestamp_us)
            )
        log.info("tail ended", groups=self._groups, incomplete=self._incomplete)


def _file_name(group: Group) -> str:
    """Sorts by time; no colons, which some file systems refuse."""
    revision = f"_r{group.revision}" if group.revision > 1 else ""
    return format_timestamp(group.timestamp_us).replace(":", "-") + f"{revision}.fits"


def _begun(where: GroupRange, *, beginning_too: bool, remembers: bool) -> GroupRange:
    """Where to begin if that is not said, or by the old name of --beginning, `--from-beginning`.

    A new consumer group begins at the beginning: at the end it would lose what is published between two
    starts of which the first one came to nothing.
    """
    if not beginning_too:
        said = click.get_current_context().params["end"] or not remembers
        return where if said or where.place != End() else replace(where, place=Beginning())
    if where.place != End() or where.from_us is not None:
        raise click.UsageError("--from-beginning excludes other options that say where to begin")
    return replace(where, place=Beginning())
