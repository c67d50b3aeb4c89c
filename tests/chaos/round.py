"""A round: a system starts, takes its blows one by one, recovers from each, is drained, and judged."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.timestamp import parse_key
from tests.chaos import broker_faults, offset_faults, process_faults, wire_faults  # noqa: F401  register
from tests.chaos.effect import Effect, fault
from tests.chaos.explained import Explained, Span
from tests.chaos.judge import Verdict, judge
from tests.chaos.plan import Blow, Round
from tests.chaos.system import ALL, SILENT, System, stay
from tests.support.waiting import timeout_s, wait_until

_TRIES = 3
_RECOVERY_S = 180.0
_DRAINED_S = 240.0
_STILL_S = 1.5
_LATE_MARGIN_S = 1.0
_FOR_EVER_S = 1e10  # the year 2286

Tell = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long a blow was felt.

    Attributes:
        fault, victim, layout, nodes: what it was.
        proof: that it took effect.
        tries: it took.
        next_s: from its end until a group was to be read that was observed after that.
        caught_up_s: until everything observed before its end was to be read.
        lasted_s: the blow itself.
    """

    fault: str
    victim: str
    layout: str
    nodes: int
    proof: str
    tries: int
    next_s: float
    caught_up_s: float
    lasted_s: float


@dataclass(slots=True)
class Outcome:
    """A round's end."""

    number: int
    problems: list[str]
    counts: dict[str, int]
    recoveries: list[Recovery]
    took_s: float

    @property
    def passed(self) -> bool:
        return not self.problems


def run_round(plan: Round, folder: Path, seed: int, tell: Tell) -> Outcome:
    """Run it. What goes wrong is a problem in the outcome, whatever it was."""
    began_s = time.monotonic()
    outcome = Outcome(plan.number, [], {}, [], 0.0)
    prefix = f"chaos-{seed}-{plan.number}"
    struck: list[tuple[Blow, int, Effect]] = []
    explained = Explained(silent=SILENT if plan.layout.silent_every else frozenset())
    try:
        with System(plan.layout, folder, prefix, seed) as system:
            try:
                for blow in plan.blows:
                    struck.append((blow, *_struck(system, blow, explained, tell)))
                    outcome.problems += _not_the_same(system, blow, struck[-1][2])
                verdict = _judged(system, [effect for _, _, effect in struck], explained, tell)
                outcome.problems += verdict.problems
                outcome.counts = verdict.counts
                for blow, tries, effect in struck:
                    outcome.recoveries.append(_recovery(system, plan, blow, tries, effect))
                    outcome.problems += too_slow(outcome.recoveries[-1], effect)
            finally:
                outcome.problems += system.unexpected_ends()
    except Exception as error:  # noqa: BLE001  whatever it is: this round failed, and says why
        outcome.problems.append(f"{type(error).__name__}: {error}")
    outcome.took_s = round(time.monotonic() - began_s, 1)
    tell("round ended", asdict(outcome))
    return outcome


def _struck(system: System, blow: Blow, explained: Explained, tell: Tell) -> tuple[int, Effect]:
    """Strike until it takes effect, and wait until the system has recovered: all sources are there again."""
    for tries in range(1, _TRIES + 1):
        stay(blow.pause_s)
        tell("strike", {"blow": str(blow), "try": tries})
        effect = fault.strikes[blow.fault](system, blow)
        tell("struck", {"blow": str(blow), **asdict(effect)})
        # Those that watch for more than this one have had their recovery already.
        system.wait_for_groups_after(effect.clear_s, _RECOVERY_S)
        system.heal()
        healed_s = time.time()
        system.wait_for_groups_after(healed_s, _RECOVERY_S, complete=True)
        explained.add(effect, time.time())
        if effect.watch == "reader":
            _wait_for_reader(system, healed_s)
        if effect.took:
            return tries, effect
    raise AssertionError(f"{blow} did not take effect in {_TRIES} tries: {effect.proof}")


def _not_the_same(system: System, blow: Blow, effect: Effect) -> list[str]:
    """Processes of ours that were started again, though nothing of ours had to be."""
    now = system.pids_of_ours()
    again = [name for name, pid in effect.same.items() if now.get(name) != pid]
    return [f"{blow}: had to be started again: {', '.join(again)}"] if again else []


def _wait_for_reader(system: System, since_s: float) -> None:
    wait_until(
        lambda: any(moment > since_s for _, moment in _read_by_reader(system)),
        "the reader's next group",
        _RECOVERY_S,
    )


def _judged(system: System, effects: list[Effect], explained: Explained, tell: Tell) -> Verdict:
    # The sources don't begin and end with the same timestamp.
    explained.gaps.append(Span.around(ALL, 0, system.steady_s))
    explained.gaps.append(Span.around(ALL, time.time(), _FOR_EVER_S))
    system.workers["emulator"].terminate()
    wait_until(lambda: _drained(system), lambda: f"all of raw to be handled: {_left(system)}", _DRAINED_S)
    groups = len(system.witness.seen)
    wait_until(
        lambda: (
            len({line.split('"group_id": "')[1].split('"')[0] for _, _, line in _reader_lines(system)})
            >= len(system.witness.timestamps())
        ),
        f"the reader to have read {groups} groups",
        60,
    )
    problems = []
    for worker in [*system.connectors, *system.groupers, system.workers["reader"]]:
        worker.wait_until_up()
        status = worker.terminate()
        if status not in {0, 130} and worker is not system.workers["reader"]:
            problems.append(f"{worker.name} stopped with status {status}: {worker.last_words()}")
    tell("drained", {"groups": groups})
    verdict = judge(
        system.bootstrap_servers,
        system.prefix,
        system.truth.frames(),
        [line for _, _, line in system.workers["reader"].lines],
        folder=system.folder,
        explained=explained,
    )
    verdict.problems += problems
    if any(effect.aborts for effect in effects) and not verdict.counts["aborted images"]:
        verdict.problems.append("a transaction was to be aborted, and no reader sees an aborted one")
    if any(effect.needs_late for effect in effects) and not verdict.counts["late"]:
        verdict.problems.append("windows were to be late, and none was rejected as late")
    return verdict


def _drained(system: System) -> bool:
    """The connectors have nothing more, and the groupers have no open group."""
    if _left(system):
        return False
    ends = system.raw_ends()
    stay(_STILL_S)
    return ends == system.raw_ends() and not _left(system)


def _left(system: System) -> dict[int, int]:
    """By partition, raw records that the groupers' committed offset has not passed."""
    committed = system.committed()
    return {
        number: end - max(committed[number].offset, 0)
        for number, end in system.raw_ends().items()
        if end > max(committed[number].offset, 0)
    }


def _recovery(system: System, plan: Round, blow: Blow, tries: int, effect: Effect) -> Recovery:
    clear_s = effect.clear_s
    if effect.watch == "reader":
        moments = list(_read_by_reader(system))
    else:
        moments = [(each.timestamp_us / 1e6, each.seen_s) for each in system.witness.seen]
    # A second before the end, a group may still be waiting for its own last image.
    before = [
        moment for observed_s, moment in moments if effect.began_s - _LATE_MARGIN_S < observed_s < clear_s
    ]
    return Recovery(
        fault=blow.fault,
        victim=blow.victim,
        layout=plan.layout.name,
        nodes=plan.layout.nodes,
        proof=effect.proof,
        tries=tries,
        next_s=round(min(moment for observed_s, moment in moments if observed_s >= clear_s) - clear_s, 3),
        caught_up_s=round(max([0.0, *(moment - clear_s for moment in before)]), 3),
        lasted_s=round(clear_s - effect.began_s, 3),
    )


def too_slow(recovery: Recovery, effect: Effect) -> list[str]:
    """What there is to say where the next group came later than it has to."""
    if effect.next_within_s is None or recovery.next_s <= timeout_s(effect.next_within_s):
        return []
    bound_s = timeout_s(effect.next_within_s)
    what = f"{recovery.fault}:{recovery.victim}"
    return [f"{what}: the next group came after {recovery.next_s} s, not within {bound_s:g} s"]


def _reader_lines(system: System) -> list[tuple[float, int, str]]:
    return [entry for entry in list(system.workers["reader"].lines) if entry[2].endswith("}\n")]


def _read_by_reader(system: System) -> Iterator[tuple[float, float]]:
    """Observation time of each group, and when its line came; a group that is read again counts once."""
    known = set()
    for moment, _, line in _reader_lines(system):
        facts = json.loads(line)
        if facts["group_id"] not in known:
            known.add(facts["group_id"])
            yield parse_key(facts["timestamp"].encode()) / 1e6, moment
