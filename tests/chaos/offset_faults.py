"""Committed offsets gone, while windows of closed groups are still to come."""

import time

from confluent_kafka import KafkaException

from tests.chaos.effect import Effect, fault
from tests.chaos.plan import Blow
from tests.chaos.system import SOURCES, System
from tests.support.waiting import timeout_s, wait_until

_GROUPS_WITHOUT = 5


@fault("offsets-deleted")
def offsets_deleted(system: System, _blow: Blow) -> Effect:
    """Groups are closed without a source that is held back; offsets are deleted; its windows come then."""
    at = time.time()
    held_back = system.wires[SOURCES[-1]]
    held_back.stall()
    wait_until(
        lambda: (
            len(system.witness.partitions_since(round(at * 1e6))) == system.layout.partitions
            and sum(each.timestamp_us > at * 1e6 for each in list(system.witness.seen)) >= _GROUPS_WITHOUT
        ),
        "groups without a source",
        60,
    )
    for grouper in system.groupers:
        grouper.terminate()
    wait_until(lambda: _deleted(system), "the consumer group to be deleted", 60)
    gone = all(each.offset < 0 for each in system.committed().values())
    before = sum(system.raw_ends().values())
    held_back.heal()
    wait_until(lambda: sum(system.raw_ends().values()) > before, "the late windows in raw", 60)
    clear = time.time()
    for grouper in system.groupers:
        grouper.start()
    return Effect(
        took=gone,
        proof="no offset was committed any more when the groupers were started again",
        began_s=at,
        clear_s=clear,
        needs_late=True,
        loses_of=frozenset(SOURCES[-1:]),  # it may have been given up in a frame
        gaps_of=frozenset(SOURCES[-1:]),
    )


def _deleted(system: System) -> bool:
    """A group with members cannot be deleted; a static one is a member until its session ends."""
    name = f"{system.prefix}.grouper"
    try:
        system.admin.delete_consumer_groups([name], request_timeout=timeout_s(10))[name].result()
    except KafkaException:
        return False
    return True
