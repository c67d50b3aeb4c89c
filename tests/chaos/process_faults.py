"""Faults of our own processes: dead, stopped, fenced, too many, slow."""

import itertools
import signal
import time
from collections.abc import Callable

import psutil

from schemas.offset_metadata import OffsetMetadata
from tests.chaos.effect import Effect, fault
from tests.chaos.plan import Blow
from tests.chaos.system import ALL, SESSION_TIMEOUT_S, System, stay
from tests.chaos.worker import Worker
from tests.support.kafka_proxy import Act, Api, Rule, Way
from tests.support.waiting import wait_until

_SECOND_END_S = 3.0  # long enough for the one that is left to be fenced too, if it were
_SPOOLED_BYTES = 100_000  # three timestamps
GROUPER_BACK_S = SESSION_TIMEOUT_S + 5  # after its death, by itself or another, with its transaction open
_KILLED = -signal.SIGKILL
_extra = itertools.count(1)


@fault("kill")
def kill(system: System, blow: Blow) -> Effect:
    """SIGKILL, and started again at once, as a supervisor does."""
    if blow.victim == "connector without Kafka":
        return _killed_without_kafka(system, blow)
    worker = system.worker(blow.victim)
    at = time.time()
    status = worker.kill()
    worker.start()
    # With a second connector on the same sources nothing is lost, and no group waits.
    interrupted = ALL if blow.victim == "emulator" or _lone_connector(system, worker) else frozenset()
    return Effect(
        took=status == _KILLED,
        proof=f"{worker.name} ended with status {status}",
        began_s=at,
        clear_s=at,
        watch="reader" if blow.victim == "reader" else "groups",
        next_within_s=GROUPER_BACK_S if blow.victim == "grouper" else None,
        loses_of=interrupted,
        # The decoder had given it, and it was not yet in the spool.
        loses_most=1 if blow.victim == "connector" and system.layout.spool == "through" else None,
        gaps_of=interrupted,
        truth_cut=blow.victim == "emulator",
    )


def _killed_without_kafka(system: System, blow: Blow) -> Effect:
    """SIGKILL to the connector while its spool alone has what it reads: all nodes of Kafka are stopped."""
    worker = system.worker("connector")
    nodes = [psutil.Process(node.pid) for node in system.kafka.nodes if node.pid]
    for node in nodes:
        node.suspend()
    sizes = [system.spooled_bytes]  # the last that Kafka took may still be released

    def held() -> int:
        sizes.append(system.spooled_bytes)
        return sizes[-1] - min(sizes)

    wait_until(lambda: held() > _SPOOLED_BYTES, "frames in the spool", 60)
    killed_s = time.time()
    status = worker.kill()
    left = held()
    worker.start()
    stay(blow.seconds)
    still = all(node.status() == psutil.STATUS_STOPPED for node in nodes)
    for node in nodes:
        node.resume()
    return Effect(
        took=status == _KILLED and still and len(nodes) == system.layout.nodes,
        proof=f"{worker.name} ended with status {status}, {left} bytes in its spool since Kafka was stopped",
        began_s=killed_s,
        clear_s=time.time(),
        loses_of=ALL,
        loses_most=1,
        gaps_of=ALL,
    )


@fault("stop")
def stop(system: System, blow: Blow) -> Effect:
    """SIGSTOP for less than a session time-out, then SIGCONT."""
    return _stopped(system, system.worker(blow.victim), blow.victim, blow.seconds)


@fault("stop-long")
def stop_long(system: System, blow: Blow) -> Effect:
    """SIGSTOP for longer than any session, then SIGCONT: the consumer group has gone on without it."""
    worker = system.worker(blow.victim)
    others = {each: _assigned(each) for each in system.groupers if each is not worker}

    def taken_over() -> bool:
        return any(_assigned(each) > before for each, before in others.items())

    seconds = 2 * SESSION_TIMEOUT_S + blow.seconds
    if worker not in system.groupers or not others:
        return _stopped(system, worker, blow.victim, seconds, _out_of_its_group(system, worker))
    effect = _stopped(system, worker, blow.victim, seconds, taken_over)
    return Effect(
        took=effect.took and taken_over(),
        proof=f"{effect.proof}: its partitions went to another",
        began_s=effect.began_s,
        clear_s=effect.began_s,
    )


def _out_of_its_group(system: System, worker: Worker) -> Callable[[], bool] | None:
    """Whether Kafka has given up the only member of its consumer group; None: it is in none."""
    role = worker.name.partition("-")[0]
    if role not in {"grouper", "reader"}:
        return None
    return lambda: system.members(f"{system.prefix}.{role}") == 0


def _stopped(
    system: System, worker: Worker, victim: str, seconds: float, until: Callable[[], bool] | None = None
) -> Effect:
    at = time.time()
    worker.pause()
    stay(seconds)
    if until is not None:
        wait_until(until, f"Kafka to go on without {worker.name}", 60)
    still = worker.stopped
    seen = len(system.witness.seen)
    worker.resume()
    return Effect(
        took=still,
        proof=f"{worker.name} was in state stopped for {time.time() - at:.1f} s ({seen} groups out then)"
        + ("" if until is None else ", and not in its consumer group any more"),
        began_s=at,
        clear_s=time.time(),
        watch="reader" if victim == "reader" else "groups",
        # The rest of a group may be in what stood still.
        gaps_of=ALL if seconds > SESSION_TIMEOUT_S and _lone_connector(system, worker) else frozenset(),
    )


def _lone_connector(system: System, worker: Worker) -> bool:
    return system.connectors == [worker]


@fault("slow")
def slow(system: System, blow: Blow) -> Effect:
    """A reader that may run for a tenth of the time."""
    worker = system.worker(blow.victim)
    at = time.time()
    behind = 0
    while time.time() < at + 5 * blow.seconds or (not behind and time.time() < at + 60):
        worker.pause()
        stay(0.9)
        behind = max(behind, len(system.witness.seen) - len(set(_timestamps_read(worker))))
        worker.resume()
        stay(0.1)
    return Effect(
        took=behind > 0,
        proof=f"{worker.name} was up to {behind} groups behind",
        began_s=at,
        clear_s=time.time(),
        watch="reader",
    )


@fault("take-over")
def take_over(system: System, blow: Blow) -> Effect:
    """SIGKILL to the grouper that owns the partition; another one is there, and goes on."""
    worker = system.worker(blow.victim)
    others = {each: _assigned(each) for each in system.groupers if each is not worker}
    at = time.time()
    status = worker.kill()
    system.wait_for_groups_after(at)
    heir = next((each.name for each, before in others.items() if _assigned(each) > before), None)
    return Effect(
        took=status == _KILLED and heir is not None,
        proof=f"{worker.name} ended with status {status}, {heir} took its partition",
        began_s=at,
        clear_s=at,
        next_within_s=GROUPER_BACK_S,
    )


@fault("kill-in-commit")
def kill_in_commit(system: System, blow: Blow) -> Effect:
    """SIGKILL with the transaction open: its EndTxn is on the wire, and never arrives."""
    worker = system.worker(blow.victim)
    rule = Rule(Api.END_TXN, Way.REQUEST, Act.HOLD)
    system.proxies["GROUPER"].apply(rule)
    wait_until(lambda: rule.acted, "an EndTxn on the wire", 60)
    at = time.time()
    status = worker.kill()
    rule.act = Act.DROP
    system.proxies["GROUPER"].lift()
    if len(system.groupers) == 1:
        worker.start()
    return Effect(
        took=status == _KILLED and rule.acted == 1 and not rule.passed_on,
        proof=f"{worker.name} ended with status {status} with its EndTxn on the wire, which was dropped",
        began_s=at,
        clear_s=at,
        next_within_s=GROUPER_BACK_S,
        aborts=True,
    )


@fault("zombie")
def zombie(system: System, blow: Blow) -> Effect:
    """A stopped grouper whose EndTxn arrives after another one has taken its partition over."""
    worker = system.worker(blow.victim)
    rule = Rule(Api.END_TXN, Way.REQUEST, Act.HOLD)
    proxy = system.proxies["GROUPER"]
    proxy.apply(rule)
    wait_until(lambda: rule.acted, "an EndTxn on the wire", 60)
    at = time.time()
    worker.pause()
    system.wait_for_groups_after(at)
    proxy.lift()
    wait_until(lambda: rule.passed_on, "the late EndTxn to arrive", 30)
    rejoined = len(worker.said("partitions revoked")) + len(worker.said("joining the consumer group anew"))
    still = worker.stopped
    worker.resume()
    wait_until(
        lambda: (
            not worker.alive
            or len(worker.said("partitions revoked")) + len(worker.said("joining the consumer group anew"))
            > rejoined
        ),
        f"{worker.name} to notice that its partition is gone",
        90,
    )
    return Effect(
        took=still and worker.alive,
        proof=f"{worker.name} was stopped with its EndTxn on the wire; that arrived after the take-over, and "
        f"{worker.name} let go of its partition",
        began_s=at,
        clear_s=at,
        aborts=True,
    )


@fault("rebalance-storm")
def rebalance_storm(system: System, _blow: Blow) -> Effect:
    """Groupers come and go, by SIGTERM and SIGKILL in turn."""
    at = time.time()
    before = sum(_assigned(each) for each in system.groupers)
    regular = list(system.groupers)
    for number in range(4):
        extra = system.add_grouper(f"grouper-extra-{next(_extra)}")
        extra.start()
        wait_until(lambda extra=extra: _assigned(extra) or not extra.alive, "an extra grouper to join", 60)
        if number % 2:
            extra.kill()
        else:
            extra.terminate()
        system.discard(extra)
    rebalances = sum(_assigned(each) for each in regular) - before
    return Effect(
        took=rebalances >= len(regular) * 2,
        proof=f"four groupers came and went; the others were assigned anew {rebalances} times",
        began_s=at,
        clear_s=time.time(),
    )


@fault("twin")
def twin(system: System, blow: Blow) -> Effect:
    """A second grouper with the same static name: one of the two is fenced, and ends saying so.

    It is the first, unless its producer hears before its consumer that somebody else is at work.
    """
    first = system.worker(blow.victim)
    second = system.add_grouper(f"grouper-extra-{next(_extra)}", "g1")
    at = time.time()
    second.start()
    first.expected_end = second.expected_end = True
    wait_until(lambda: not (first.alive and second.alive), "one of the two to end", 60)
    stay(_SECOND_END_S)
    ended = [each for each in (first, second) if not each.alive]
    for each in (first, second):
        each.expected_end = not each.alive  # one of the two alone was to end
    said = all("another grouper has joined" in each.log.read_text() for each in ended)
    return Effect(
        took=len(ended) == 1 and ended[0].status == 1 and said,
        proof=f"{', '.join(each.name for each in ended)} ended, saying that another one has its name",
        began_s=at,
        clear_s=at,
    )


@fault("kill-older-open")
def kill_older_open(system: System, blow: Blow) -> Effect:
    """SIGKILL after a later group was published while an older one is still open."""
    worker = system.worker(blow.victim)

    def older_open() -> int | None:
        """An observed timestamp without a group, though a later one has its group; of the last seconds."""
        seen = system.witness.timestamps()
        newest = max(seen)
        least = newest - 2_500_000
        waiting = [each for each in system.truth.timestamps() if least < each < newest - 400_000]
        return next((each for each in waiting if each not in seen), None)

    open_us = wait_until(older_open, "a group that is open while later ones are published", 60)
    at = time.time()
    status = worker.kill()
    (committed,) = system.committed().values()
    read_to = OffsetMetadata.decode(committed.metadata).read_to
    worker.start()
    return Effect(
        took=status == _KILLED and committed.offset < read_to and open_us not in system.witness.timestamps(),
        proof=f"{worker.name} ended with status {status}, {read_to - committed.offset} records read beyond "
        f"the committed offset {committed.offset}",
        began_s=at,
        clear_s=at,
        next_within_s=GROUPER_BACK_S,
    )


def _assigned(worker: Worker) -> int:
    """How often it was given partitions, none at all included."""
    return len(worker.said("partitions assigned"))


def _timestamps_read(worker: Worker) -> list[str]:
    return [line.split('"timestamp": "')[1].split('"')[0] for _, _, line in list(worker.lines)]
