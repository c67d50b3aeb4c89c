"""Figures for people: tables on a terminal or in a file, durations, bytes, shares."""

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

NOTHING = "-"
"""Stands for what is not known, or not applicable."""

_FILE_WIDTH = 1000  # columns, where no terminal says how many there are: nothing is folded
_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86_400
_KB = 1000
_BYTE_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; a column whose name begins with '>' is aligned to the right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(
            column.removeprefix(">"), justify="right" if right else "left", no_wrap=right, overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))  # Text: brackets are no mark-up
    _console().print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines as they are."""
    for line in lines:
        sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """Others' text, which must not steer a terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def duration_text(seconds: float | None) -> str:
    """'12.3 s', '4 min 05 s', '3 h 07 min', '2 d 04 h'; '-' where there is none."""
    if seconds is None:
        return NOTHING
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if seconds < _MINUTE_S:
        return f"{sign}{seconds:.3g} s" if seconds < 1 else f"{sign}{seconds:.1f} s"
    if seconds < _HOUR_S:
        return f"{sign}{int(seconds // _MINUTE_S)} min {int(seconds % _MINUTE_S):02} s"
    if seconds < _DAY_S:
        return f"{sign}{int(seconds // _HOUR_S)} h {int(seconds % _HOUR_S // _MINUTE_S):02} min"
    return f"{sign}{int(seconds // _DAY_S)} d {int(seconds % _DAY_S // _HOUR_S):02} h"


def bytes_text(size: float) -> str:
    """'4.19 MB': powers of 1000."""
    number = 0
    while size >= _KB and number < len(_BYTE_UNITS) - 1:
        size /= _KB
        number += 1
    return f"{size:.3g} {_BYTE_UNITS[number]}" if number else f"{size:.0f} {_BYTE_UNITS[0]}"


def share_text(share: float | None) -> str:
    """'1.25 %'; small ones are not rounded to nothing."""
    if share is None:
        return NOTHING
    percent = 100 * share
    return f"{percent:.2f} %" if percent == 0 or percent >= 0.01 else "< 0.01 %"  # noqa: PLR2004 - two digits


def rate_text(per_s: float | None) -> str:
    """'0.998 /s'."""
    return NOTHING if per_s is None else f"{per_s:.3g} /s"


def _console() -> Console:
    if sys.stdout.isatty():
        return Console()
    return Console(file=sys.stdout, width=_FILE_WIDTH, color_system=None)
