"""Faults of the network: between image servers and connector, and between our processes and Kafka."""

import time

from tests.chaos.effect import Effect, fault
from tests.chaos.plan import SLOW_END, Blow
from tests.chaos.system import ALL, SOURCES, System, stay
from tests.support.kafka_proxy import Act, Api, Rule, Way
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import wait_until

_SLOW_BYTES_PER_S = 8_000  # a third of what a source sends
_IN_FRAME_S = 1.0
_STALL_PAST_DEADLINE_S = 12.0  # the connector gives a frame up after 10 s without a byte
_FIRST_MESSAGE_S = 60.0
_DOUBTFUL_S = 5.5  # an EndTxn of more than 5 s may still be under way in the next transaction (KAFKA-17754)


@fault("source-cut")
def source_cut(system: System, blow: Blow) -> Effect:
    """Connections to image servers are reset in the middle of a frame."""
    by_source = _wires(system, blow)
    wires = list(by_source.values())
    at = time.time()
    for wire in wires:
        wire.slow(_SLOW_BYTES_PER_S)
    stay(_IN_FRAME_S)
    before = {wire: wire.connections for wire in wires}
    cut = sum(wire.cut() for wire in wires)
    clear = time.time()
    for wire in wires:
        wire.heal()
    wait_until(
        lambda: all(wire.connections > before[wire] for wire in wires), "the connector to connect again", 60
    )
    return Effect(
        took=cut >= len(wires),
        proof=f"{cut} connections cut in a frame, and made again",
        began_s=at,
        clear_s=clear,
        loses_of=frozenset(by_source),
        gaps_of=frozenset(by_source),
    )


@fault("source-stall")
def source_stall(system: System, blow: Blow) -> Effect:
    """No byte comes through, for longer than a frame may stand still; connections stay."""
    by_source = _wires(system, blow)
    wires = list(by_source.values())
    at = time.time()
    for wire in wires:
        wire.stall()
    stay(_STALL_PAST_DEADLINE_S + blow.seconds)
    held = [wire.stalled_bytes for wire in wires]
    for wire in wires:
        wire.heal()
    return Effect(
        took=all(held),
        proof=f"{sum(held)} bytes were held back for {time.time() - at:.1f} s",
        began_s=at,
        clear_s=time.time(),
        loses_of=frozenset(by_source),  # where the connector gave a frame up, what stood behind it is gone
        gaps_of=frozenset(by_source),
    )


@fault("source-slow")
def source_slow(system: System, blow: Blow) -> Effect:
    """A third of the speed that a source needs."""
    by_source = _wires(system, blow)
    wires = list(by_source.values())
    at = time.time()
    for wire in wires:
        wire.slow(_SLOW_BYTES_PER_S)
    stay(2 * blow.seconds)
    slowed = [wire.slowed_bytes for wire in wires]
    for wire in wires:
        wire.heal()
    return Effect(
        took=all(slowed),
        proof=f"{sum(slowed)} bytes came at {_SLOW_BYTES_PER_S} bytes/s",
        began_s=at,
        clear_s=time.time(),
        gaps_of=frozenset(by_source),
    )


def _wires(system: System, blow: Blow) -> dict[str, TcpProxy]:
    """By source."""
    names = SOURCES if blow.victim == "all" else SOURCES[-1:]
    return {name: system.wires[name] for name in names}


def _slow_end(system: System, blow: Blow, way: Way) -> Effect:
    """An EndTxn so late that it could end the next transaction: before that the producer is renewed."""
    proxy = system.proxies["GROUPER"]
    renewed = _renewed(system)
    rule = Rule(Api.END_TXN, way, Act.DELAY, seconds=_DOUBTFUL_S + blow.seconds)
    at = time.time()
    proxy.apply(rule)
    wait_until(lambda: rule.passed_on, f"{rule} to be over", _FIRST_MESSAGE_S)
    proxy.lift()
    clear = time.time()
    wait_until(lambda: _renewed(system) > renewed, "the producer to be renewed", 60)
    return Effect(
        took=rule.acted == 1,
        proof=f"{rule}, by {rule.seconds:.1f} s, and the grouper renewed its producer",
        began_s=at,
        clear_s=clear,
    )


def _renewed(system: System) -> int:
    """How often groupers have said that they did."""
    return sum(len(each.said("producer renewed: the end of a transaction")) for each in system.groupers)


def _on_the_way_to_kafka(system: System, blow: Blow, act: Act, way: Way) -> Effect:
    if blow.victim == SLOW_END:
        return _slow_end(system, blow, way)
    route, _, api = blow.victim.partition(".")
    proxy = system.proxies[route.upper()]
    rule = Rule(Api[api], way, act, seconds=blow.seconds, limit=1 if act is Act.DROP else 3)
    at = time.time()
    proxy.apply(rule)
    wait_until(lambda: rule.acted, f"{rule} to take effect", _FIRST_MESSAGE_S)
    if act is Act.DELAY:
        wait_until(lambda: rule.passed_on, f"{rule} to be over", 60)
    proxy.lift()
    return Effect(
        took=rule.acted > 0,
        proof=f"{rule} by {route}: {rule.acted} times",
        began_s=at,
        clear_s=time.time(),
        # The rest of a group may be in what is held back; a broken connection is made again in a moment.
        gaps_of=ALL
        if Api[api] is Api.PRODUCE and route == "connector" and act is not Act.CUT
        else frozenset(),
    )


@fault("delay-request")
def delay_request(system: System, blow: Blow) -> Effect:
    """A request to Kafka comes late, and so does what follows it."""
    return _on_the_way_to_kafka(system, blow, Act.DELAY, Way.REQUEST)


@fault("delay-answer")
def delay_answer(system: System, blow: Blow) -> Effect:
    """An answer of Kafka's comes late."""
    return _on_the_way_to_kafka(system, blow, Act.DELAY, Way.ANSWER)


@fault("drop-request")
def drop_request(system: System, blow: Blow) -> Effect:
    """A request never comes, and nobody is told."""
    return _on_the_way_to_kafka(system, blow, Act.DROP, Way.REQUEST)


@fault("drop-answer")
def drop_answer(system: System, blow: Blow) -> Effect:
    """Kafka has done it, and nobody is told."""
    return _on_the_way_to_kafka(system, blow, Act.DROP, Way.ANSWER)


@fault("cut-request")
def cut_request(system: System, blow: Blow) -> Effect:
    """The connection breaks with a request on it."""
    return _on_the_way_to_kafka(system, blow, Act.CUT, Way.REQUEST)


@fault("cut-answer")
def cut_answer(system: System, blow: Blow) -> Effect:
    """Kafka has done it, and the connection breaks."""
    return _on_the_way_to_kafka(system, blow, Act.CUT, Way.ANSWER)
