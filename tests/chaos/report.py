"""The table at the end: each fault, how often, and how long it was felt."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from statistics import median

from tests.chaos.round import Outcome, Recovery

_HEAD = "| fault | victim | nodes | n | next group, s: median, worst | caught up, s: median, worst |"


def table(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Markdown, a line a fault, victim and number of nodes."""
    by_case: dict[tuple[str, str, str, int], list[Recovery]] = defaultdict(list)
    for outcome in outcomes:
        for each in outcome.recoveries:
            by_case[each.fault, each.victim, each.layout, each.nodes].append(each)
    yield _HEAD
    yield "|" + "---|" * 6
    for (fault, victim, layout, nodes), felt in sorted(by_case.items()):
        where = victim if layout == "plain" else f"{victim} ({layout})"
        following = [each.next_s for each in felt]
        caught_up = [each.caught_up_s for each in felt]
        yield (
            f"| {fault} | {where} | {nodes} | {len(felt)} | {median(following):.1f}, {max(following):.1f} | "
            f"{median(caught_up):.1f}, {max(caught_up):.1f} |"
        )


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
