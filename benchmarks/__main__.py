"""`python -m benchmarks`: measure, print a table, write JSON; status 1 where a target is missed."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import click

from benchmarks import (
    connector_bench,
    consumer_bench,
    end_to_end_bench,
    grouper_bench,
    history_bench,
    latency_bench,
    memory_bench,
    replay_bench,
    scale_bench,
    serve_bench,
    speed_bench,
)
from benchmarks.bed import Bed
from benchmarks.figures import Figure, Verdict
from benchmarks.machine import Neighbours, machine_facts
from benchmarks.plan import Plan
from benchmarks.report import show_figure, show_table, write_json

MEASUREMENTS: dict[str, Callable[[Bed, Plan], Iterator[Figure]]] = {
    "connector": connector_bench.measure,
    "grouper": grouper_bench.measure,
    "consumer": consumer_bench.measure,
    "latency": latency_bench.measure,
    "end-to-end": end_to_end_bench.measure,
    "memory": memory_bench.measure,
    "history": history_bench.measure,
    "serve": serve_bench.measure,
    "replay": replay_bench.measure,
    "speed": speed_bench.measure,
    "serve-memory": serve_bench.measure_memory,
    "scale": scale_bench.measure,
}
ONLY_IF_ASKED = {"scale"}
"""What takes many minutes, and three brokers."""


@click.command()
@click.option(
    "--only",
    type=click.Choice(list(MEASUREMENTS)),
    multiple=True,
    help="Measure this alone; scale is measured only so.",
)
@click.option("--rounds", type=click.IntRange(1), help="Rounds of each measurement; 5.")
@click.option("--quick", is_flag=True, help="Two rounds and smaller totals: a look, not a figure to quote.")
def main(only: tuple[str, ...], rounds: int | None, quick: bool) -> None:
    """Measure each stage against a bare loop on the same broker, interleaved with it."""
    plan = Plan.short() if quick else Plan()
    if rounds is not None:
        plan = dataclasses.replace(plan, rounds=rounds)
    began, machine, neighbours = datetime.now(UTC), machine_facts(), Neighbours()
    print(f"{'Short version: ' if quick else ''}{plan.rounds} rounds of each. Starting Kafka ...", flush=True)
    figures: list[Figure] = []
    with Bed() as bed:
        bed.warm_up()
        for name in only or [each for each in MEASUREMENTS if each not in ONLY_IF_ASKED]:
            print(f"{datetime.now(UTC) - began!s:.7} {name} ...", flush=True)
            for figure in MEASUREMENTS[name](bed, plan):
                figures.append(figure)
                print(f"  {show_figure(figure)}", flush=True)
    machine["cores_used_by_others"] = round(neighbours.cores(), 2)
    show_table(figures, machine, plan)
    print(f"Written to {write_json(figures, machine, plan, began)}")
    short = [figure for figure in figures if figure.verdict is Verdict.SHORT]
    for figure in short:
        print(f"SHORT {show_figure(figure)}", file=sys.stderr)
    sys.exit(bool(short))


if __name__ == "__main__":
    main()
