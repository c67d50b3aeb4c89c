"""The table at the end: each fault, how often, what it cost, and how long it was felt."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median

from tests.chaos.round import Outcome, Recovery
from tests.chaos.schedule import Case

_HEAD = (
    "| fault | victim | nodes | times | lost, twice, torn | next group after, s: median, worst "
    "| caught up after, s: worst |"
)
_LOST = ("lost", "lost before raw", "left out", "not read")
_TWICE = ("member twice", "raw record twice", "timestamp twice")
_TORN = ("torn",)

_Key = tuple[str, str, int]  # fault, victim with its layout, nodes


@dataclass(slots=True)
class _Row:
    """All rounds of one case.

    Attributes:
        felt: a recovery each time.
        counts: of the rounds it was in; other faults of these rounds are in them too.
    """

    felt: list[Recovery] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def table(outcomes: Iterable[Outcome], cases: Iterable[Case] = ()) -> Iterator[str]:
    """Markdown, a line a fault, victim and number of nodes.

    Args:
        outcomes: of rounds.
        cases: that have a line also where they were never struck.
    """
    rows: dict[_Key, _Row] = defaultdict(_Row)
    struck = set()
    for outcome in outcomes:
        keys = set()
        for each in outcome.recoveries:
            key = each.fault, _victim(each.victim, each.layout), each.nodes
            rows[key].felt.append(each)
            keys.add(key)
        for key in keys:
            rows[key].counts.update(outcome.counts)
            struck.add(key[:2])
    for layout, nodes, fault, victim in cases:
        named = _victim(victim, layout.name)
        known = (fault, named) in struck if nodes is None else (fault, named, nodes) in rows
        if not known:
            rows[fault, named, nodes or 0] = _Row()
    yield _HEAD
    yield "|" + "---|" * 7
    for (fault, victim, nodes), row in sorted(rows.items()):
        yield f"| {fault} | {victim} | {nodes or '1 or 3'} | {len(row.felt)} | {_cost(row)} | {_times(row)} |"


def totals(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """What was judged, over all rounds, and what went wrong."""
    counts: Counter[str] = Counter()
    rounds = blows = 0
    failed = []
    for outcome in outcomes:
        rounds += 1
        blows += len(outcome.recoveries)
        counts.update(outcome.counts)
        failed += [f"round {outcome.number}: {problem}" for problem in outcome.problems]
    yield f"{rounds} rounds, {blows} faults; " + ", ".join(
        f"{count} {what}" for what, count in sorted(counts.items())
    )
    yield from failed
    yield f"{len(failed)} problems" if failed else "0 lost, 0 twice, 0 torn"


def _victim(victim: str, layout: str) -> str:
    return victim if layout == "plain" else f"{victim} ({layout})"


def _cost(row: _Row) -> str:
    if not row.felt:
        return "never struck"
    return ", ".join(str(sum(row.counts[name] for name in names)) for names in (_LOST, _TWICE, _TORN))


def _times(row: _Row) -> str:
    if not row.felt:
        return "|"
    following = [each.next_s for each in row.felt]
    caught_up = max(each.caught_up_s for each in row.felt)
    return f"{median(following):.1f}, {max(following):.1f} | {caught_up:.1f}"
