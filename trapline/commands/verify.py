"""`trapline verify`: holds what was published against what came in."""

import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

import click
from confluent_kafka import KafkaException

from audit.auditor import Auditor
from audit.catalogue_pair import CataloguePair
from audit.comparison import Difference
from audit.errors import AuditError, HangingTransactionError
from audit.findings import Finding
from audit.report import lines, summary
from audit.settings import AuditSettings
from runtime.errors import AccessDeniedError, KafkaUnavailableError, MissingTopicError
from runtime.health import Heartbeat
from runtime.kafka import as_trapline_error
from runtime.logs import get_logger
from runtime.options import settings_options
from runtime.process import running
from runtime.shutdown import Shutdown
from schemas.topics import TopicNames
from trapline.verb import Verb

log = get_logger(__name__)

_INTERRUPTED = 130
_STUCK_AFTER_S = 3600.0  # the first round reads all there is


def _prefix(_ctx: click.Context, _param: click.Parameter, prefix: str | None) -> str | None:
    if prefix is not None:
        try:
            TopicNames(prefix)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
    return prefix


@click.command(
    "verify",
    cls=Verb,
    examples="""
        trapline verify
        trapline verify --json | jq 'select(.finding)'
        # beside a live system, with /metrics, until Ctrl-C
        trapline verify --follow --http-port 9104
        # a night that has to be complete
        trapline verify --fail-on-gaps
        # groups that `trapline regroup` made, and how they differ from the live ones
        trapline verify --topic-prefix trial --against aartfaac
    """,
)
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C or SIGTERM.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a finding, and one for the summary.")
@click.option("--no-pixels", is_flag=True, help="Leave out pixels and FITS checksums; digests are looked at.")
@click.option(
    "--fail-on-gaps",
    is_flag=True,
    help="End with status 1 also where a source has gaps, which are no finding.",
)
@click.option(
    "--against",
    callback=_prefix,
    metavar="PREFIX",
    help="Compare with the groups of this prefix, which were made of the same raw topic; its own, unless "
    "--raw-prefix says otherwise.",
)
@settings_options(AuditSettings, exclude=("sources",))
def command(
    settings: AuditSettings,
    *,
    follow: bool,
    as_json: bool,
    no_pixels: bool,
    fail_on_gaps: bool,
    against: str | None,
) -> int:
    """Check that each window of raw is a member of its group once, a duplicate, or in rejects.

    Reads raw, groups, catalogue and rejects, and the groupers' committed offsets; writes nothing. A line a
    finding, then a summary. What the grouper has not come to, and what retention has taken, is counted and no
    finding.

    With --against, each group that differs from the other prefix's is a line, too. Those that differ because
    `quiet` or `bound` closed a group, which look at a clock and at memory, are told apart and no finding.

    \b
    Exit status: 0 nothing was found; 1 something was (with --fail-on-gaps: or a gap), or an error; 2 a wrong
    option; 130 interrupted before its end with nothing found.
    """  # noqa: D301 - click's mark, not an escape
    if against is not None:
        if follow:
            raise click.UsageError("--against compares what is there: it goes without --follow")
        if against == settings.topic_prefix:
            raise click.UsageError(f"--against {against} is what --topic-prefix names: say another one")
        settings = settings.model_copy(update={"raw_prefix": settings.raw_prefix or against})
    heartbeat = Heartbeat(_STUCK_AFTER_S)

    def show(finding: Finding | Difference) -> None:
        _print(json.dumps(finding.as_json()) if as_json else finding.line())

    pair = None
    with running("audit", settings, live=heartbeat.problem, ready=lambda: None) as shutdown:
        with Auditor(settings, show, pixels=not no_pixels) as auditor:
            if follow:
                _follow(auditor, settings.audit_interval_s, shutdown, heartbeat.beat)
            else:
                auditor.run(shutdown)
        if against is not None and not shutdown.requested:
            pair = CataloguePair(settings, against, show)
            pair.run(shutdown)
        interrupted = shutdown.requested and not follow
    report = {"finished": not interrupted, **summary(auditor.books)}
    _summarise(report, pair, as_json=as_json)
    if report["findings"] or (pair is not None and pair.differs):
        return 1
    if interrupted:
        log.warning("stopped before the end: what was not reached is not judged")
        return _INTERRUPTED
    gaps = sum(source["gaps"] for source in report["sources"].values())
    if fail_on_gaps and gaps:
        log.warning("sources have gaps, and --fail-on-gaps asks for status 1", gaps=gaps)
        return 1
    return 0


def _summarise(report: dict[str, Any], pair: CataloguePair | None, *, as_json: bool) -> None:
    if as_json:
        _print(json.dumps(report if pair is None else {**report, "comparison": pair.summary()}))
        return
    for line in lines(report):
        _print(line)
    if pair is not None:
        _print(pair.line())


def _follow(auditor: Auditor, interval_s: float, shutdown: Shutdown, beat: Callable[[], None]) -> None:
    """Audit round by round until a stop; Kafka may be away for any time.

    Raises:
        AccessDeniedError, MissingTopicError, HangingTransactionError: no waiting mends it.
    """
    while not shutdown.requested:
        try:
            auditor.round(shutdown)
        except HangingTransactionError:
            raise
        except (KafkaException, AuditError) as error:
            # A broker that restarts is no reason to forget what was read; the next round goes on with it.
            cause = as_trapline_error(error) if isinstance(error, KafkaException) else error
            if isinstance(cause, AccessDeniedError):
                raise cause from error
            if isinstance(cause, MissingTopicError):
                _require_topics(auditor)
            log.warning("waiting for Kafka", cause=str(cause))
        beat()
        shutdown.wait(interval_s)


def _require_topics(auditor: Auditor) -> None:
    """Look whether a topic is really gone: a broker that has just come up may not know it yet.

    Raises:
        AccessDeniedError: this user has no right on a topic.
        MissingTopicError: one does not exist.
    """
    with contextlib.suppress(KafkaUnavailableError):
        auditor.require_topics()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
