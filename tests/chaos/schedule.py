"""The schedule: a pure function of the seed. Each cycle has every case once, in another order and timing."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

from tests.chaos.plan import SLOW_END, Blow, Layout, Round

_BLOWS_A_ROUND = 4

PLAIN = Layout("plain")
STATIC = Layout("static", static=True)
STANDBY = Layout("standby", groupers=2)
TWELVE = Layout("twelve partitions", partitions=12, groupers=3)
TWO_CONNECTORS = Layout("two connectors", connectors=2, reorder_grace_s=1.0)
RAGGED = Layout("ragged", silent_every=25, reorder_grace_s=3.0)
THROUGH = Layout("spool through", spool="through")
SMALL_DISK = Layout("small disk", disk_mb=160)

_KAFKA_VICTIMS = ("connector.PRODUCE", "grouper.PRODUCE", "grouper.TXN_OFFSET_COMMIT", "grouper.END_TXN")
_KAFKA_FAULTS = tuple(f"{act}-{way}" for act in ("delay", "drop", "cut") for way in ("request", "answer"))
_NODES = ("leader", "txn-coordinator", "group-coordinator")

# (layout, nodes or None for either, fault, victim). None of either: the seed decides, round by round.
Case = tuple[Layout, int | None, str, str]


def cases() -> tuple[Case, ...]:
    """Every fault on every victim it fits."""
    of_processes: list[Case] = [
        *((PLAIN, None, "kill", victim) for victim in ("emulator", "connector", "grouper", "reader")),
        *((PLAIN, None, "stop", victim) for victim in ("emulator", "connector", "grouper", "reader")),
        *((PLAIN, None, "stop-long", victim) for victim in ("connector", "grouper", "reader")),
        (PLAIN, None, "slow", "reader"),
        (PLAIN, None, "kill-in-commit", "grouper"),
        *(
            (STANDBY, None, fault, "owner")
            for fault in ("take-over", "kill-in-commit", "zombie", "stop-long")
        ),
        *((layout, None, "rebalance-storm", "groupers") for layout in (PLAIN, TWELVE)),
        (STATIC, None, "twin", "grouper"),
        (STATIC, None, "kill", "grouper"),
        (TWELVE, None, "kill", "grouper"),
        (TWELVE, None, "stop-long", "grouper"),
        (TWO_CONNECTORS, None, "kill", "connector"),
        (TWO_CONNECTORS, None, "stop-long", "connector"),
        (THROUGH, None, "kill", "connector"),
        (THROUGH, None, "kill", "connector without Kafka"),
        (THROUGH, None, "stop-long", "connector"),
        (RAGGED, None, "kill-older-open", "grouper"),
        (PLAIN, None, "offsets-deleted", "late windows"),
    ]
    of_wires: list[Case] = [
        *(
            (PLAIN, None, fault, victim)
            for fault in ("source-cut", "source-stall", "source-slow")
            for victim in ("one", "all")
        ),
        *((PLAIN, None, fault, victim) for fault in _KAFKA_FAULTS for victim in _KAFKA_VICTIMS),
        *((PLAIN, None, f"delay-{way}", SLOW_END) for way in ("request", "answer")),
    ]
    of_brokers: list[Case] = [
        *(
            (PLAIN, 1, fault, "only")
            for fault in ("broker-kill", "broker-stop", "broker-stop-long", "broker-restart")
        ),
        *(
            (PLAIN, 3, fault, victim)
            for fault in ("broker-kill", "broker-stop", "broker-stop-long")
            for victim in _NODES
        ),
        (PLAIN, 3, "broker-restart", "all"),
        (PLAIN, 3, "broker-kill", "all"),
        (PLAIN, 1, "broker-stop-in-commit", "only"),
        (PLAIN, 3, "broker-stop-in-commit", "txn-coordinator"),
        (TWELVE, 1, "broker-kill", "only"),
        (TWELVE, 3, "broker-kill", "leader"),
        (THROUGH, 1, "broker-kill", "only"),
        (THROUGH, 1, "broker-stop-long", "only"),
        (THROUGH, 3, "broker-kill", "leader"),
        (SMALL_DISK, 1, "disk-full", "only"),
        (SMALL_DISK, 3, "disk-full", "first"),
    ]
    return (*of_processes, *of_wires, *of_brokers)


def rounds(
    seed: int,
    wanted: Callable[[Case], bool] = lambda _case: True,
    nodes: int | None = None,
    blows_a_round: int = _BLOWS_A_ROUND,
) -> Iterator[Round]:
    """All rounds of a seed, without end.

    Args:
        seed: the same gives the same rounds.
        wanted: which cases; all by default.
        nodes: of Kafka, where a case leaves that open; None: the seed decides.
        blows_a_round: at most.
    """
    chosen = [case for case in cases() if wanted(case)]
    if not chosen:
        raise ValueError("no such case; `python -m tests.chaos --list` names them")
    number = 0
    for cycle in count():
        dice = random.Random(f"{seed}/{cycle}")
        for layout, blows in _cycle(dice, chosen, nodes, blows_a_round):
            yield Round(number, layout, blows)
            number += 1


def _cycle(
    dice: random.Random, chosen: list[Case], asked_nodes: int | None, blows_a_round: int
) -> list[tuple[Layout, tuple[Blow, ...]]]:
    by_layout: dict[Layout, list[Blow]] = defaultdict(list)
    for layout, nodes, fault, victim in dice.sample(chosen, len(chosen)):
        seconds = round(dice.uniform(1.0, 4.0), 1)
        blow = Blow(fault, victim, seconds, pause_s=round(dice.uniform(0.0, 2.0), 2))
        any_nodes = dice.choice((1, 1, 3))
        by_layout[replace(layout, nodes=nodes or asked_nodes or any_nodes)].append(blow)
    packed = [
        (layout, tuple(blows[at : at + blows_a_round]))
        for layout, blows in by_layout.items()
        for at in range(0, len(blows), blows_a_round)
    ]
    dice.shuffle(packed)
    return packed
