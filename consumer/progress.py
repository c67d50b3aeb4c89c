"""How far a stream's user has come in each partition, pure: what may be committed, and what may not.

A position is committed up to the first group that is not done. A group is done when the next one is
asked for; a group that is not handed out at all (cut, not asked for) is done where it lies, but holds
no position back and is never passed before the groups in front of it are done.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Step:
    next_offset: int
    done: bool


@dataclass(slots=True)
class _Partition:
    committed: int
    reached: int
    steps: deque[_Step] = field(default_factory=deque)
    held: bool = False


class Progress:
    """The positions of the partitions held now. Offsets are next offsets: one past the last record."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def assign(self, partition: int, committed: int) -> None:
        """The partition is held from now on; Kafka knows `committed` as its position."""
        self._partitions[partition] = _Partition(committed=committed, reached=committed)

    def revoke(self, partitions: Iterable[int]) -> None:
        """The partitions are not held any more: nothing is committed for them."""
        for partition in partitions:
            self._partitions.pop(partition, None)

    def queue(self, partition: int, next_offset: int) -> None:
        """A group that ends before `next_offset` will be handed out."""
        state = self._partitions[partition]
        if not state.held:
            state.steps.append(_Step(next_offset, done=False))

    def pass_over(self, partition: int, next_offset: int) -> None:
        """Nothing up to `next_offset` will be handed out, other than what is queued already."""
        state = self._partitions[partition]
        if not state.held:
            state.steps.append(_Step(next_offset, done=True))
            self._advance(state)

    def hold(self, partition: int) -> None:
        """The position does not pass this place any more, whatever is handed out behind it."""
        self._partitions[partition].held = True

    def finish(self, partition: int, next_offset: int) -> None:
        """The group that ends before `next_offset` is done. Nothing happens where it is not ours any more."""
        state = self._partitions.get(partition)
        if state is None:
            return
        for step in state.steps:
            if step.next_offset == next_offset:
                step.done = True
                break
        self._advance(state)

    def to_commit(self) -> dict[int, int]:
        """Positions that are reached and not committed."""
        return {
            partition: state.reached
            for partition, state in self._partitions.items()
            if state.reached > state.committed
        }

    def committed(self, positions: Mapping[int, int]) -> None:
        """Kafka has these positions now."""
        for partition, offset in positions.items():
            state = self._partitions.get(partition)
            if state is not None:
                state.committed = max(state.committed, offset)

    @staticmethod
    def _advance(state: _Partition) -> None:
        while state.steps and state.steps[0].done:
            state.reached = max(state.reached, state.steps.popleft().next_offset)
