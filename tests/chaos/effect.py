"""What became of a blow: the proof that it took effect, and from when on recovery counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.chaos.plan import Blow
from tests.chaos.system import System


@dataclass(frozen=True, slots=True)
class Effect:
    """A blow's effect.

    Attributes:
        took: it took effect.
        proof: by which counter or observation, in words.
        began_s: when, seconds since 1970.
        clear_s: when it was over, and recovery begins to count; for a death, the death.
        watch: who recovers: readers of `groups`, or the one `reader`.
        loses_of: sources of which frames on the wire or in the connector's memory may be gone; none in raw.
        loses_most: frames a source; None: any number.
        gaps_of: sources that groups may lack while it is felt, and of which windows may come late: nothing
            came of them, or it stood still for longer than the grouper waits for a group's rest (6 s).
        truth_cut: an image server may not have come to write down its last frames.
        next_within_s: the next group has to be read so soon after `clear_s`, before scaling; None: no bound.
        aborts: an aborted transaction must be to be seen.
        needs_late: rejects of late windows must be to be seen.
        same: processes of ours by name: these must have the same pid once all has recovered.
    """

    took: bool
    proof: str
    began_s: float
    clear_s: float
    watch: str = "groups"
    loses_of: frozenset[str] = frozenset()
    loses_most: int | None = None
    gaps_of: frozenset[str] = frozenset()
    truth_cut: bool = False
    next_within_s: float | None = None
    aborts: bool = False
    needs_late: bool = False
    same: Mapping[str, int] = field(default_factory=dict)


Strike = Callable[[System, Blow], Effect]


@dataclass(slots=True)
class Register:
    """Faults by name, filled by decorators where they are written."""

    strikes: dict[str, Strike] = field(default_factory=dict)

    def __call__(self, name: str) -> Callable[[Strike], Strike]:
        def register(strike: Strike) -> Strike:
            self.strikes[name] = strike
            return strike

        return register


fault = Register()
