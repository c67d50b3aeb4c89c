"""The table for people and the JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Verdict
from benchmarks.machine import ROOT
from benchmarks.plan import Plan

_WIDTH = 132


def show_figure(figure: Figure) -> str:
    """One figure as a line, said as soon as it is known."""
    target = f"  target {figure.target}: {figure.verdict}" if figure.target else ""
    return f"{figure.name}: {_number(figure.value)} {figure.unit}{target}"


def show_table(figures: Sequence[Figure], machine: dict[str, object], plan: Plan) -> None:
    """Print everything."""
    console = Console(width=_WIDTH, highlight=False)
    table = Table(title="short version: fewer rounds, smaller totals" if plan.quick else None)
    for name in ("figure", "value", "target", "", "rounds", "beside it"):
        table.add_column(name, justify="right" if name in ("value", "target") else "left")
    for figure in figures:
        spread = f"{_number(min(figure.rounds))} … {_number(max(figure.rounds))}" if figure.rounds else ""
        beside = ", ".join(f"{name} {_number(value)}" for name, value in figure.beside.items())
        verdict = (
            f"[bold red]{figure.verdict}[/]" if figure.verdict is Verdict.SHORT else figure.verdict.value
        )
        value = f"{_number(figure.value)} {figure.unit}"
        table.add_row(figure.name, value, str(figure.target or ""), verdict, spread, beside)
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()), style="dim")


def write_json(figures: Sequence[Figure], machine: dict[str, object], plan: Plan, began: datetime) -> Path:
    """Write all figures with all rounds to bench-results/<UTC time>.json."""
    folder = ROOT / "bench-results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{began.astimezone(UTC):%Y-%m-%dT%H%M%SZ}.json"
    result = {
        "began": began.isoformat(),
        "took_s": round((datetime.now(UTC) - began).total_seconds(), 1),
        "machine": machine,
        "plan": asdict(plan),
        "figures": [asdict(figure) | {"verdict": figure.verdict.value or None} for figure in figures],
    }
    path.write_text(json.dumps(result, indent=2) + "\n")
    return path


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
