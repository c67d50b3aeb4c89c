"""The options that say how fast history is played: the same in every verb that does.

@click.command("replay", cls=Verb, examples="trapline replay --speed 10")
@cadence_options
def command(cadence: Cadence) -> None: ...
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from consumer.cadence import LONGEST_GAP_S, MAX_GAP_S, Cadence, parse_speed
from consumer.errors import RangeError


def SPEED(text: str) -> float:  # noqa: N802  stands where click's own types do
    """A speed on the command line, for `type=` of an option: a positive number, or 'max'.

    Raises:
        click.BadParameter: it is none.
    """
    try:
        return parse_speed(text)
    except RangeError as error:
        raise click.BadParameter(str(error)) from error


def cadence_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --speed and --max-gap; call it with `cadence=`, a consumer.cadence.Cadence."""

    @click.option(
        "--speed",
        type=SPEED,
        default="1",
        show_default=True,
        metavar="N|max",
        help="How many times as fast as it was observed; max: as fast as it goes.",
    )
    @click.option(
        "--max-gap",
        type=click.FloatRange(min=0, min_open=True, max=LONGEST_GAP_S),
        default=MAX_GAP_S,
        show_default=True,
        metavar="SECONDS",
        help="Gaps of observation time that are longer count as so many seconds (divided by the speed).",
    )
    @wraps(function)
    def command(*args: Any, speed: float, max_gap: float, **given: Any) -> Any:
        return function(*args, cadence=Cadence(speed, max_gap), **given)

    return command
