"""`trapline grouper`: raw -> groups."""

import click

from grouper.service import GrouperService
from grouper.settings import GrouperSettings
from runtime.health import Heartbeat
from runtime.logs import get_logger
from runtime.options import settings_options
from runtime.process import running
from trapline.verb import Verb

log = get_logger(__name__)

STUCK_AFTER_S = 120.0  # a turn of the loop may wait for a transaction; Kafka away makes it long


@click.command(
    "grouper",
    cls=Verb,
    examples="""
        trapline grouper --source sb0=tcp://127.0.0.1:6666 --source sb1=tcp://127.0.0.1:6667
        TRAPLINE_SOURCES=sb0=tcp://127.0.0.1:6666,sb1=tcp://127.0.0.1:6667 trapline grouper --grace-s 10
        trapline grouper --config trapline.toml --group-instance-id grouper-0 --http-port 9102
    """,
)
@settings_options(GrouperSettings)
def command(settings: GrouperSettings) -> None:
    """Group the images of each timestamp and publish the groups, exactly once.

    Reads PREFIX.raw, writes PREFIX.groups, PREFIX.catalogue and PREFIX.rejects. Several groupers share the
    partitions of raw; those beyond their number stand by. Kill one at any time: another one, or the same
    one started again, goes on where its last transaction ended.
    """
    heartbeat = Heartbeat(STUCK_AFTER_S)
    service = GrouperService(settings, heartbeat)
    with running("grouper", settings, live=heartbeat.problem, ready=service.not_ready) as shutdown:
        summary = service.run(shutdown)
    log.info(
        "grouper stopped",
        records=summary.records,
        groups=summary.groups,
        incomplete=summary.incomplete,
        repaired=summary.repaired,
        rejects=summary.rejects,
        transactions=summary.transactions,
    )
