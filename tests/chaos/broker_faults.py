"""Faults of Kafka itself: nodes dead, stopped, restarted, without disk.

None of ours is restarted for it: each effect names the pids that must be the same once all has recovered.
"""

import errno
import os
import shutil
import signal
import time
from pathlib import Path

import psutil

from tests.chaos.effect import Effect, fault
from tests.chaos.plan import Blow
from tests.chaos.system import ALL, SESSION_TIMEOUT_S, System, stay
from tests.support.kafka_proxy import Act, Api, Rule, Way
from tests.support.waiting import timeout_s, wait_until
from trapline.embedded.node_process import NodeProcess

_LONG_STOP_S = 12.0  # a node is out of the cluster after 4 s
_STOP_IN_COMMIT_S = 30.0


@fault("broker-kill")
def broker_kill(system: System, blow: Blow) -> Effect:
    """SIGKILL to a node, and started again after a while; `all`: to all at once."""
    nodes = _nodes(system, blow)
    pids = system.pids_of_ours()
    at = time.time()
    for node in nodes:
        os.kill(_pid(node), signal.SIGKILL)
    statuses = [_status(node) for node in nodes]
    stay(blow.seconds)
    again = time.time()
    _start(system, nodes)
    return Effect(
        took=all(status == -signal.SIGKILL for status in statuses),
        proof=f"{_numbers(nodes)} ended with status {statuses[0]}",
        began_s=at,
        # Where others go on, from the death; else from the start on, the JVM's own included.
        clear_s=at if len(nodes) < system.layout.nodes else again,
        same=pids,
        gaps_of=ALL,
    )


@fault("broker-stop")
def broker_stop(system: System, blow: Blow) -> Effect:
    """SIGSTOP for a moment, SIGCONT: a long pause of garbage collection."""
    return _stopped(system, blow, blow.seconds)


@fault("broker-stop-long")
def broker_stop_long(system: System, blow: Blow) -> Effect:
    """SIGSTOP until the cluster has given the node up, SIGCONT: a suspended virtual machine."""
    return _stopped(system, blow, _LONG_STOP_S + 2 * blow.seconds)


def _stopped(system: System, blow: Blow, seconds: float) -> Effect:
    (node,) = _nodes(system, blow)
    pids = system.pids_of_ours()
    process = psutil.Process(_pid(node))
    at = time.time()
    process.suspend()
    stay(seconds)
    still = process.status() == psutil.STATUS_STOPPED
    process.resume()
    others_go_on = system.layout.nodes > 1 and seconds > SESSION_TIMEOUT_S
    return Effect(
        took=still,
        proof=f"{_numbers([node])} was in state stopped for {time.time() - at:.1f} s",
        began_s=at,
        clear_s=at if others_go_on else time.time(),
        same=pids,
        gaps_of=ALL if seconds > SESSION_TIMEOUT_S else frozenset(),
    )


@fault("broker-restart")
def broker_restart(system: System, blow: Blow) -> Effect:
    """SIGTERM to one node after the other, each started again before the next: an upgrade."""
    pids = system.pids_of_ours()
    at = again = time.time()
    nodes = _nodes(system, blow)
    before = [_pid(node) for node in nodes]
    clean = []
    for node in nodes:
        clean.append(system.kafka.stop_node(node.node.node_id, timeout_s(90)))
        again = time.time()
        _start(system, [node])
    return Effect(
        took=all(clean) and all(_pid(node) != pid for node, pid in zip(nodes, before, strict=True)),
        proof=f"{len(clean)} nodes were restarted, {sum(clean)} of them ended in order",
        began_s=at,
        clear_s=again,
        same=pids,
        gaps_of=ALL,
    )


@fault("broker-stop-in-commit")
def broker_stop_in_commit(system: System, blow: Blow) -> Effect:
    """SIGSTOP for half a minute with an EndTxn just arrived, SIGCONT."""
    (node,) = _nodes(system, blow)
    proxy = system.proxies["GROUPER"]
    pids = system.pids_of_ours()
    rule = Rule(Api.END_TXN, Way.REQUEST, Act.HOLD)
    proxy.apply(rule)
    wait_until(lambda: rule.acted, "an EndTxn on the wire", 60)
    process = psutil.Process(_pid(node))
    at = time.time()
    process.suspend()
    proxy.lift()
    wait_until(lambda: rule.passed_on, "the EndTxn to be in the stopped node's socket", 30)
    stay(_STOP_IN_COMMIT_S)
    still = process.status() == psutil.STATUS_STOPPED
    process.resume()
    return Effect(
        took=still and rule.passed_on == 1,
        proof=f"{_numbers([node])} was stopped for {time.time() - at:.1f} s with an EndTxn in its socket",
        began_s=at,
        clear_s=at if system.layout.nodes > 1 else time.time(),
        same=pids,
        gaps_of=ALL,
    )


@fault("disk-full")
def disk_full(system: System, _blow: Blow) -> Effect:
    """The first node's disk fills up, it ends; the disk grows, and it is started again."""
    node = system.kafka.nodes[0]
    pids = system.pids_of_ours()
    at = time.time()
    _fill(system.small_disk)
    status = wait_until(lambda: _status(node, 0.0), "the node without disk to end", 120)
    full = "No space left on device" in (node.folder / "kafka.log").read_text(errors="replace") + (
        node.folder / "jvm.log"
    ).read_text(errors="replace")
    system.grow_small_disk(2 * system.layout.disk_mb)
    again = time.time()
    _start(system, [node])
    return Effect(
        took=status is not None and full,
        proof=f"node 1 ended by itself with status {status}, for want of space",
        began_s=at,
        clear_s=again if system.layout.nodes == 1 else at,
        same=pids,
        gaps_of=ALL,
    )


def _fill(disk: Path) -> None:
    """Take all that is left; the node on it takes some at the same time."""
    with (disk / "ballast").open("wb") as ballast:
        taken = 0
        while left := shutil.disk_usage(disk).free:
            try:
                os.posix_fallocate(ballast.fileno(), taken, left)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            else:
                taken += left


def _nodes(system: System, blow: Blow) -> list[NodeProcess]:
    nodes = system.kafka.nodes
    match blow.victim:
        case "only" | "all":
            return list(nodes)
        case "leader":
            number = system.leader(system.names.groups)
        case "txn-coordinator":
            number = system.coordinator("__transaction_state", f"{system.prefix}-{system.prefix}.grouper-0")
        case "group-coordinator":
            number = system.coordinator("__consumer_offsets", f"{system.prefix}.grouper")
        case other:
            raise ValueError(f"no such node: {other}")
    return [node for node in nodes if node.node.node_id == number]


def _pid(node: NodeProcess) -> int:
    if node.pid is None:
        raise RuntimeError(f"node {node.node.node_id} does not run")
    return node.pid


def _status(node: NodeProcess, timeout: float = 30.0) -> int | None:
    node.wait(timeout)
    return node.status


def _start(system: System, nodes: list[NodeProcess]) -> None:
    if len(nodes) == system.layout.nodes > 1:
        # None of several is listed before a majority is back: launched together.
        system.kafka.kill()
        system.kafka.start(timeout_s(120))
        return
    for node in nodes:
        system.kafka.start_node(node.node.node_id, timeout_s(120))


def _numbers(nodes: list[NodeProcess]) -> str:
    return "node " + ", ".join(str(node.node.node_id) for node in nodes)
