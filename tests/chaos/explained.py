"""What faults explain: frames that never came to raw, groups without a source, windows that came late.

Nothing is waived for a whole round: a frame that is missing has to have been observed while a fault that
takes such frames was felt, and be of a source that it struck.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tests.chaos.effect import Effect
from tests.support.waiting import timeout_s

_MARGIN_S = 2.0  # a frame that was observed before a blow is still on its way when it falls


class Observed(Protocol):
    """Something of one source and observation time."""

    @property
    def source(self) -> str:
        """Name of the source."""

    @property
    def timestamp_us(self) -> int:
        """Of the observation, microseconds since 1970."""


Case = TypeVar("Case", bound=Observed)


@dataclass(frozen=True, slots=True)
class Span:
    """A time of observation in which something is explained.

    Attributes:
        sources: of which.
        since_us, until_us: both within.
        most: cases a source; None: any number.
    """

    sources: frozenset[str]
    since_us: int
    until_us: int
    most: int | None = None

    @classmethod
    def around(
        cls, sources: frozenset[str], since_s: float, until_s: float, most: int | None = None
    ) -> "Span":
        """From a margin before until a margin after."""
        margin_s = timeout_s(_MARGIN_S)
        return cls(sources, round((since_s - margin_s) * 1e6), round((until_s + margin_s) * 1e6), most)

    def covers(self, case: Observed) -> bool:
        return case.source in self.sources and self.since_us <= case.timestamp_us <= self.until_us


@dataclass(slots=True)
class Explained:
    """All that the faults of a round explain.

    Attributes:
        losses: frames that were sent and are not in raw.
        gaps: groups without a source, and its windows that come late.
        unwritten: frames in raw that the image server did not come to write down.
        silent: sources that leave out timestamps: a group may lack what they never sent.
    """

    losses: list[Span] = field(default_factory=list)
    gaps: list[Span] = field(default_factory=list)
    unwritten: list[Span] = field(default_factory=list)
    silent: frozenset[str] = frozenset()

    def add(self, effect: Effect, recovered_s: float) -> None:
        """Take in a blow, of which no more was felt at a time (seconds since 1970)."""
        losses = Span.around(effect.loses_of, effect.began_s, effect.clear_s, effect.loses_most)
        self.losses.append(losses)
        self.gaps.append(Span.around(effect.gaps_of, effect.began_s, recovered_s))
        if effect.truth_cut:
            self.unwritten.append(losses)


def unexplained(cases: Iterable[Case], spans: Sequence[Span]) -> list[Case]:
    """Those that no span covers, or that are more than it explains."""
    taken: Counter[tuple[int, str]] = Counter()
    left = []
    for case in sorted(cases, key=lambda case: (case.timestamp_us, case.source)):
        for number, span in enumerate(spans):
            if span.covers(case) and (span.most is None or taken[number, case.source] < span.most):
                taken[number, case.source] += 1
                break
        else:
            left.append(case)
    return left
