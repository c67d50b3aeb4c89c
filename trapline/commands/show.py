"""`trapline show`: one timestamp, looked at closely."""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import click

from consumer.errors import NothingFoundError, RangeError
from consumer.group_facts import CloseLook, ImageFacts, Revision
from consumer.group_range import parse_time
from consumer.settings import OF_READING_AHEAD, OF_STREAMS, ConsumerSettings
from runtime.options import settings_options
from schemas.timestamp import format_timestamp
from trapline.interruption import interruptible
from trapline.tables import NOTHING, bytes_text, print_lines, print_table
from trapline.verb import Verb

_COLUMNS = (
    "source", ">MHz", ">shape", ">min", ">max", ">mean", ">NaN", ">size", ">offset", ">raw offset",
    "received", "",
)  # fmt: skip


def _timestamp(_ctx: click.Context, _param: click.Parameter, text: str) -> int:
    try:
        return parse_time(text, time.time_ns() // 1000)
    except RangeError as error:
        raise click.BadParameter(str(error)) from error


@click.command(
    "show",
    cls=Verb,
    examples="""
        trapline show 2026-11-23T10:00:00
        # with the headers in Kafka and the FITS header of each image
        trapline show 2026-11-23T10:00:00.250 --headers
        trapline show 2026-11-23T10:00:00Z --json | jq '.revisions[-1].images[].pixels'
    """,
)
@click.argument("timestamp_us", callback=_timestamp, metavar="TIMESTAMP")
@click.option("--headers", "with_headers", is_flag=True, help="Also each image's headers: Kafka's and FITS.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with everything instead of tables.")
@settings_options(
    ConsumerSettings, exclude=("sources", "http_host", "http_port", *OF_STREAMS, *OF_READING_AHEAD)
)
def command(settings: ConsumerSettings, *, timestamp_us: int, with_headers: bool, as_json: bool) -> None:
    """Show what Kafka holds of one observation time: every revision, every image.

    TIMESTAMP is DATE-OBS to the microsecond, ISO 8601, UTC unless it names an offset. Where there is no
    such group, the nearest ones are named.

    \b
    Exit status: 0 done; 1 an error; 2 a wrong time or option; 3 there is no such group;
    130 interrupted.
    """  # noqa: D301 - click's mark, not an escape
    with interruptible(), CloseLook(settings) as look:
        found = False
        for revision in look.revisions(timestamp_us):  # each as it is found: the last one is known much later
            if as_json:
                before = (
                    "," if found else f'{{"timestamp": "{format_timestamp(timestamp_us)}", "revisions": ['
                )
                print_lines([before, json.dumps(_as_json(revision))])
            else:
                _print(settings, revision, with_headers=with_headers)
            found = True
        if not found:
            raise NothingFoundError(_not_there(timestamp_us, look.nearest(timestamp_us)))
        if as_json:
            print_lines(["]}"])


def _not_there(timestamp_us: int, nearest: tuple[int, ...]) -> str:
    what = f"there is no group of {format_timestamp(timestamp_us)}"
    if not nearest:
        return f"{what}: the catalogue is empty"
    return f"{what}; the nearest are {', '.join(map(format_timestamp, nearest))}"


def _print(settings: ConsumerSettings, revision: Revision, *, with_headers: bool) -> None:
    print_lines(_heading(settings, revision))
    facts = {image.source: image for image in revision.images}
    rows = []
    for member in revision.entry.members:
        image = facts.get(member.source)
        mhz = f"{member.frequency_hz / 1e6:.6f}"
        at = str(member.raw_offset), format_timestamp(member.receive_time_us)
        rows.append((member.source, mhz, *_cells(image), *at, _remark(image)))
    print_table("", _COLUMNS, rows)
    if with_headers:
        for image in revision.images:
            print_lines(_headers(image))


def _heading(settings: ConsumerSettings, revision: Revision) -> Iterator[str]:
    entry = revision.entry
    many = f"{len(entry.present)} of {len(entry.expected)} images, closed by {entry.closed_by.value}"
    yield f"{format_timestamp(entry.timestamp_us)}  revision {entry.revision}  {many}"
    if entry.missing:
        yield f"missing: {', '.join(entry.missing)}"
    yield f"group id: {entry.group_id}"
    yield (
        f"in Kafka: {settings.topics.groups} partition {revision.partition}, offsets {entry.first_offset} to "
        f"{entry.last_offset}; {settings.topics.catalogue} offset {revision.catalogue_offset}"
    )
    if len(revision.images) < len(entry.members):
        gone = len(entry.members) - len(revision.images)
        yield f"{gone} of {len(entry.members)} images are gone: retention has deleted them"


def _cells(image: ImageFacts | None) -> tuple[str, ...]:
    if image is None:
        return (NOTHING,) * 7
    pixels = image.pixels
    if pixels is None:
        return (*(NOTHING,) * 5, bytes_text(image.size_bytes), str(image.offset))
    shape = "x".join(map(str, pixels.shape))
    figures = (_figure(pixels.minimum), _figure(pixels.maximum), _figure(pixels.mean), str(pixels.nan))
    return (shape, *figures, bytes_text(image.size_bytes), str(image.offset))


def _remark(image: ImageFacts | None) -> str:
    return "gone" if image is None else image.problem


def _figure(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.6g}"


def _headers(image: ImageFacts) -> Iterator[str]:
    yield f"{image.source}, offset {image.offset}, appended {format_timestamp(image.appended_us)}"
    for name, value in image.headers:
        yield f"  {name}: {value}"
    for card in image.cards:
        yield f"    {card}"


def _as_json(revision: Revision) -> dict[str, Any]:
    entry = revision.entry
    facts = {image.source: image for image in revision.images}
    return {
        "revision": entry.revision,
        "group_id": entry.group_id,
        "complete": entry.complete,
        "closed_by": entry.closed_by.value,
        "expected": list(entry.expected),
        "missing": list(entry.missing),
        "partition": revision.partition,
        "first_offset": entry.first_offset,
        "last_offset": entry.last_offset,
        "catalogue_offset": revision.catalogue_offset,
        "images": [
            {
                "source": member.source,
                "frequency_hz": member.frequency_hz,
                "digest": member.digest,
                "raw_offset": member.raw_offset,
                "receive_time": format_timestamp(member.receive_time_us),
                **_image_json(facts.get(member.source)),
            }
            for member in entry.members
        ],
    }


def _image_json(image: ImageFacts | None) -> dict[str, Any]:
    if image is None:
        return {"gone": True}
    pixels = image.pixels
    return {
        "gone": False,
        "offset": image.offset,
        "append_time": format_timestamp(image.appended_us),
        "bytes": image.size_bytes,
        "problem": image.problem or None,
        "pixels": None
        if pixels is None
        else {
            "shape": list(pixels.shape),
            "nan": pixels.nan,
            "min": _finite(pixels.minimum),
            "max": _finite(pixels.maximum),
            "mean": _finite(pixels.mean),
        },
        "headers": dict(image.headers),
        "cards": list(image.cards),
    }


def _finite(value: float | None) -> float | str | None:
    """JSON has no infinity: as text."""
    return value if value is None or math.isfinite(value) else str(value)
