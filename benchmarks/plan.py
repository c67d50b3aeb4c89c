"""How much is measured: sizes, numbers of rounds and totals."""

from dataclasses import dataclass

MIB = 1024**2
SOURCES = 6
LARGE = 1024
"""Pixels a side: 4 MiB of float32, the real telescope's image."""
SMALL = 64


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of one run. A group is one image of each of the six sources.

    Attributes:
        rounds: rounds of each measurement; a round is the stage, then its floor.
        large_groups: groups of 4 MiB images in a round.
        small_groups: groups of 64 x 64 images in a round.
        latency_groups: paced groups in a round, at `latency_rate_hz`; the first `latency_skip` don't count.
        latency_skip: groups until the processes have come to rest.
        latency_rate_hz: groups a second.
        memory_groups: small groups over which memory has to stay flat.
        history_groups: groups of the long history: seven days of one a second.
        quick: this is the short version, for a look; its figures are noisier.
    """

    rounds: int = 5
    large_groups: int = 40
    small_groups: int = 2_500
    latency_groups: int = 28
    latency_skip: int = 4
    latency_rate_hz: float = 2.0
    memory_groups: int = 10_000
    history_groups: int = 604_800
    quick: bool = False

    @classmethod
    def short(cls) -> "Plan":
        """The quick version."""
        return cls(
            rounds=2,
            large_groups=20,
            small_groups=1_000,
            latency_groups=12,
            memory_groups=3_000,
            history_groups=60_480,
            quick=True,
        )
