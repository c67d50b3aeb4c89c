"""`trapline topics`: makes the topics, and checks those that exist."""

import click

from runtime.options import settings_options
from runtime.topic_check import Finding, Severity
from runtime.topic_settings import TopicsSettings
from runtime.topics import check_topics, create_topics, require_good_topics
from trapline.verb import Verb, VerbGroup


@click.group(
    "topics",
    cls=VerbGroup,
    examples="""
        trapline topics create
        trapline topics check --bootstrap-servers kafka:9092
    """,
)
def command() -> None:
    """Make the topics, or check the settings of those that exist."""


@command.command(
    "create",
    cls=Verb,
    examples="""
        trapline topics create
        # a cluster of three brokers, a day of data at most, and at most 100 GiB a partition
        trapline topics create --replication-factor 3 --retention-hours 24 --retention-bytes 100GiB
        # another telescope's stream on the same cluster
        trapline topics create --topic-prefix lwa --partitions 4
    """,
)
@settings_options(TopicsSettings, exclude={"sources"})
def create(settings: TopicsSettings) -> None:
    """Make the topics that do not exist, then check all of them.

    Topics that exist are not changed. A grouper that never ran is set to start at the beginning of raw.
    Safe to run again.
    """
    for outcome in create_topics(settings):
        click.echo(f"{outcome.name}: {outcome.text}")
    _report(check_topics(settings))


@command.command(
    "check",
    cls=Verb,
    examples="""
        trapline topics check
        trapline topics check --topic-prefix lwa --max-frame-bytes 16MiB
    """,
)
@settings_options(TopicsSettings, exclude={"sources"})
def check(settings: TopicsSettings) -> None:
    """Compare the topics with what we need; end with status 1 where something is wrong."""
    findings = check_topics(settings)
    _report(findings)
    if not findings:
        click.echo(f"the topics of {settings.topic_prefix} are as they should be")


def _report(findings: tuple[Finding, ...]) -> None:
    """Print warnings; errors are raised.

    Raises:
        TopicCheckError: at least one finding is an error.
    """
    for finding in findings:
        if finding.severity is Severity.WARNING:
            click.echo(str(finding), err=True)
    require_good_topics(findings)
