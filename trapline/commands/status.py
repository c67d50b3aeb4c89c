"""`trapline status`: each source and each consumer group, as Kafka sees them now."""

import json

import click

from runtime.options import settings_options
from trapline.status.report import as_json, print_report
from trapline.status.settings import StatusSettings
from trapline.status.survey import survey
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
@click.option("--json", "as_json_", is_flag=True, help="One JSON object instead of tables.")
@settings_options(StatusSettings, exclude=("sources", "http_host", "http_port"))
def command(settings: StatusSettings, *, groups: int, as_json_: bool) -> None:
    """Show how each source and each consumer group is doing, from what is in Kafka.

    A source: its last timestamp, seconds since its last image was received, images a second, its share of
    missing images, late and rejected windows. A consumer group: what it has committed, the end, how many
    groups and how long it is behind, and the time until retention deletes what it has not read. Reads the
    ends of the topics and commits nothing; docs/looking.md explains each figure.

    Exit status: 0 when Kafka answered, however bad the figures; 1 where it did not, or a topic is missing.
    """
    found = survey(settings, groups)
    if as_json_:
        print_lines([json.dumps(as_json(found))])
    else:
        print_report(found, settings.topic_prefix)
