"""`trapline rejects`: what could not be used, and why."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from consumer.rejects import Reject, Rejects, Wanted
from consumer.settings import OF_READING_AHEAD, OF_STREAMS, ConsumerSettings
from runtime.options import settings_options
from schemas.errors import RejectReason
from schemas.timestamp import format_timestamp
from trapline.verb import Verb, VerbGroup

_NOT_HERE = ("sources", "http_host", "http_port", *OF_STREAMS, *OF_READING_AHEAD)


@click.group(
    "rejects",
    cls=VerbGroup,
    examples="""
        trapline rejects list --last 20
        trapline rejects show 0:17
    """,
)
def command() -> None:
    """Show what went into no group: its reason, its source, its bytes."""


@command.command(
    "list",
    cls=Verb,
    examples="""
        trapline rejects list
        trapline rejects list --last 20 --source sb3
        trapline rejects list --reason late --reason conflict --json | jq .raw_offset
    """,
)
@click.option(
    "--reason",
    "reasons",
    type=click.Choice([reason.value for reason in RejectReason]),
    multiple=True,
    metavar="REASON",
    help="Only those; may be given several times. One that is none is answered by all there are.",
)
@click.option(
    "--source", "sources", multiple=True, metavar="NAME", help="Only of this one; may be given several times."
)
@click.option("--last", type=click.IntRange(min=0), metavar="N", help="Only the last N of those.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a reject instead of a line for people.")
@settings_options(ConsumerSettings, exclude=_NOT_HERE)
def list_(
    settings: ConsumerSettings,
    *,
    reasons: tuple[str, ...],
    sources: tuple[str, ...],
    last: int | None,
    as_json: bool,
) -> None:
    """Print a line a reject, the oldest first (of several partitions, one after the other).

    The line: where it lies (for `show`), when it came there, reason, source, who rejected it, where in raw
    it was, how many bytes, and what was wrong. Where there is none, a line on stderr says so.

    \b
    Exit status: 0 done, also where there is none; 1 an error; 2 a wrong option; 130 interrupted.
    """  # noqa: D301 - click's mark, not an escape
    wanted = Wanted(frozenset(map(RejectReason, reasons)), frozenset(sources))
    found = False
    with _rejects(settings) as rejects:
        for reject in rejects.all(wanted) if last is None else rejects.last(last, wanted):
            found = True
            sys.stdout.write((_json_line(reject) if as_json else _line(reject)) + "\n")
            sys.stdout.flush()
    if not found and last != 0:
        kind = " of these" if reasons or sources else ""
        click.echo(f"trapline: {settings.topics.rejects} holds no reject{kind}", err=True)


def _place(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[int, int]:
    partition, colon, offset = text.partition(":")
    if not (colon and partition.isdecimal() and offset.isdecimal()):
        raise click.BadParameter(f"{text!r} is not PARTITION:OFFSET, as `trapline rejects list` prints it")
    return int(partition), int(offset)


@command.command(
    "show",
    cls=Verb,
    examples="""
        trapline rejects show 0:17
        trapline rejects show 0:17 --write frame.bin
    """,
)
@click.argument("place", callback=_place, metavar="PARTITION:OFFSET")
@click.option(
    "--write",
    "write_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the bytes to this file: the frame as it was sent, or the first bytes of what is none.",
)
@settings_options(ConsumerSettings, exclude=_NOT_HERE)
def show(settings: ConsumerSettings, *, place: tuple[int, int], write_path: Path | None) -> None:
    """Print one reject with all its headers, and write its bytes to a file if asked to.

    \b
    Exit status: 0 done; 1 an error, or there is none at this place; 2 a wrong option.
    """  # noqa: D301 - click's mark, not an escape
    with _rejects(settings) as rejects:
        reject = rejects.at(*place)
    for name, text in _facts(reject):
        click.echo(f"{name + ':':<16} {text}")
    for name, value in reject.header_pairs:
        click.echo(f"  {_printable(name)}: {_printable((value or b'').decode('utf-8', 'replace'))}")
    if write_path is not None:
        try:
            write_path.write_bytes(reject.value or b"")
        except OSError as error:
            raise click.FileError(str(write_path), error.strerror or str(error)) from error
        click.echo(f"{reject.kept_bytes} bytes written to {write_path}")


@contextmanager
def _rejects(settings: ConsumerSettings) -> Iterator[Rejects]:
    with closing(Rejects(settings)) as rejects:
        yield rejects


def _line(reject: Reject) -> str:
    """For people."""
    headers = reject.headers
    where = f"{reject.partition}:{reject.offset}"
    start = f"{where:<8}  {format_timestamp(reject.arrived_us)}"
    if headers is None:
        return f"{start}  no reject of ours  {reject.kept_bytes} bytes  {_printable(reject.problem)}"
    raw = "-" if headers.raw_offset is None else f"raw {headers.raw_partition}:{headers.raw_offset}"
    cut = f" ({reject.kept_bytes} kept)" if headers.truncated else ""
    return (
        f"{start}  {headers.reason:<17}  {headers.source or '-':<6}  {headers.stage:<9}  {raw:<10}  "
        f"{headers.total_bytes} bytes{cut}  {_printable(headers.detail)}"
    )


def _json_line(reject: Reject) -> str:
    """For programs; what is not known is null."""
    headers = reject.headers
    place = {
        "partition": reject.partition,
        "offset": reject.offset,
        "time": format_timestamp(reject.arrived_us),
    }
    if headers is None:
        return json.dumps(
            {**place, "reason": None, "kept_bytes": reject.kept_bytes, "problem": reject.problem}
        )
    timestamp_us = headers.timestamp_us
    return json.dumps(
        {
            **place,
            "reason": headers.reason.value,
            "source": headers.source,
            "stage": headers.stage,
            "timestamp": None if timestamp_us is None else format_timestamp(timestamp_us),
            "receive_time": format_timestamp(headers.receive_time_us),
            "raw_partition": headers.raw_partition,
            "raw_offset": headers.raw_offset,
            "bytes": headers.total_bytes,
            "kept_bytes": reject.kept_bytes,
            "truncated": headers.truncated,
            "digest": headers.digest,
            "detail": headers.detail,
        }
    )


def _facts(reject: Reject) -> Iterator[tuple[str, str]]:
    headers = reject.headers
    yield "place", f"partition {reject.partition}, offset {reject.offset}"
    yield "came in", format_timestamp(reject.arrived_us)
    yield "key", "-" if reject.key is None else _printable(reject.key.decode("utf-8", "replace"))
    if headers is None:
        yield "problem", _printable(reject.problem)
        yield "bytes", str(reject.kept_bytes)
        return
    yield "reason", headers.reason.value
    yield "detail", _printable(headers.detail)
    yield "rejected by", headers.stage
    yield "source", headers.source or "-"
    if headers.raw_offset is not None:
        yield "in raw", f"partition {headers.raw_partition}, offset {headers.raw_offset}"
    kept = f", of which the first {reject.kept_bytes} are kept" if headers.truncated else ""
    yield "bytes", f"{headers.total_bytes}{kept}"
    yield "headers", ""


def _printable(text: str) -> str:
    """Others' text, which must not steer a terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
