"""`make chaos SEED=7 MINUTES=10`: rounds of a seed until the time is over; goes on where it was cut off.

Rounds that failed are done again, and what is left of the failure is kept. `make chaos SEED=7 ROUND=3` does
one round alone, whatever came of it before.
"""

import argparse
import math
import sys
import time
from pathlib import Path

from tests.chaos.commit import commit_of
from tests.chaos.journal import Journal, OtherRunError
from tests.chaos.plan import Round
from tests.chaos.report import table, totals
from tests.chaos.round import run_round
from tests.chaos.schedule import Case, cases, rounds
from tests.chaos.worker import ROOT


def main() -> int:
    """Exit status: 0 where nothing was lost, doubled or torn and every fault took effect, else 1."""
    arguments = _arguments()
    if arguments.list:
        for layout, nodes, fault, victim in cases():
            print(f"{fault}:{victim}  {layout.name}, {nodes or '1 or 3'} nodes")
        return 0
    commit = commit_of(ROOT)
    folder = arguments.folder or Path("build") / "chaos" / f"seed-{arguments.seed}-{commit}"
    run = {"seed": arguments.seed, "only": arguments.only, "nodes": arguments.nodes, "commit": commit}
    try:
        journal = Journal(folder, run)
    except OtherRunError as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.round is None:
        begin, end, minutes = 0, arguments.rounds or sys.maxsize, arguments.minutes
    else:
        begin, end, minutes = arguments.round, arguments.round + 1, math.inf
    deadline_s = time.monotonic() + 60 * minutes
    for plan in rounds(arguments.seed, lambda case: _wanted(case, arguments), nodes=arguments.nodes):
        if time.monotonic() > deadline_s or plan.number >= end:
            break
        if plan.number < begin or (arguments.round is None and journal.has_passed(plan.number)):
            continue
        _do(plan, journal, arguments.seed)
    journal.close()
    for kept in journal.kept:
        print(f"failed before, and was done again: {kept}")
    outcomes = [outcome for outcome in journal.outcomes() if begin <= outcome.number < end]
    print(*table(outcomes), *totals(outcomes), f"in {folder}", sep="\n")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _do(plan: Round, journal: Journal, seed: int) -> None:
    print(f"round {plan.number}: {plan.layout.name}, {plan.layout.nodes} nodes: ", end="")
    print(*plan.blows, sep=", ", flush=True)
    outcome = run_round(plan, journal.begin(plan), seed, journal.tell)
    journal.end(outcome)
    for each in outcome.recoveries:
        print(f"  {each.fault}:{each.victim} {each.proof}; next {each.next_s} s, {each.caught_up_s} s")
    print(f"  {'passed' if outcome.passed else 'FAILED'} in {outcome.took_s} s", flush=True)
    for problem in outcome.problems:
        print(f"  {problem}", flush=True)


def _wanted(case: Case, arguments: argparse.Namespace) -> bool:
    layout, nodes, fault, victim = case
    if arguments.nodes is not None and nodes not in {None, arguments.nodes}:
        return False
    wanted = arguments.only
    return not wanted or any(
        each in {fault, f"{fault}:{victim}", f"{fault}:{victim}@{layout.name}", f"@{layout.name}"}
        for each in wanted
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10.0, help="no round begins after that")
    parser.add_argument("--rounds", type=int, help="the first so many of the schedule")
    parser.add_argument("--round", type=int, metavar="N", help="this one alone, done before or not")
    parser.add_argument("--folder", type=Path, help="default: build/chaos/seed-SEED-COMMIT")
    parser.add_argument("--nodes", type=int, choices=(1, 3), help="of Kafka; default: as the seed says")
    parser.add_argument("--only", action="append", default=[], metavar="FAULT[:VICTIM[@LAYOUT]]|@LAYOUT")
    parser.add_argument("--list", action="store_true", help="name all faults and victims, and end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
