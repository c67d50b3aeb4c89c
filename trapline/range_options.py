"""The options that say which groups of history a verb means: the same names in all of them.

@click.command("export", cls=Verb, examples="trapline export --last 10")
@range_options()
def command(where: GroupRange) -> None: ...
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import click

from consumer.errors import RangeError
from consumer.group_range import group_range
from consumer.start import Beginning, End

_OPTIONS: Final = (
    click.option(
        "--from",
        "from_",
        metavar="TIME",
        help="From this observation time on: 2026-11-23T10:00:00 (UTC unless it names an offset), "
        "or -10m (s, m, h, d) before now.",
    ),
    click.option("--to", metavar="TIME", help="Up to, and not including, this observation time."),
    click.option(
        "--last",
        type=int,
        metavar="N",
        help="Of the groups that match the N published last, in all partitions.",
    ),
    click.option(
        "--offset",
        multiple=True,
        metavar="PARTITION:OFFSET",
        help="From this place in the groups topic on. May be repeated; partitions not named are left out.",
    ),
    click.option("--beginning", is_flag=True, help="From the oldest group there is."),
    click.option("--end", is_flag=True, help="What is published from now on."),
    click.option(
        "--sources",
        multiple=True,
        metavar="NAME,NAME",
        help="Only images of these sources; groups without any of them are left out.",
    ),
    click.option(
        "--complete-only",
        is_flag=True,
        help="Only groups that lack nothing: no expected source, or none of --sources.",
    ),
    click.option("--limit", type=int, metavar="N", help="Stop after N groups."),
)
_PLACES: Final = ("last", "offset", "beginning", "end")
RANGE_NAMES: Final = ("from_", "to", *_PLACES, "sources", "complete_only", "limit")


def range_options(
    *,
    default: Beginning | End = Beginning(),  # noqa: B008 - frozen
    follows: bool = True,
) -> Callable[..., Any]:
    """Give a command these options; call it with `where=`, a consumer.group_range.GroupRange.

    What is wrong or contradictory is a usage error (exit status 2), before anything is connected.

    Args:
        default: where to begin if nothing is said: the oldest group, or what comes from now on. A verb
            that follows in some cases alone has to refuse a range that is `from_now_on` in the others.
        follows: whether the verb can read what comes; else its help does not offer --end, and it still has to
            refuse that in words of its own.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(*args: Any, **given: Any) -> Any:
            said = {name: given.pop(name) for name in RANGE_NAMES}
            try:
                where = group_range(**said, default=default)
            except RangeError as error:
                raise click.UsageError(str(error)) from error
            return function(*args, where=where, **given)

        for option in reversed(_OPTIONS):
            command = option(command)
        for param in command.__click_params__:  # type: ignore[attr-defined]
            param.hidden = param.hidden or (param.name == "end" and not follows)
        return command

    return decorate
