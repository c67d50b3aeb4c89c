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


class SpeedType(click.ParamType):
    """A speed on the command line: a positive number, or 'max'."""

    name = "speed"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """As click asks it."""
        if isinstance(value, float):
            return value
        try:
            return parse_speed(str(value))
        except RangeError as error:
            self.fail(str(error), param, ctx)


SPEED = SpeedType()
"""For `type=` of an option."""


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
