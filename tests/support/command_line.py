"""Whether our command line takes a line, without running anything."""

from collections.abc import Sequence

import click

from trapline.cli import trapline


def parse(words: Sequence[str]) -> None:
    """Parse as click would.

    Args:
        words: after `trapline`.

    Raises:
        click.UsageError: it is not one that we take.
    """
    command: click.Command = trapline
    while isinstance(command, click.Group):
        if not words or words[0].startswith("-"):
            raise click.UsageError(f"no verb in {words}")
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            raise click.UsageError(f"no verb {words[0]!r}")
        command, words = found, words[1:]
    command.make_context(command.name, list(words))
