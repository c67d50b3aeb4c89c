"""All checks, in their order: what a later one needs comes before it."""

from collections.abc import Collection, Iterator
from functools import partial
from typing import Final

from runtime.acls import Role
from trapline.doctor.cluster import broker, replication, versions
from trapline.doctor.outcome import Check
from trapline.doctor.probe import probe
from trapline.doctor.rights import rights
from trapline.doctor.sources import sources
from trapline.doctor.spool import spool
from trapline.doctor.stream import clocks, near_misses, offsets
from trapline.doctor.subject import Subject
from trapline.doctor.topics import partitions, times, topics

BROKER: Final = "broker"
_TOPICS: Final = "topics"


def all_checks(
    subject: Subject, *, roles: Collection[Role] = (), with_probe: bool = False, source_wait_s: float
) -> Iterator[Check]:
    """The checks of `trapline doctor`.

    Args:
        subject: the Kafka, and the settings of all processes.
        roles: what this user is meant to be.
        with_probe: send a frame through topics made for it.
        source_wait_s: how long an image server may take to send a frame.
    """
    settings = subject.settings
    yield Check(BROKER, partial(broker, subject))
    yield Check("versions", partial(versions, subject), needs=(BROKER,))
    yield Check("rights", partial(rights, subject, roles), needs=(BROKER,))
    yield Check(_TOPICS, partial(topics, subject), needs=(BROKER,))
    yield Check("partitions", partial(partitions, subject), needs=(BROKER,))
    yield Check("times, retention", partial(times, subject), needs=(BROKER,))
    yield Check("replication", partial(replication, subject), needs=(BROKER,))
    yield Check("clocks", partial(clocks, subject), needs=(BROKER,))
    yield Check("near misses", partial(near_misses, subject), needs=(BROKER,))
    yield Check("offsets", partial(offsets, subject), needs=(BROKER,))
    yield Check("sources", partial(sources, settings, source_wait_s))
    yield Check("spool", partial(spool, settings))
    if with_probe:
        yield Check("probe", partial(probe, subject), needs=(BROKER,))
