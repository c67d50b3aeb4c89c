"""`trapline topics`: makes the topics, checks those that exist, and prints the rights on them."""

import re
from collections.abc import Callable

import click

from runtime.acls import STANDING, Role, acls, kafka_acls_command
from runtime.options import settings_options
from runtime.topic_check import Finding, Severity
from runtime.topic_settings import TopicsSettings
from runtime.topics import check_topics, create_topics, require_good_topics
from trapline.verb import Verb, VerbGroup

_NOT_OURS = {"sources", "http_host", "http_port"}  # of a process that runs until stopped
# What becomes part of the lines that `acls` prints.
_ACL_SETTINGS = {"bootstrap_servers", "topic_prefix", "grouper_group_id"}


@click.group(
    "topics",
    cls=VerbGroup,
    examples="""
        trapline topics create
        trapline topics check --bootstrap-servers kafka:9092
        trapline topics acls --grouper-principal User:grouper
    """,
)
def command() -> None:
    """Make the topics, check the settings of those that exist, or print the least rights on them."""


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
@settings_options(TopicsSettings, exclude=_NOT_OURS)
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
@settings_options(TopicsSettings, exclude=_NOT_OURS)
def check(settings: TopicsSettings) -> None:
    """Compare the topics with what we need; end with status 1 where something is wrong."""
    findings = check_topics(settings)
    _report(findings)
    if not findings:
        click.echo(f"the topics of {settings.topic_prefix} are as they should be")


_PRINCIPAL = re.compile(r"[A-Za-z]+:\S.*")  # e.g. User:grouper, User:CN=grouper,O=observatory


def _principals(_ctx: click.Context, _param: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if _PRINCIPAL.fullmatch(name) is None:
            raise click.BadParameter(f"{name!r} is not TYPE:NAME, e.g. User:grouper or User:CN=grouper")
    return names


def _group_names(_ctx: click.Context, _param: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    if not all(names):
        raise click.BadParameter("a consumer group has a name; '*' stands for all")
    return names


def _principal_option(role: Role) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        f"--{role}-principal",
        multiple=True,
        callback=_principals,
        metavar="TYPE:NAME",
        help=f"Who has the role {role}; may be given several times.  [default: User:{role}]",
    )


@command.command(
    "acls",
    cls=Verb,
    examples="""
        trapline topics acls --bootstrap-servers kafka:9093 --command-config admin.properties
        # one role of a process that shows a certificate
        trapline topics acls --role grouper --principal User:CN=grouper,O=observatory
        # readers with consumer groups of their own: night-watch, and all that begin with lab-
        trapline topics acls --role consumer --reader-group night-watch --reader-group 'lab-*'
        # who may replay to the prefix again, and is a consumer of what is read
        trapline topics acls --topic-prefix again --role replayer --principal User:anna
    """,
)
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    help=f"Only these; may be given several times.  [default: {', '.join(STANDING)}]",
)
@click.option(
    "--principal",
    "principals",
    multiple=True,
    callback=_principals,
    metavar="TYPE:NAME",
    help="Who has the role, with one --role; may be given several times.",
)
@_principal_option(Role.CONNECTOR)
@_principal_option(Role.GROUPER)
@_principal_option(Role.CONSUMER)
@_principal_option(Role.AUDITOR)
@_principal_option(Role.REPLAYER)
@click.option(
    "--reader-group",
    "reader_groups",
    multiple=True,
    callback=_group_names,
    metavar="NAME",
    help="Consumer group that consumers may use; 'NAME*': all that begin with NAME.  [default: PREFIX.trap*]",
)
@click.option(
    "--command-config",
    metavar="FILE",
    help="Properties file with the administrator's login, for kafka-acls.sh.",
)
@settings_options(TopicsSettings, exclude=TopicsSettings.model_fields.keys() - _ACL_SETTINGS)
def print_acls(
    settings: TopicsSettings,
    *,
    roles: tuple[str, ...],
    principals: tuple[str, ...],
    reader_groups: tuple[str, ...],
    command_config: str | None,
    **of_roles: tuple[str, ...],
) -> None:
    """Print the least rights that each role needs, as kafka-acls.sh commands, one a line.

    Nothing is changed: run the lines as Kafka's administrator. They suffice for a Kafka that refuses
    whatever is not granted (allow.everyone.if.no.acl.found=false). A replayer writes to a prefix of copies:
    its rights are printed only where it is asked for, with that --topic-prefix.
    """
    wanted = tuple(Role(role) for role in dict.fromkeys(roles))
    given = {role: of_roles[f"{role}_principal"] for role in Role}
    if principals:
        if len(wanted) != 1:
            raise click.UsageError("--principal needs one --role; or name each: --grouper-principal, ...")
        given[wanted[0]] += principals
    named = tuple(role for role in Role if given[role])
    for role in wanted or named or STANDING:
        for acl in acls(
            role, settings.topic_prefix, grouper_group=settings.grouper_group_id, reader_groups=reader_groups
        ):
            click.echo(
                kafka_acls_command(
                    acl, given[role] or (f"User:{role}",), settings.bootstrap_servers, command_config
                )
            )


def _report(findings: tuple[Finding, ...]) -> None:
    """Print warnings; errors are raised.

    Raises:
        TopicCheckError: at least one finding is an error.
    """
    for finding in findings:
        if finding.severity is Severity.WARNING:
            click.echo(str(finding), err=True)
    require_good_topics(findings)
