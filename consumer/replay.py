"""Plays groups of the past at a cadence: reads ahead, waits until each is due, hands it on.

What takes them (a topic, standard output) gets one or several at a time: those that are due by then. Only
when it has returned do they count as done, so a replay that is interrupted knows where to go on.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Final, Protocol

from consumer.cadence import Cadence, awake_s
from consumer.catalogue import CatalogueRecord
from consumer.group import Group
from consumer.group_range import GroupRange
from consumer.history import History
from consumer.prefetch import Prefetch

BATCH_BYTES: Final = 64 * 1024**2  # of groups that are due, taken at once; or one larger group
BATCH_GROUPS: Final = 100


@dataclass(frozen=True, slots=True)
class PastGroup:
    """A group as it was found.

    Attributes:
        record: its entry in the catalogue.
        group: its images, reduced to the sources that are asked for.
    """

    record: CatalogueRecord
    group: Group


class Outlet(Protocol):
    """Where a replay goes."""

    def take(self, groups: Sequence[PastGroup]) -> None:
        """Write these groups, whole or none of them."""


@dataclass(frozen=True, slots=True)
class _Due:
    past: PastGroup
    due_s: float


class Replay:
    """One replay of a range.

    Attributes:
        groups: how many are done.
        bytes: of their images.
        behind_s: by how much the latest group came after it was due, seconds.
        cut_us: by how much gaps were shortened so far, microseconds.
    """

    def __init__(
        self,
        history: History,
        where: GroupRange,
        cadence: Cadence,
        *,
        ahead_bytes: int,
        ahead_groups: int,
    ) -> None:
        """Begin to read.

        Args:
            history: read by this replay alone from now on.
            where: what is to be replayed.
            cadence: how fast.
            ahead_bytes: read ahead so many bytes of groups, and one group more,
            ahead_groups: and so many groups.
        """
        self.groups = 0
        self.bytes = 0
        self.behind_s = 0.0
        self._where = where
        self._history = history
        self._schedule = cadence.begin()
        self._done: dict[int, int] = {}  # by partition: one past the last group done
        self._ahead = Prefetch(
            self._read, lambda past: past.group.size_bytes, max_bytes=ahead_bytes, max_items=ahead_groups
        )

    @property
    def cut_us(self) -> int:
        """See the class."""
        return self._schedule.cut_us

    def run(
        self,
        outlet: Outlet,
        *,
        held: Callable[[], AbstractContextManager[None]] = nullcontext,
        done: Callable[[PastGroup], None] = lambda _past: None,
    ) -> None:
        """Hand on all groups, each when it is due.

        Args:
            outlet: takes them.
            held: entered around each step that has to be known as done or not done.
            done: told of each group that is done.

        Raises:
            StreamError: Kafka went away, or refuses to be read.
            Exception: the outlet's.
        """
        head = self._next()
        while head is not None:
            _sleep_until(head.due_s)
            now_s = time.monotonic()
            batch, size_bytes = [head], head.past.group.size_bytes
            head = self._next(wait=False)
            while head is not None and head.due_s <= now_s and len(batch) < BATCH_GROUPS:
                size_bytes += head.past.group.size_bytes
                if size_bytes > BATCH_BYTES:
                    break
                batch.append(head)
                head = self._next(wait=False)
            self.behind_s = max(self.behind_s, now_s - batch[0].due_s)
            with held():
                outlet.take([each.past for each in batch])
                for each in batch:
                    self._count(each.past.group)
            for each in batch:
                done(each.past)
            if head is None:
                head = self._next()

    def left(self) -> GroupRange:
        """What is not done yet of the range."""
        return self._history.resumed(self._where, self._done, self.groups)

    def close(self) -> bool:
        """Stop reading; whether nobody reads the history any more, so that it can be closed."""
        return self._ahead.close()

    def _next(self, *, wait: bool = True) -> _Due | None:
        past = self._ahead.take(wait=wait)
        if past is None:
            return None
        return _Due(past, self._schedule.due_s(past.group.timestamp_us, time.monotonic()))

    def _count(self, group: Group) -> None:
        self._done[group.partition] = group.last_offset + 1
        self.groups += 1
        self.bytes += group.size_bytes

    def _read(self) -> Generator[PastGroup, None, None]:
        left = self._where.limit
        for record in self._history.find(replace(self._where, limit=None)):
            group = self._history.read(record, self._where)
            if group is None:
                continue
            yield PastGroup(record, group)
            if left is not None:
                left -= 1
                if left == 0:
                    return


def _sleep_until(due_s: float) -> None:
    """Sleep; a signal's exception ends it."""
    up_s = due_s - awake_s(due_s - time.monotonic())
    while (left_s := up_s - time.monotonic()) > 0:
        time.sleep(left_s)
    while time.monotonic() < due_s:
        time.sleep(0)  # whoever else wants the processor has it
