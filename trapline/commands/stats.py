"""`trapline stats`: rate, completeness, latency and gaps of any range, once or as groups come."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

import click

from consumer.catalogue_tail import CatalogueTail
from consumer.errors import NothingFoundError, StreamError
from consumer.group_range import GroupRange
from consumer.history import History, is_meant, readable_entry
from consumer.latency import Latencies, LatencyMeter
from consumer.range_end import is_past
from consumer.sequence import Sequence
from consumer.settings import OF_READING_AHEAD, OF_STREAMS, ConsumerSettings
from consumer.start import End
from consumer.statistics import Statistics, percentiles
from runtime.logs import get_logger
from runtime.options import settings_options
from schemas.timestamp import format_timestamp
from trapline.interruption import interruptible
from trapline.range_options import range_options
from trapline.tables import duration_text, print_lines, print_table, rate_text, share_text
from trapline.verb import Verb

log = get_logger(__name__)

_SHARES: Final = (0.5, 0.9, 0.99, 1.0)
_GAPS_PRINTED: Final = 10
_FOLLOWED_SAMPLE: Final = 20  # groups of each interval whose latency is looked up
_PLACES: Final = ("from_", "last", "offset", "beginning", "end")


@click.command(
    "stats",
    cls=Verb,
    examples="""
        trapline stats
        trapline stats --from -1h
        trapline stats --from 2026-11-23T10:00:00 --to 2026-11-23T11:00:00 --sources sb0,sb1 --json
        # a line every ten seconds, from now on
        trapline stats --follow --interval 10
    """,
)
@range_options()
@click.option(
    "--follow", is_flag=True, help="Go on: a line for each interval. From now on, unless a place is said."
)
@click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="With --follow: between two lines.",
)
@click.option(
    "--cadence",
    "cadence_s",
    type=click.FloatRange(min=1e-6),
    metavar="SECONDS",
    help="Step between timestamps that gaps are counted by; default: the usual one of the range.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="A JSON object instead of tables; with --follow, one a line."
)
@settings_options(
    ConsumerSettings, exclude=("sources", "http_host", "http_port", *OF_STREAMS, *OF_READING_AHEAD)
)
@click.pass_context
def command(
    ctx: click.Context,
    settings: ConsumerSettings,
    *,
    where: GroupRange,
    follow: bool,
    interval_s: float,
    cadence_s: float | None,
    as_json: bool,
) -> None:
    """Show rate, completeness, latency, missing images and gaps of a range of groups.

    Latency is from when the connector had read the last frame of a group until the broker had appended its
    last image: of 100 groups of the range, or of all where there are fewer. docs/looking.md explains each
    figure. Without options that say which: all groups there are.

    \b
    Exit status: 0 done, or stopped while following; 1 an error; 2 a wrong option; 3 no group in the range;
    130 interrupted.
    """  # noqa: D301 - click's mark, not an escape
    cadence_us = None if cadence_s is None else round(cadence_s * 1e6)
    if where.from_now_on and not follow:
        raise click.UsageError("--end means what is not published yet: say --follow, too")
    if follow and not any(ctx.get_parameter_source(name) is _SAID for name in _PLACES):
        where = replace(where, place=End())
    with interruptible(), closing(LatencyMeter(settings)) as meter, History(settings) as history:
        stats = _Stats(settings, where, meter, cadence_us, as_json=as_json)
        if follow:
            stats.follow(history, interval_s)
        else:
            stats.once(history)


_SAID: Final = click.core.ParameterSource.COMMANDLINE


class _Stats:
    def __init__(
        self,
        settings: ConsumerSettings,
        where: GroupRange,
        meter: LatencyMeter,
        cadence_us: int | None,
        *,
        as_json: bool,
    ) -> None:
        self._settings = settings
        self._where = where
        self._meter = meter
        self._cadence_us = cadence_us
        self._json = as_json

    def once(self, history: History) -> None:
        """The range, whole."""
        statistics = self._past(history)
        self._print(statistics, self._meter.measure(statistics.sample))
        if not statistics.groups and not statistics.repairs:
            raise NothingFoundError(_nothing(history))

    def follow(self, history: History, interval_s: float) -> None:
        """The range as far as it is there, then a line for each interval until Ctrl-C or its end."""
        with closing(CatalogueTail(self._settings, history.partitions)) as tail:
            left = math.inf if self._where.limit is None else self._where.limit
            past = is_past(self._where, time.time_ns() // 1000)
            if not self._where.from_now_on:
                statistics = self._past(history, tail)
                self._print(statistics, self._meter.measure(statistics.sample))
                left -= statistics.publications
            sequence = Sequence(self._cadence_us)
            going_on = set[int]() if past else set(tail.partitions)
            try:
                while left > 0 and going_on:
                    time.sleep(interval_s)
                    statistics = Statistics(self._where.sources, sequence, _FOLLOWED_SAMPLE)
                    self._follow_once(tail, statistics, interval_s, left, going_on)
                    left -= statistics.publications
            except KeyboardInterrupt:
                return

    def _follow_once(
        self,
        tail: CatalogueTail,
        statistics: Statistics,
        interval_s: float,
        most: float,
        going_on: set[int],
    ) -> None:
        """One line; `going_on` loses the partitions that show a group which the range ends before."""
        to_us = self._where.to_us
        try:
            for record in tail.new():
                if to_us is not None and record.timestamp_us >= to_us:
                    going_on.discard(record.partition)
                entry = readable_entry(record) if self._where.at(record.timestamp_us) else None
                if entry is not None and is_meant(record, self._where):
                    statistics.add(record, entry)
                if statistics.publications >= most:
                    break
            latencies = self._meter.measure(statistics.sample)
        except StreamError as error:
            log.warning("waiting for Kafka", cause=str(error))
            return
        if self._json:
            now = format_timestamp(time.time_ns() // 1000)
            facts = {"time": now, "interval_s": interval_s, **_facts(statistics, latencies)}
            print_lines([json.dumps(facts)])
        else:
            print_lines([_line(statistics, latencies, interval_s)])

    def _past(self, history: History, tail: CatalogueTail | None = None) -> Statistics:
        statistics = Statistics(self._where.sources, Sequence(self._cadence_us))
        for record in history.find(self._where):
            if tail is not None:
                tail.passed(record)
            entry = readable_entry(record)
            if entry is not None:
                statistics.add(record, entry)
        return statistics

    def _print(self, statistics: Statistics, latencies: Latencies) -> None:
        if self._json:
            print_lines([json.dumps(_facts(statistics, latencies))])
        elif statistics.groups:
            print_lines(_summary(statistics, latencies))
            rows = [
                (source, str(statistics.expected[source]), str(missing), share_text(missing / expected))
                for source, expected in sorted(statistics.expected.items())
                if expected
                for missing in (statistics.missing[source],)
            ]
            print_table("Missing by source", ("source", ">expected", ">missing", ">share"), rows)


def _nothing(history: History) -> str:
    newest = history.newest()
    if newest is None:
        return "there is no group: nothing has been published yet"
    return f"there is no group in this range; the newest is of {format_timestamp(newest.timestamp_us)}"


def _share(statistics: Statistics) -> float | None:
    return statistics.complete / statistics.groups if statistics.groups else None


def _summary(statistics: Statistics, latencies: Latencies) -> Iterator[str]:
    gaps, missing, listed = statistics.gaps()
    first, last = statistics.first_us or 0, statistics.last_us or 0
    closed = ", ".join(f"{count} {rule}" for rule, count in sorted(statistics.closed_by.items()))
    times = f"{format_timestamp(first)} to {format_timestamp(last)}"
    yield f"{statistics.groups} groups, {statistics.images} images, {times}"
    share = share_text(_share(statistics))
    yield f"complete     {statistics.complete} ({share}); {statistics.repairs} repaired later"
    yield f"closed by    {closed}"
    step = duration_text(statistics.cadence_s)
    yield f"rate         {rate_text(statistics.rate_per_s)} received; a timestamp every {step}"
    yield f"latency      {_latency_text(latencies)}"
    yield f"gaps         {gaps}, {missing} timestamps missing"
    for gap in listed[:_GAPS_PRINTED]:
        yield (
            f"             {gap.missing} between {format_timestamp(gap.after_us)} and "
            f"{format_timestamp(gap.before_us)}"
        )
    if gaps > _GAPS_PRINTED:
        yield f"             and {gaps - _GAPS_PRINTED} more"


def _latency_text(latencies: Latencies) -> str:
    if not latencies.seconds:
        return "not known: no image of these groups is left" if latencies.gone else "-"
    found = percentiles(latencies.seconds, _SHARES)
    names = {0.5: "median", 0.9: "90 %", 0.99: "99 %", 1.0: "longest"}
    told = ", ".join(f"{names[share]} {duration_text(value)}" for share, value in found.items())
    gone = f"; {latencies.gone} more had no images left" if latencies.gone else ""
    return f"{told} (of {len(latencies.seconds)} groups{gone})"


def _line(statistics: Statistics, latencies: Latencies, interval_s: float) -> str:
    _, missing, _ = statistics.gaps()
    last = "-" if statistics.last_us is None else format_timestamp(statistics.last_us)
    lacking = ",".join(f"{source}:{count}" for source, count in sorted(statistics.missing.items()) if count)
    found = percentiles(latencies.seconds, (0.5, 1.0))
    latency = (
        f"latency {duration_text(found[0.5])}, at most {duration_text(found[1.0])}" if found else "latency -"
    )
    return (
        f"{last}  {statistics.groups} groups  {rate_text(statistics.groups / interval_s)}  "
        f"{share_text(_share(statistics))} complete  {latency}  {missing} timestamps missing so far"
        + (f"  missing {lacking}" if lacking else "")
    )


def _facts(statistics: Statistics, latencies: Latencies) -> dict[str, Any]:
    gaps, missing, listed = statistics.gaps()
    found = percentiles(latencies.seconds, _SHARES)
    return {
        "groups": statistics.groups,
        "images": statistics.images,
        "first_timestamp": None if statistics.first_us is None else format_timestamp(statistics.first_us),
        "last_timestamp": None if statistics.last_us is None else format_timestamp(statistics.last_us),
        "complete": statistics.complete,
        "complete_share": _share(statistics),
        "repairs": statistics.repairs,
        "closed_by": dict(sorted(statistics.closed_by.items())),
        "rate_per_s": statistics.rate_per_s,
        "cadence_s": statistics.cadence_s,
        "latency_s": {
            "sampled_groups": len(latencies.seconds),
            "images_gone": latencies.gone,
            "median": found.get(0.5),
            "p90": found.get(0.9),
            "p99": found.get(0.99),
            "max": found.get(1.0),
        },
        "gaps": gaps,
        "missing_timestamps": missing,
        "first_gaps": [
            {
                "after": format_timestamp(gap.after_us),
                "before": format_timestamp(gap.before_us),
                "missing": gap.missing,
            }
            for gap in listed
        ],
        "sources": {
            source: {"expected": expected, "missing": statistics.missing[source]}
            for source, expected in sorted(statistics.expected.items())
        },
    }
