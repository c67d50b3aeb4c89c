"""`trapline serve`: history, or what comes, played by image servers in the image protocol."""

import dataclasses
from datetime import timedelta

import click

from consumer.cadence import Cadence, speed_text
from consumer.group_range import GroupRange
from consumer.serving.player import Played
from consumer.serving.service import Programme, ServeService
from consumer.serving.settings import ServeSettings
from consumer.settings import OF_STREAMS
from runtime.logs import get_logger
from runtime.options import settings_options
from runtime.process import running
from schemas.source import ServerSource
from schemas.timestamp import format_timestamp
from trapline.cadence_options import cadence_options
from trapline.going_on import tell_how_to_go_on
from trapline.range_options import range_options
from trapline.reading_progress import ReadingProgress
from trapline.verb import Verb

EXIT_INTERRUPTED = 130

log = get_logger(__name__)


@click.command(
    "serve",
    cls=Verb,
    examples="""
        trapline serve --from 2026-11-23T10:00:00 --to 2026-11-23T11:00:00
        # ten times as fast, on free ports; what would be played, first
        trapline serve --last 600 --speed 10 --port 0 --dry-run
        # everything there is, as fast as the clients read
        trapline serve --speed max
        # what comes from now on, for a TraP on another machine
        trapline serve --end --host 0.0.0.0
    """,
)
@range_options()
@cadence_options
@click.option("--dry-run", is_flag=True, help="Say what would be played, and end; no port is opened.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@settings_options(
    ServeSettings,
    exclude=(
        "sources",  # of a range, here
        *OF_STREAMS,
    ),
)
def command(
    settings: ServeSettings, *, where: GroupRange, cadence: Cadence, dry_run: bool, quiet: bool
) -> int:
    """Serve groups as image servers do, a port a source, to any number of clients each.

    Any client of the image protocol can read: an unmodified TraP, or a connector. It prints the servers'
    addresses as a value for the connector's TRAPLINE_SOURCES, then as TraP's `hosts` and `ports`. Frames go
    out verbatim, all of one timestamp before the next, at the cadence at which they were observed. Nothing is
    dropped: a client that is slower than the pace slows all down.

    \b
    Exit status: 0 all has gone out, or what comes (--end) was served until stopped; 1 an error; 2 a wrong
    option; 3 no group in the range; 130 stopped before the end: the last line says how to go on.
    """  # noqa: D301 - click's mark, not an escape
    ctx = click.get_current_context()
    if where.from_now_on and ctx.get_parameter_source("speed") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--end and --speed exclude each other: what comes is sent as it comes")
    with ReadingProgress("served", quiet=quiet or dry_run) as progress:

        def announce(programme: Programme, sources: tuple[ServerSource, ...]) -> None:
            if not where.from_now_on:
                found = programme.survey
                progress.expect(GroupRange(from_us=found.first_us, limit=found.groups), found.last_us)
            _print_addresses(sources)

        def on_played(played: Played) -> None:
            progress.advance(played.group.timestamp_us, played.group.size_bytes)

        service = ServeService(settings, where, cadence, announce=announce, on_played=on_played)
        with running("serve", settings, live=service.problem, ready=service.not_ready) as shutdown:
            if dry_run:
                _describe(service.look(shutdown), where, cadence)
                return 0
            try:
                service.run(shutdown)
            finally:
                progress.close()
                log.info("serve ended", **dataclasses.asdict(service.counts))
                if not service.finished and (service.counts.groups or shutdown.requested):
                    tell_how_to_go_on(service.left())
    return 0 if service.finished or where.from_now_on else EXIT_INTERRUPTED


def _print_addresses(sources: tuple[ServerSource, ...]) -> None:
    print(",".join(map(str, sources)))
    print(f"hosts = '{','.join(source.host for source in sources)}'")
    print(f"ports = '{','.join(str(source.port) for source in sources)}'", flush=True)


def _describe(programme: Programme, where: GroupRange, cadence: Cadence) -> None:
    found = programme.survey
    print(f"sources   {','.join(programme.orders)}")
    if where.from_now_on:
        print("groups    what comes from now on, as it comes")
        return
    print(f"groups    {found.groups}" + (f", {found.repaired} of them repaired" if found.repaired else ""))
    print(f"times     {format_timestamp(found.first_us)} to {format_timestamp(found.last_us)}")
    if programme.without_frames:
        print(f"rebuilt   {programme.without_frames} groups: raw no longer has all their frames")
    takes = timedelta(seconds=round(found.playing_s)) if cadence.paced else "as fast as the clients read"
    print(f"takes     {takes} at --speed {speed_text(cadence.speed)}")
