"""`trapline status`: each source and each consumer group, as Kafka sees them now."""

import json

import click

from consumer.settings import OF_READING_AHEAD, OF_STREAMS
from runtime.health import Heartbeat
from runtime.options import settings_options
from runtime.process import running
from trapline.status.exporter import STUCK_AFTER_S, Exporter
from trapline.status.report import as_json as as_json_object
from trapline.status.report import print_report
from trapline.status.settings import StatusSettings
from trapline.status.survey import Survey, survey
from trapline.tables import print_lines
from trapline.verb import Verb


@click.command(
    "status",
    cls=Verb,
    examples="""
        trapline status
        # shares and rates over the last hour of a group a second
        trapline status --groups 3600
        trapline status --json | jq '.consumer_groups[] | select(.retention_left_s < 3600)'
        # as metrics, for alerts, until SIGTERM
        trapline status --follow --http-port 9105
    """,
)
@click.option(
    "--groups",
    type=click.IntRange(1, 100_000),
    default=300,
    show_default=True,
    metavar="N",
    help="Look at the last N groups of each partition.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Go on until Ctrl-C or SIGTERM. With --http-port nothing is printed: the figures are in /metrics.",
)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=1),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="With --follow: from the end of a look to the next.",
)
@click.option("--json", "as_json_", is_flag=True, help="One JSON object instead of tables.")
@settings_options(StatusSettings, exclude=("sources", *OF_STREAMS, *OF_READING_AHEAD))
@click.pass_context
def command(
    ctx: click.Context,
    settings: StatusSettings,
    *,
    groups: int,
    follow: bool,
    interval_s: float,
    as_json_: bool,
) -> None:
    """Show how each source and each consumer group is doing, from what is in Kafka.

    A source: its last timestamp, seconds since its last image was received, images a second, its share of
    missing images, late and rejected windows. A consumer group: what it has committed, the end, how many
    groups and how long it is behind, and the time until retention deletes what it has not read. Reads the
    ends of the topics and commits nothing; docs/looking.md explains each figure.

    Exit status: 0 when Kafka answered, however bad the figures, and at the stop of --follow; 1 where it did
    not, or a topic is missing; 130 interrupted.
    """
    if not follow:
        if ctx.get_parameter_source("setting_http_port") is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--http-port serves the figures of --follow: say that, too")
        _print(survey(settings, groups), settings, as_json=as_json_)
        return
    exporter = Exporter(settings, groups)
    heartbeat = Heartbeat(STUCK_AFTER_S)
    with running("status", settings, live=heartbeat.problem, ready=exporter.not_ready) as shutdown:
        while not shutdown.requested:
            found = exporter.ask()
            heartbeat.beat()
            if found is not None and settings.http_port is None:
                _print(found, settings, as_json=as_json_)
            shutdown.wait(interval_s)


def _print(found: Survey, settings: StatusSettings, *, as_json: bool) -> None:
    if as_json:
        print_lines([json.dumps(as_json_object(found))])
    else:
        print_report(found, settings.topic_prefix)
