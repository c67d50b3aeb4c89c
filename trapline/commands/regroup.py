"""`trapline regroup`: raw -> groups once more, with other rules."""

import time
from types import TracebackType
from typing import Final, Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from grouper.regroup import GO_ON, Regrouped, Regrouping
from grouper.regroup_settings import RegroupSettings
from runtime.allocator import keep_freed_memory
from runtime.logs import get_logger
from runtime.options import settings_options
from runtime.shutdown import Shutdown
from trapline.going_on import tell_how_to_go_on
from trapline.reading_progress import TELL_S
from trapline.tables import NOTHING, duration_text, print_lines
from trapline.verb import Verb

log = get_logger(__name__)

_INTERRUPTED: Final = 130
# Of a process that shares partitions and runs until stopped; and --broker-wait-s is all there is to wait for.
_NOT_OURS: Final = {
    "grouper_group_id",
    "group_instance_id",
    "session_timeout_s",
    "http_host",
    "http_port",
}


@click.command(
    "regroup",
    cls=Verb,
    examples="""
        # what would a longer grace have made of it?
        trapline topics create --topic-prefix trial
        trapline regroup --to-prefix trial --grace-s 20
        trapline verify --topic-prefix trial --against aartfaac
        # complete groups without the subband that was broken
        trapline regroup --to-prefix five --source sb0=tcp://h:6666 --source sb1=tcp://h:6667
        trapline tail --topic-prefix trial --beginning
    """,
)
@settings_options(RegroupSettings, exclude=_NOT_OURS)
def command(settings: RegroupSettings) -> int:
    """Make groups from raw again, with other rules, into topics of their own.

    Reads PREFIX.raw from its oldest record to where it ends now; writes TO.groups, TO.catalogue and
    TO.rejects, which have to be empty. The live groups and the groupers' position are not touched. Killed
    or stopped at any time, the same command goes on where it was, each group once; docs/grouping.md says
    what comes out otherwise than live.

    \b
    Exit status: 0 done; 1 an error; 2 a wrong option; 3 raw has no record; 130 interrupted.
    """  # noqa: D301 - click's mark, not an escape
    keep_freed_memory()
    with Shutdown() as shutdown, _Progress() as progress:
        result = Regrouping(settings, progress.show).run(shutdown)
    print_lines(_lines(settings, result))
    if result.finished:
        return 0
    log.warning("interrupted", cause=f"{result.done} of {result.total} records of raw are regrouped. {GO_ON}")
    tell_how_to_go_on()
    return _INTERRUPTED


def _lines(settings: RegroupSettings, result: Regrouped) -> list[str]:
    raw = settings.topics.raw
    made = f"{result.groups} groups, {result.incomplete} of them incomplete"
    lines = [
        f"{raw} -> {settings.to_prefix}: {result.done} of {result.total} records",
        f"this run: {made}, {result.repaired} further revisions, {result.rejects} rejects",
    ]
    if result.cut:
        lines.append(
            f"{result.cut} groups are left out: they were open where the range ends, and raw goes on there"
        )
    if result.beyond:
        lines.append(
            f"{result.beyond} records of raw came after the range; for these, too, regroup to another "
            "--to-prefix"
        )
    return lines


class _Progress:
    """Records of raw so far: a bar on a terminal, log lines elsewhere."""

    def __init__(self) -> None:
        self._began_s = self._told_s = time.monotonic()
        self._began_at: int | None = None
        console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("regrouping", total=None)

    def show(self, result: Regrouped) -> None:
        """Show how far it is."""
        if self._began_at is None:
            self._began_at, self._began_s = result.done, time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, total=result.total, completed=result.done)
            return
        now_s = time.monotonic()
        if now_s >= self._told_s + TELL_S:
            self._told_s = now_s
            rate = (result.done - self._began_at) / max(now_s - self._began_s, 1e-3)
            log.info(
                "regrouping",
                records=result.done,
                of=result.total,
                groups=result.groups,
                records_per_s=round(rate, 1),
                left=duration_text((result.total - result.done) / rate) if rate else NOTHING,
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
