"""The table of all metrics for docs/metrics.md. `python -m tests.support.metrics_table` writes it there.

Taken from the objects of each */metrics.py: there is no second list that could differ.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.metrics import MetricWrapperBase

HOME: Final = Path(__file__).parents[2]
PAGE: Final = HOME / "docs" / "metrics.md"
BEGIN, END = "<!-- metrics: begin -->\n", "<!-- metrics: end -->\n"
_ROOMS: Final = ("runtime", "connector", "grouper", "consumer", "audit", "emulator", "trapline")
_PROCESSES: Final[Mapping[str, str]] = {
    "runtime": "every process",
    "consumer.serving": "`trapline serve`",
    "consumer": "a program that reads with `GroupStream`, if it serves metrics",
    "audit": "`trapline verify`",
    "trapline.status": "`trapline status --follow`",
    "connector.spool": "`trapline connector` with a spool",
}
"""Who has the metrics of a package; else the verb of the same name."""


@dataclass(frozen=True)
class Metric:
    """One metric as Prometheus sees it.

    Attributes:
        name: of the family; of a counter with its `_total`.
        kind: counter, gauge or histogram.
        labels: names, besides those that Prometheus adds.
        text: what it is.
        process: who has it.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str
    process: str

    @property
    def series(self) -> dict[str, frozenset[str]]:
        """The names that queries can use, each with its labels."""
        labels = frozenset(self.labels)
        if self.kind == "histogram":
            names = dict.fromkeys((f"{self.name}_count", f"{self.name}_sum"), labels)
            return {**names, f"{self.name}_bucket": labels | {"le"}}
        return {self.name: labels}


_SUFFIXES: Final = {Counter: "_total", Gauge: "", Histogram: ""}


def metrics() -> tuple[Metric, ...]:
    """Every metric of ours, by module and in its order there."""
    return tuple(metric for module in _modules() for metric in _of_module(module))


def _modules() -> Iterator[str]:
    for room in _ROOMS:
        for path in sorted((HOME / room).rglob("metrics.py")):
            yield ".".join(path.relative_to(HOME).with_suffix("").parts)


def _of_module(name: str) -> Iterator[Metric]:
    for value in vars(importlib.import_module(name)).values():
        if not isinstance(value, MetricWrapperBase):
            continue
        if isinstance(value, Summary | Info | Enum):
            raise TypeError(f"{name}: the table knows no {type(value).__name__}")
        package = name.removesuffix(".metrics")
        yield Metric(
            value._name + _SUFFIXES[type(value)],
            value._type,
            tuple(value._labelnames),
            value._documentation,
            _PROCESSES.get(package, f"`trapline {package}`"),
        )


def table() -> str:
    """Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in _rows())


def _rows() -> Iterator[tuple[str, ...]]:
    yield "metric", "type", "labels", "what", "process"
    yield ("---",) * 5
    for metric in metrics():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"`{metric.name}`", metric.kind, labels, metric.text, metric.process


def with_table(page: str) -> str:
    """The page with the table of the code in it."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
