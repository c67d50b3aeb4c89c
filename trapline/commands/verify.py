"""`trapline verify`: holds what was published against what came in."""

import json
import sys
from collections.abc import Callable

import click
from confluent_kafka import KafkaException

from audit.auditor import Auditor
from audit.errors import AuditError
from audit.findings import Finding
from audit.report import lines, summary
from audit.settings import AuditSettings
from runtime.health import Heartbeat
from runtime.kafka import as_trapline_error
from runtime.logs import get_logger
from runtime.options import settings_options
from runtime.process import running
from runtime.shutdown import Shutdown
from trapline.verb import Verb

log = get_logger(__name__)

_INTERRUPTED = 130
_STUCK_AFTER_S = 3600.0  # the first round reads all there is


@click.command(
    "verify",
    cls=Verb,
    examples="""
        trapline verify
        trapline verify --json | jq 'select(.finding)'
        # beside a live system, with /metrics, until Ctrl-C
        trapline verify --follow --http-port 9104
    """,
)
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C or SIGTERM.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a finding, and one for the summary.")
@click.option("--no-pixels", is_flag=True, help="Leave out pixels and FITS checksums; digests are looked at.")
@settings_options(AuditSettings, exclude=("sources",))
def command(settings: AuditSettings, *, follow: bool, as_json: bool, no_pixels: bool) -> int:
    """Check that each window of raw is a member of its group once, a duplicate, or in rejects.

    Reads raw, groups, catalogue and rejects, and the groupers' committed offsets; writes nothing. A line a
    finding, then a summary. What the grouper has not come to, and what retention has taken, is counted and no
    finding.

    Exit status: 0 where nothing was found, 1 where something was.
    """
    heartbeat = Heartbeat(_STUCK_AFTER_S)

    def show(finding: Finding) -> None:
        _print(json.dumps(finding.as_json()) if as_json else finding.line())

    with (
        running("audit", settings, live=heartbeat.problem, ready=lambda: None) as shutdown,
        Auditor(settings, show, pixels=not no_pixels) as auditor,
    ):
        if follow:
            _follow(auditor, settings.audit_interval_s, shutdown, heartbeat.beat)
        else:
            auditor.run(shutdown)
        interrupted = shutdown.requested and not follow
        report = {"finished": not interrupted, **summary(auditor.books)}
    if as_json:
        _print(json.dumps(report))
    else:
        for line in lines(report):
            _print(line)
    if report["findings"]:
        return 1
    if interrupted:
        log.warning("stopped before the end: what was not reached is not judged")
        return _INTERRUPTED
    return 0


def _follow(auditor: Auditor, interval_s: float, shutdown: Shutdown, beat: Callable[[], None]) -> None:
    while not shutdown.requested:
        try:
            auditor.round(shutdown)
        except (KafkaException, AuditError) as error:
            # A broker that restarts is no reason to forget what was read; the next round goes on with it.
            cause = as_trapline_error(error) if isinstance(error, KafkaException) else error
            log.warning("waiting for Kafka", cause=str(cause))
        beat()
        shutdown.wait(interval_s)


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
