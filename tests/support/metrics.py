"""How much a counter changed: other tests of the process have counted too."""

from types import TracebackType
from typing import Self

from prometheus_client import Counter


class Change:
    """While entered: by how much a counter (or one child of it) has grown."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._before = 0.0

    @property
    def by(self) -> float:
        """The growth since it was entered."""
        return self._value() - self._before

    def __enter__(self) -> Self:
        self._before = self._value()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing ends here: `by` may be asked for later."""

    def _value(self) -> float:
        return sum(
            sample.value
            for metric in self._counter.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        )
