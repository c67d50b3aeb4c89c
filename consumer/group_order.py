"""In which order queued groups are handed out, pure: the clock is an argument.

By arrival, or merged by timestamp over the partitions. A merge can name the earliest group only when
every partition shows its next one. It waits for a partition that shows nothing, at most `wait_s`; what
comes after all is handed out late and marked.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from consumer.group import Group


class Merge(StrEnum):
    """How groups of several partitions are put in a row."""

    ARRIVAL = "arrival"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class _Queued:
    group: Group
    number: int
    arrived_s: float
    size_bytes: int


class GroupOrder:
    """Groups of the assigned partitions, waiting to be handed out.

    Within a partition the order is always that of the partition.
    """

    def __init__(self, merge: Merge, wait_s: float) -> None:
        self._merge = merge
        self._wait_s = wait_s
        self._queues: dict[int, deque[_Queued]] = {}
        self._emptied_s: dict[int, float] = {}
        self._ended: set[int] = set()
        self._next_number = 0
        self._latest_us: int | None = None
        self.count = 0
        self.bytes = 0

    def assign(self, partitions: Iterable[int]) -> None:
        """These partitions will have groups; a merge waits for them."""
        for partition in partitions:
            self._queues.setdefault(partition, deque())
            self._ended.discard(partition)

    def end(self, partitions: Iterable[int]) -> None:
        """These partitions get no further group: a merge does not wait for them."""
        self._ended.update(partitions)

    def revoke(self, partitions: Iterable[int]) -> int:
        """Forget these partitions and their queued groups; return how many groups were forgotten."""
        forgotten = 0
        for partition in partitions:
            self._emptied_s.pop(partition, None)
            for queued in self._queues.pop(partition, deque()):
                forgotten += 1
                self.count -= 1
                self.bytes -= queued.size_bytes
        return forgotten

    def with_groups(self) -> frozenset[int]:
        """The partitions that have a group queued."""
        return frozenset(partition for partition, queue in self._queues.items() if queue)

    def without_groups(self) -> frozenset[int]:
        """The assigned partitions that have none queued and will have some."""
        return frozenset(
            partition
            for partition, queue in self._queues.items()
            if not queue and partition not in self._ended
        )

    def starving(self) -> frozenset[int]:
        """The partitions whose next group has to come before the next one can be named."""
        return frozenset() if self._merge is Merge.ARRIVAL else self.without_groups()

    def beyond(self, count: float, size_bytes: float) -> frozenset[int]:
        """The partitions that have so many groups queued, or groups of so many bytes."""
        return frozenset(
            partition
            for partition, queue in self._queues.items()
            if len(queue) >= count or sum(queued.size_bytes for queued in queue) >= size_bytes
        )

    def push(self, group: Group, now_s: float) -> None:
        """Queue a group of an assigned partition."""
        queued = _Queued(group, self._next_number, now_s, group.size_bytes)
        self._next_number += 1
        self._queues[group.partition].append(queued)
        self.count += 1
        self.bytes += queued.size_bytes

    def pop(self, now_s: float, *, wait: bool = True) -> Group | None:
        """Hand out the next group, or None where there is none yet.

        Args:
            now_s: the clock, the same as given to `push`.
            wait: False where nothing more will come, so that a merge need not wait.
        """
        left_s = self.wait_left_s(now_s)
        if left_s is None or (wait and left_s > 0):
            return None
        heads = [queue[0] for queue in self._queues.values() if queue]
        if self._merge is Merge.ARRIVAL:
            return self._take(min(heads, key=lambda head: head.number), now_s)
        group = self._take(min(heads, key=lambda head: (head.group.timestamp_us, head.number)), now_s)
        if self._latest_us is not None and group.timestamp_us < self._latest_us:
            return replace(group, out_of_order=True)
        self._latest_us = group.timestamp_us
        return group

    def wait_left_s(self, now_s: float) -> float | None:
        """Seconds until `pop` hands out a group without a further `push`; None where nothing is queued.

        A partition is waited for from when its last group was taken: a user who takes his time, or a
        partition that was paused meanwhile, does not use up the wait.
        """
        arrived_s = [queue[0].arrived_s for queue in self._queues.values() if queue]
        if not arrived_s:
            return None
        waited_for = self.without_groups()
        if self._merge is Merge.ARRIVAL or not waited_for:
            return 0.0
        emptied_s = [self._emptied_s.get(partition, 0.0) for partition in waited_for]
        return max(0.0, max(min(arrived_s), *emptied_s) + self._wait_s - now_s)

    def _take(self, queued: _Queued, now_s: float) -> Group:
        queue = self._queues[queued.group.partition]
        queue.popleft()
        if not queue:
            self._emptied_s[queued.group.partition] = now_s
        self.count -= 1
        self.bytes -= queued.size_bytes
        return queued.group
