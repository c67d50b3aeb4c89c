"""What is carried, and what came of it."""

from dataclasses import dataclass, field
from typing import Final

from tests.cluster.kubelet import Life

SOURCES: Final = 6
SIZE: Final = 128
RATE_HZ: Final = 2
PARTITIONS: Final = 3


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to a running release.

    Attributes:
        name: in words.
        options: of `helm upgrade`, on top of those before.
    """

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A release, and what is done to it under load.

    Attributes:
        name: also of its namespace and topics.
        words: what it is.
        shares, redundant, groupers: as the chart has them.
        changes: in order.
        restarts: each connector and grouper is to have been started again.
    """

    name: str
    words: str
    shares: int
    redundant: bool
    groupers: int
    changes: tuple[Change, ...]
    restarts: bool = False

    @property
    def connectors(self) -> int:
        """Their pods."""
        return self.shares * (2 if self.redundant else 1)


_RESTART: Final = Change("rolling restart of all", ("--set=log.level=debug",))
SCENARIOS: Final = (
    Scenario(
        name="shared",
        words="2 connectors that share the sources, 3 groupers",
        shares=2,
        redundant=False,
        groupers=3,
        changes=(_RESTART,),
        restarts=True,
    ),
    Scenario(
        name="redundant",
        words="2 connectors that read all sources, 3 groupers",
        shares=1,
        redundant=True,
        groupers=3,
        changes=(_RESTART,),
        restarts=True,
    ),
    Scenario(
        name="grown",
        words="2 connectors that read all sources, 1 grouper that becomes 3, and 1 again",
        shares=1,
        redundant=True,
        groupers=1,
        changes=(
            Change("1 grouper becomes 3", ("--set=grouper.replicas=3",)),
            Change("3 groupers become 1", ("--set=grouper.replicas=1",)),
        ),
    ),
)


@dataclass(slots=True)
class Pause:
    """How long a change was felt.

    Attributes:
        change: its name.
        took_s: helm's upgrade, until all was ready.
        longest_s: partition of groups -> longest time without a new group, from the beginning of the change
            until groups of after it had come everywhere.
        usual_s: the same, before it.
    """

    change: str
    took_s: float
    longest_s: dict[int, float]
    usual_s: dict[int, float]


@dataclass(slots=True)
class Carried:
    """What came of a scenario.

    Attributes:
        scenario: which.
        problems: what must not be; empty where all is well.
        counts: of everything that was looked at.
        lives: of all processes.
        pauses: a change each.
    """

    scenario: Scenario
    problems: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    lives: list[Life] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
