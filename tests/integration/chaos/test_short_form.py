"""Chaos in short, with a fixed seed. `make chaos` is the long form.

Covered: SIGKILL of connector, broker and grouper (in a commit, with an older group open, of three on twelve
partitions, with another one there); SIGSTOP of the grouper past its session; two groupers with one name; a
rebalance storm; wires to an image server and to Kafka cut; the consumer group deleted while windows of closed
groups are still to come. All on one node of Kafka.

Not covered: three nodes, a full disk, slow readers, zombies, two connectors, a spool, and messages that are
late or dropped, which cost what the client waits for an answer: 30 or 60 s.
"""

import sys
from itertools import takewhile

import pytest

from tests.chaos.round import run_round
from tests.chaos.schedule import PLAIN, RAGGED, STANDBY, STATIC, TWELVE, rounds

SEED = 8
CASES = {
    (PLAIN, "kill", "connector"),
    (PLAIN, "kill", "grouper"),
    (PLAIN, "kill-in-commit", "grouper"),
    (PLAIN, "source-cut", "one"),
    (PLAIN, "cut-answer", "grouper.END_TXN"),
    (PLAIN, "cut-request", "connector.PRODUCE"),
    (PLAIN, "broker-kill", "only"),
    (STANDBY, "take-over", "owner"),
    (PLAIN, "rebalance-storm", "groupers"),
    (PLAIN, "stop-long", "grouper"),
    (PLAIN, "offsets-deleted", "late windows"),
    (STATIC, "twin", "grouper"),
    (RAGGED, "kill-older-open", "grouper"),
    (TWELVE, "kill", "grouper"),
}


def _plans():
    """One cycle of the schedule: a round with all faults of a layout, so that Kafka starts once for each."""

    def wanted(case) -> bool:
        layout, nodes, fault, victim = case
        return nodes != 3 and (layout, fault, victim) in CASES

    layouts = {layout for layout, _, _ in CASES}
    schedule = rounds(SEED, wanted, nodes=1, blows_a_round=len(CASES))
    return list(takewhile(lambda plan: plan.number < len(layouts), schedule))


PLANS = _plans()


def test_the_short_form_has_every_case_once():
    struck = [(plan.layout.name, blow.fault, blow.victim) for plan in PLANS for blow in plan.blows]
    assert sorted(struck) == sorted((layout.name, fault, victim) for layout, fault, victim in CASES)


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.layout.name.replace(" ", "-"))
def test_nothing_is_lost_doubled_or_torn(plan, tmp_path, capsys):
    told = []
    outcome = run_round(plan, tmp_path, SEED, lambda event, facts: told.append((event, facts)))
    with capsys.disabled():
        sys.stdout.write(f"\n{plan.layout.name}: {outcome.took_s} s, {outcome.counts}\n")
        for each in outcome.recoveries:
            sys.stdout.write(f"  {each.fault}:{each.victim} next {each.next_s} s; {each.proof}\n")
    assert outcome.problems == []
    assert [(each.fault, each.victim) for each in outcome.recoveries] == [
        (blow.fault, blow.victim) for blow in plan.blows
    ]
    counts = outcome.counts
    assert counts["lost"] == counts["member twice"] == counts["torn"] == 0
    assert counts["windows"] == counts["audited windows"] > 0
    assert counts["groups"] > 10
