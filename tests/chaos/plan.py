"""What a round consists of: frozen facts, to be written down before anything happens."""

from dataclasses import dataclass

SLOW_END = "grouper.END_TXN past 5 s"
"""The victim of a delay beyond which the grouper must doubt how its transaction ended."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What runs in a round.

    Attributes:
        name: for the report.
        nodes: of Kafka; 3 with three copies and min.insync.replicas 2.
        partitions: of each topic.
        groupers: processes of it, in one consumer group.
        connectors: processes of it, all on the same sources.
        static: groupers have static names.
        silent_every: each so many timestamps the last source has no image, and its group stays open for
            `reorder_grace_s`; 0: never.
        reorder_grace_s: of the groupers.
        spool: the connectors' mode.
        disk_mb: of a small disk (tmpfs) under the first node; 0: the machine's own.
    """

    name: str
    nodes: int = 1
    partitions: int = 1
    groupers: int = 1
    connectors: int = 1
    static: bool = False
    silent_every: int = 0
    reorder_grace_s: float = 0.0
    spool: str = "off"
    disk_mb: int = 0


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault to one victim.

    Attributes:
        fault: its name, as effect.fault knows it.
        victim: as that fault understands it.
        seconds: how long it lasts, where it lasts.
        pause_s: from the last recovery until it begins.
    """

    fault: str
    victim: str
    seconds: float
    pause_s: float

    def __str__(self) -> str:
        return f"{self.fault}:{self.victim}"


@dataclass(frozen=True, slots=True)
class Round:
    """One system from its start to its judgement."""

    number: int
    layout: Layout
    blows: tuple[Blow, ...]
