"""`trapline doctor`: checks everything in order, and says what to do."""

import json
from typing import Final

import click

from runtime.acls import Role
from runtime.kafka_security import SecurityKeys
from runtime.logs import configure_logs
from runtime.options import settings_options
from trapline.doctor.checks import BROKER, all_checks
from trapline.doctor.outcome import examine
from trapline.doctor.report import as_json, conclusion, failed, lines
from trapline.doctor.settings import DoctorSettings
from trapline.doctor.subject import Subject
from trapline.interruption import interruptible
from trapline.tables import print_lines
from trapline.verb import Verb

# Options of this verb; every other setting counts as well, from the environment or the TOML file.
_OPTIONS: Final = {
    *("bootstrap_servers", "topic_prefix", "sources", "max_frame_bytes", "grouper_group_id", "partitions"),
    *("spool", "spool_dir", "log_level", "log_format"),
    *SecurityKeys.model_fields,
}


@click.command(
    "doctor",
    cls=Verb,
    examples="""
        trapline doctor
        # is this login enough for a grouper?
        trapline doctor --role grouper
        # send a frame through, on topics that are made for it and deleted
        trapline doctor --probe
        trapline doctor --json | jq '.checks[] | select(.verdict != "ok")'
    """,
)
@click.option("--probe", is_flag=True, help="Also send a frame from raw to groups, on topics of its own.")
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role]),
    multiple=True,
    help="What this login is meant to be; may be given several times. A right it lacks is a failure then.",
)
@click.option(
    "--source-wait",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long each source may take to send a frame.",
)
@click.option("--json", "as_json_", is_flag=True, help="One JSON object at the end instead of lines.")
@settings_options(DoctorSettings, exclude=DoctorSettings.model_fields.keys() - _OPTIONS)
def command(
    settings: DoctorSettings, *, probe: bool, roles: tuple[str, ...], source_wait: float, as_json_: bool
) -> int:
    """Check Kafka, the topics, what flows, the sources and the spool, and say what to do.

    A line a check: ok, warning, fail, or not done; below it what is wrong, and what helps. A check whose
    ground has failed is not done, and says which one that is. Writes nothing, except with --probe, which
    deletes what it made.

    Exit status: 0 where no check failed (warnings are none), 1 where one did; 130 interrupted.
    """
    if not {"log_level"} & settings.model_fields_set:
        configure_logs("error", settings.log_format)  # what went wrong is the checks' own to say
    results = []
    with interruptible():
        subject = Subject(settings)
        wanted = tuple(map(Role, roles))
        checks = all_checks(subject, roles=wanted, with_probe=probe, source_wait_s=source_wait)
        for result in examine(checks, still={BROKER: subject.answers}):
            results.append(result)
            if not as_json_:
                print_lines(lines(result))
    print_lines([json.dumps(as_json(results)) if as_json_ else conclusion(results)])
    return 1 if failed(results) else 0
