"""`trapline replay`: groups of the past again, at their cadence or faster, to a topic or as lines."""

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Final, TextIO

import click

from consumer.cadence import Cadence, speed_text
from consumer.destination import Destination, check_destination, target_settings
from consumer.errors import NothingFoundError
from consumer.group_range import GroupRange
from consumer.history import History
from consumer.replay import PastGroup, Replay
from consumer.replay_plan import ReplayPlan, plan_replay
from consumer.report import json_line
from consumer.republisher import Republisher
from consumer.settings import OF_STREAMS, ConsumerSettings
from runtime.logs import get_logger
from runtime.options import settings_options
from schemas.errors import TopicNameError
from schemas.timestamp import format_timestamp
from trapline.cadence_options import cadence_options
from trapline.going_on import tell_how_to_go_on
from trapline.interruption import Interruption
from trapline.nothing_found import nothing_found
from trapline.range_options import range_options
from trapline.reading_progress import ReadingProgress
from trapline.tables import bytes_text, duration_text, print_lines
from trapline.verb import Verb

LINE_PATIENCE_S: Final = (
    1.0  # a reader of our output that is slower is not waited for once a stop is asked for
)

log = get_logger(__name__)


@click.command(
    "replay",
    cls=Verb,
    examples="""
        # into topics of another prefix, as it was observed
        trapline topics create --topic-prefix again
        trapline replay --from -1h --to-prefix again
        # the last 600 groups ten times as fast, into a topic of any name on another cluster
        trapline replay --last 600 --speed 10 --to-topic test --to-bootstrap-servers other:9092
        # as fast as it goes, a line of JSON a group
        trapline replay --from 2026-11-23T10:00:00 --to 2026-11-23T11:00:00 --speed max
        # how much that would be, and how long it would take
        trapline replay --beginning --speed 10 --dry-run
    """,
)
@range_options(follows=False)
@cadence_options
@click.option("--to-topic", metavar="NAME", help="Write to this topic: the images alone, marked as replayed.")
@click.option(
    "--to-prefix",
    metavar="PREFIX",
    help="Write to PREFIX.groups and PREFIX.catalogue, so that every verb works on them.",
)
@click.option(
    "--to-bootstrap-servers",
    metavar="HOST:PORT,...",
    help="Write to this Kafka; default: the one that is read.",
)
@click.option(
    "--to-config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file of settings of the Kafka to write to, its security included. Without it those of the "
    "Kafka that is read hold for both.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be replayed, and write nothing.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@settings_options(ConsumerSettings, exclude=("sources", "http_host", "http_port", *OF_STREAMS))
def command(
    settings: ConsumerSettings,
    *,
    where: GroupRange,
    cadence: Cadence,
    to_topic: str | None,
    to_prefix: str | None,
    to_bootstrap_servers: str | None,
    to_config: Path | None,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Play groups of the past again, each when it is due.

    With --to-topic or --to-prefix each group is published again whole, in a transaction: same key, images
    and headers, and a mark that says where it comes from. Without, a line of JSON a group goes to standard
    output, as of `trapline tail --json`. Groups whose images retention has deleted are left out, and counted.

    Ctrl-C prints what is left as options. Whoever goes on with these gets each group once.

    \b
    Exit status: 0 done; 1 an error; 2 a wrong option; 3 no group in the range, or all images gone;
    130 interrupted (what is finished stays).
    """  # noqa: D301 - click's mark, not an escape
    if where.from_now_on:
        raise click.UsageError(
            "--end: a replay plays what is there; for what comes, see `trapline tail` and "
            "`trapline export --end`"
        )
    out = sys.stdout  # as it is now: a progress bar puts itself before it
    destination = _destination(settings, to_topic, to_prefix, to_bootstrap_servers, to_config)
    with (
        Interruption() as interruption,
        closing(_Play(settings, History(settings), where, cadence, interruption)) as play,
    ):
        if destination is not None:
            play.connect(destination, dry_run=dry_run)
        if dry_run:
            print_lines(play.plan())
            return
        # On a terminal the lines themselves show how far it is.
        silent = quiet or (destination is None and out.isatty())
        with ReadingProgress("replayed", quiet=silent) as progress:
            try:
                play.run(out, progress)
            except BrokenPipeError:
                raise
            except BaseException as error:
                progress.close()
                play.tell()
                play.tell_doubt()
                if play.groups or isinstance(error, KeyboardInterrupt):
                    tell_how_to_go_on(play.left())
                raise
        play.tell()


class _Lines:
    """Standard output as an outlet: a line a group."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def take(self, groups: Sequence[PastGroup]) -> None:
        now_us = time.time_ns() // 1000
        for past in groups:
            self._out.write(json_line(past.group, now_us) + "\n")
        self._out.flush()


class _Play:
    """A replay, from the command line's side."""

    def __init__(
        self,
        settings: ConsumerSettings,
        history: History,
        where: GroupRange,
        cadence: Cadence,
        interruption: Interruption,
    ) -> None:
        self._settings = settings
        self._history = history
        self._where = where
        self._cadence = cadence
        self._interruption = interruption
        self._newest = history.newest()
        self._republisher: Republisher | None = None
        self._replay: Replay | None = None

    def connect(self, destination: Destination, *, dry_run: bool) -> None:
        """See whether we can write there, and get ready to, before anything is read."""
        wait_s = self._settings.broker_wait_s
        partitions = check_destination(destination, self._settings, wait_s)
        keeps = partitions == len(self._history.partitions)
        if not keeps:
            log.warning(
                "the topics have different numbers of partitions: groups go by their key",
                read=len(self._history.partitions),
                written=partitions,
            )
        if not dry_run:
            self._republisher = Republisher(
                destination,
                self._settings.topics,
                keeps_partition=keeps,
                wait_s=wait_s,
                asked_to_stop=lambda: self._interruption.asked,
            )

    def plan(self) -> list[str]:
        """What would be replayed, in lines."""
        plan = plan_replay(self._history, self._where, self._cadence)
        if not plan.groups:
            raise NothingFoundError(self._nothing())
        return _plan_lines(plan, self._cadence)

    def run(self, out: TextIO, progress: ReadingProgress) -> None:
        """Replay."""
        if self._newest is not None:
            progress.expect(self._where, self._newest.timestamp_us)
        self._replay = Replay(
            self._history,
            self._where,
            self._cadence,
            ahead_bytes=self._settings.read_ahead_bytes,
            ahead_groups=self._settings.read_ahead_groups,
        )
        self._replay.run(
            self._republisher or _Lines(out),
            held=self._held,
            done=lambda past: progress.advance(past.group.timestamp_us, past.group.size_bytes),
        )
        if not self._replay.groups:
            raise NothingFoundError(self._nothing())

    @property
    def groups(self) -> int:
        """How many groups are done."""
        return 0 if self._replay is None else self._replay.groups

    def close(self) -> None:
        """Let go of Kafka; a reading thread that waits for it in vain is left to the end of the process."""
        if self._replay is None or self._replay.close():
            self._history.close()

    def left(self) -> GroupRange:
        """What was not replayed yet."""
        return self._where if self._replay is None else self._replay.left()

    def tell(self) -> None:
        """Say what was done."""
        if self._replay is None:
            return
        log.info(
            "replay ended",
            groups=self._replay.groups,
            megabytes=round(self._replay.bytes / 1e6, 1),
            behind_s=round(self._replay.behind_s, 3),
            gaps_shortened_by_s=round(self._replay.cut_us / 1e6, 3),
        )
        if self._history.gone.groups:
            log.warning("groups left out", cause=str(self._history.gone))

    def tell_doubt(self) -> None:
        """Say what is not known, where somebody could not wait."""
        doubt = None if self._republisher is None else self._republisher.doubt
        if doubt is not None:
            click.echo(f"trapline: {doubt}", err=True)

    def _held(self) -> AbstractContextManager[None]:
        patience_s = LINE_PATIENCE_S if self._republisher is None else float("inf")
        return self._interruption.held(patience_s)

    def _nothing(self) -> str:
        gone = str(self._history.gone) if self._history.gone.groups else ""
        return nothing_found("replay", self._settings.topic_prefix, self._where, self._newest, gone)


def _destination(
    settings: ConsumerSettings,
    topic: str | None,
    prefix: str | None,
    bootstrap_servers: str | None,
    config_file: Path | None,
) -> Destination | None:
    if topic is not None and prefix is not None:
        raise click.UsageError("--to-topic and --to-prefix exclude each other: each says where to write")
    if topic is None and prefix is None:
        for option, value in (("--to-bootstrap-servers", bootstrap_servers), ("--to-config", config_file)):
            if value is not None:
                raise click.UsageError(f"{option} goes with --to-topic or --to-prefix")
        return None
    target = target_settings(settings, config_file, bootstrap_servers)
    try:
        if topic is not None:
            return Destination.of_topic(target, topic)
        return Destination.of_prefix(target, prefix or "")
    except TopicNameError as error:
        raise click.UsageError(str(error)) from error


def _plan_lines(plan: ReplayPlan, cadence: Cadence) -> list[str]:
    lines = [
        f"groups    {plan.groups}, {plan.images} images, about {bytes_text(plan.size_bytes)}",
        f"observed  {format_timestamp(plan.first_us)} to {format_timestamp(plan.last_us)}",
    ]
    if cadence.paced:
        takes = f"takes     {duration_text(plan.takes_s)} at speed {speed_text(cadence.speed)}"
        if plan.cut_s:
            takes += (
                f"; gaps longer than {cadence.max_gap_s:g} s count as that long, which leaves out "
                f"{duration_text(plan.cut_s)} of observation time"
            )
        lines.append(takes)
    else:
        lines.append("takes     as long as it takes to read and write that")
    if plan.gone:
        lines.append(f"left out  {plan.gone} groups whose images are gone: retention has deleted them")
    return lines
