"""The command `trapline`: finds the verb, and turns whatever goes wrong into one line and a status."""

import os
import select
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from schemas.errors import TraplineError
from trapline.verb import VerbGroup
from trapline.version import __version__

# Name, and what `trapline --help` says of it: known without importing the verb, so that help is quick.
VERBS = {
    "broker": "Run Apache Kafka here, without Docker or a system Java.",
    "emulator": "Serve images like a telescope's image servers.",
    "connector": "Read image servers, or files, into Kafka.",
    "capture": "Record image servers to files.",
    "grouper": "Group the images of each timestamp, exactly once.",
    "regroup": "Make groups from raw again, with other rules.",
    "tail": "Print timestamp groups as they come.",
    "export": "Write groups to FITS files.",
    "replay": "Play groups of the past again, to a topic or as lines of JSON.",
    "serve": "Serve history, or what comes, to image clients such as TraP.",
    "stats": "Show rate, completeness, latency and gaps of any range.",
    "show": "Show all that Kafka holds of one timestamp.",
    "status": "Show how each source and each consumer group is doing.",
    "rejects": "Show what could not be used, and why.",
    "verify": "Hold what was published against what came in.",
    "doctor": "Check everything in order, and say what to do.",
    "topics": "Create the topics, check their settings, or print the rights on them.",
    "demo": "Show everything at once: Kafka, emulator, connector, grouper, tail.",
}

EXIT_OK = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_EPILOG = """\b
Exit status:
  0    done, or stopped cleanly by SIGTERM or Ctrl-C
  1    an error; the last line on stderr says which and what helps
  2    a wrong option or setting
  3    (verbs that read history) there is no group in the range asked for
  130  interrupted before there was anything to stop cleanly
What each verb means by these: docs/exit-status.md

\b
A setting is an environment variable, a key of the TOML file that --config or TRAPLINE_CONFIG_FILE
names (topic_prefix for TRAPLINE_TOPIC_PREFIX), and, but for secrets, an option: the verb's help names
its variable in brackets. Options without one there are options alone. The command line wins over the
environment, the environment over the file.
"""


class _ReaderGoneError(Exception):
    """Nobody reads our output any more."""


def _reader_has_gone() -> bool:
    try:
        ready = select.poll()
        ready.register(sys.stdout.fileno(), 0)
    except (OSError, ValueError):  # no file at all: closed, or replaced by a test
        return False
    return any(event & select.POLLERR for _, event in ready.poll(0))


class _LazyGroup(VerbGroup):
    """Imports a verb's module when the verb is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        import_module("trapline.declared_settings")  # of all processes, for the settings' check
        command = import_module(f"trapline.commands.{name}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"trapline.commands.{name}.command is not a click command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # not when Python ends: it would complain then
        except BrokenPipeError as error:
            if not _reader_has_gone():  # some socket's, which nobody expected
                raise RuntimeError("a connection broke") from error
            raise _ReaderGoneError from error  # click would call it a failure
        return result

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=_LazyGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    examples="""
        trapline demo
        trapline topics create --bootstrap-servers kafka:9092
        trapline connector --source sb0=tcp://10.0.0.1:6666 --source sb1=tcp://10.0.0.2:6666
        trapline grouper --config trapline.toml
        trapline tail --json
    """,
)
@click.version_option(__version__, prog_name="trapline", message="%(prog)s %(version)s")
def trapline() -> None:
    """Radio-telescope image streams through Apache Kafka, grouped by timestamp, exactly once."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its status."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:  # noqa: PLR0911  one way out for each kind of end
    """Run the command line; what goes wrong becomes one line on stderr and the status returned."""
    try:
        status = trapline.main(args=args, prog_name="trapline", standalone_mode=False)
    except _ReaderGoneError:
        # The reader of our output has gone (`trapline tail | head`): nothing more to say, and Python
        # must not try to flush what is left when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except (click.exceptions.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        return _misused(error)
    except TraplineError as error:
        return _failed(error)
    except OSError as error:
        return _failed(_from_system(error))
    except Exception as error:
        ours = _from_kafka(error)
        if ours is None:
            raise
        return _failed(ours)
    return status if isinstance(status, int) else EXIT_OK


def _misused(error: click.ClickException) -> int:
    """What click found, in our form; the usage line before it."""
    context = getattr(error, "ctx", None)
    if context is not None:
        if not error.format_message() or type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # the help itself
            return error.exit_code
        click.echo(context.get_usage(), err=True)
        click.echo(f"Try '{context.command_path} -h' for help.", err=True)
    click.echo(f"trapline: error: {error.format_message()}", err=True)
    return error.exit_code


def _failed(error: TraplineError) -> int:
    click.echo(f"trapline: error: {error}", err=True)
    status = getattr(error, "exit_status", EXIT_ERROR)
    return status if isinstance(status, int) else EXIT_ERROR


def _from_system(error: OSError) -> TraplineError:
    """What the operating system refused: a file that can't be written, a full disk, also behind stdout."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return TraplineError(
            f"{error.filename}: {reason}; choose another place, or make room or the right there"
        )
    # Python must not try to write what is left once more when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return TraplineError(f"the output can't be written: {reason}")


def _from_kafka(error: Exception) -> TraplineError | None:
    """The error in our words where it is one of Kafka's; without importing the client for its sake."""
    client: Any = sys.modules.get("confluent_kafka")
    if client is None or not isinstance(error, client.KafkaException):
        return None
    from runtime.kafka_errors import as_trapline_error  # noqa: PLC0415  only where Kafka is in use

    return as_trapline_error(error)
