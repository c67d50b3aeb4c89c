"""The command line that goes on where a verb ended before all was done: as it was typed, with what is left.

What came from the environment or a file is left there. Secrets have no option, so none is ever in it.
"""

import math
import shlex
from collections.abc import Iterator
from typing import Any

import click

from consumer.cadence import speed_text
from consumer.group_range import GroupRange
from trapline.range_options import RANGE_NAMES


def tell_how_to_go_on(left: GroupRange | None = None) -> None:
    """Say on stderr how to go on with the command that is running.

    Args:
        left: what is left of its range; None: it has none, and knows by itself where it was.
    """
    if left is not None and left.limit == 0:
        click.echo("trapline: nothing is left to go on with", err=True)
        return
    ctx = click.get_current_context()
    words = [f"trapline {ctx.info_name}", "" if left is None else left.options(), shlex.join(_typed(ctx))]
    click.echo(f"trapline: to go on: {' '.join(filter(None, words))}", err=True)


def _typed(ctx: click.Context) -> Iterator[str]:
    """The options and arguments of the command line, apart from those that say a range."""
    arguments: list[str] = []
    for param in ctx.command.params:
        name = param.name or ""
        if (
            name in RANGE_NAMES
            or ctx.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE
        ):
            continue
        value = ctx.params[name]
        values = value if isinstance(value, tuple) else (value,)
        if isinstance(param, click.Argument):
            arguments += map(_text, values)
        elif isinstance(value, bool):
            yield (param.opts if value else param.secondary_opts)[0]
        else:
            for each in values:
                yield from (param.opts[0], _text(each))
    if any(argument.startswith("-") for argument in arguments):
        yield "--"
    yield from arguments


def _text(value: Any) -> str:
    if isinstance(value, float):
        return speed_text(value) if math.isinf(value) else f"{value:.15g}"  # only a speed is without end
    return str(value)
