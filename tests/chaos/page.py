"""docs/reliability.md's table, made of the journals of runs: python -m tests.chaos.page build/chaos/*

The folders are those of `make chaos`; what stands outside the two marks is left as it is.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.chaos.journal import outcomes_in
from tests.chaos.report import table
from tests.chaos.round import Outcome
from tests.chaos.schedule import cases

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN = "<!-- chaos: made by python -m tests.chaos.page -->"
END = "<!-- chaos: end -->"


def with_table(page: str, runs: Sequence[tuple[str, Sequence[Outcome]]]) -> str:
    """The page with the table of these runs.

    Args:
        page: with both marks.
        runs: each by its name, with its rounds.
    """
    head, _, rest = page.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    outcomes = [outcome for _, of_run in runs for outcome in of_run]
    lines = [BEGIN, "", _sum(runs), "", *table(outcomes, cases()), "", *_problems(runs), END]
    return head + "\n".join(lines) + tail


def _sum(runs: Sequence[tuple[str, Sequence[Outcome]]]) -> str:
    outcomes = [outcome for _, of_run in runs for outcome in of_run]
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts.update(outcome.counts)
    struck = {(each.fault, each.victim, each.layout) for outcome in outcomes for each in outcome.recoveries}
    known = {(fault, victim, layout.name) for layout, _, fault, victim in cases()}
    found = counts["auditor's findings"]
    return (
        f"{len(outcomes)} rounds of {len(runs)} runs ({', '.join(name for name, _ in runs)}), "
        f"{sum(len(outcome.recoveries) for outcome in outcomes)} faults, "
        f"{len(struck & known)} of {len(known)} pairs of fault and victim, "
        f"{counts['windows']} windows in raw, {counts['groups']} groups: {counts['lost']} lost, "
        f"{counts['member twice']} twice, {counts['torn']} torn, {found} findings of "
        f"the auditor; {counts['late']} windows late and rejected as such, {counts['duplicates']} known as "
        f"duplicates, {counts['aborted images']} images in transactions that were aborted."
    )


def _problems(runs: Sequence[tuple[str, Sequence[Outcome]]]) -> Iterable[str]:
    failed = [
        f"- {name}, round {outcome.number}: {problem.partition('; last words')[0].splitlines()[0]}"
        for name, outcomes in runs
        for outcome in outcomes
        for problem in outcome.problems
    ]
    return ["Rounds that failed:", "", *failed, ""] if failed else ["No round failed.", ""]


def main() -> None:
    """Write the page anew."""
    runs = [(folder.name, outcomes_in(folder)) for folder in sorted(map(Path, sys.argv[1:]))]
    PAGE.write_text(with_table(PAGE.read_text(), runs))


if __name__ == "__main__":
    main()
