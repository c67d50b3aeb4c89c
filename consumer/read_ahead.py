"""What the reading thread and the user's thread share: groups read ahead, and how far the user has come.

Every method may be called from any thread; none waits for Kafka.
"""

import threading
import time
from collections.abc import Collection, Iterable, Mapping

from confluent_kafka import OFFSET_INVALID

from consumer.group import Group
from consumer.group_order import GroupOrder, Merge
from consumer.metrics import DROPPED_AT_REVOKE, GROUPS, IMAGES, OUT_OF_ORDER, QUEUED_BYTES, QUEUED_GROUPS
from consumer.partition import Beyond, Read
from consumer.progress import Progress


class ReadAhead:
    """Groups between the thread that reads them and the one that takes them.

    Attributes:
        closing: set once the stream is being closed.
        taken_s: when the last group was taken, on the monotonic clock.
    """

    def __init__(self, merge: Merge, *, merge_wait_s: float, max_groups: int, max_bytes: int) -> None:
        self.closing = threading.Event()
        self.taken_s = 0.0
        self._max_groups = max_groups
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._order = GroupOrder(merge, merge_wait_s)
        self._progress = Progress()
        self._starts: dict[int, int] = {}
        self._handed: dict[int, int] = {}  # by partition: where the last group handed out ends
        self._in_hand: Group | None = None
        self._begun = False
        self._ended = False
        self._failure: BaseException | None = None

    # For the user's thread

    def wait_begun(self, timeout_s: float | None) -> bool:
        """Wait until reading has begun in the partitions assigned first; say whether it has.

        Raises:
            StreamError: reading ended instead.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._begun or self._failure is not None or self.closing.is_set(), timeout=timeout_s
            )
            if self._failure is not None:
                raise self._failure
            return self._begun

    def take(self, deadline_s: float | None) -> Group | None:
        """The next group; None where the range has ended, the stream is closed or `deadline_s` has passed.

        Args:
            deadline_s: on the monotonic clock.

        Raises:
            StreamError: reading ended; every group read before it was handed out.
        """
        with self._changed:
            while not self.closing.is_set():
                now_s = time.monotonic()
                group = self._order.pop(now_s, wait=self._failure is None)
                if group is not None:
                    self._hand_out(group)
                    return group
                if self._ended:
                    return None
                if self._failure is not None:
                    raise self._failure
                if deadline_s is not None and now_s >= deadline_s:
                    return None
                self._changed.wait(self._wait_s(now_s, deadline_s))
        return None

    @property
    def over(self) -> bool:
        """The range has ended, or the stream is closed: nothing more can come."""
        return self._ended or self.closing.is_set()

    @property
    def starts(self) -> dict[int, int]:
        """By partition, the offset at which reading it began last."""
        with self._changed:
            return dict(self._starts)

    def finish(self, group: Group) -> None:
        """This group, handed out before, is done: its position is committed as soon as may be."""
        with self._changed:
            self._in_hand = None
            self._progress.finish(group.partition, group.last_offset + 1)
            self._changed.notify_all()

    def settle(self, timeout_s: float) -> bool:
        """Wait until what is done is committed; say whether that came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._progress.to_commit(), timeout=timeout_s)

    def close(self) -> None:
        """No group is handed out from now on."""
        with self._changed:
            self.closing.set()
            self._changed.notify_all()

    # For the reading thread

    def handed(self, partition: int) -> int | None:
        """Where the last group handed out of this partition ends; None: there was none."""
        return self._handed.get(partition)

    def begin(self, starts: Mapping[int, int], committed: Mapping[int, int]) -> None:
        """Groups of these partitions will come.

        Args:
            starts: the offset at which each is read.
            committed: the position that Kafka has for it, where it has one.
        """
        with self._changed:
            self._starts.update(starts)
            self._order.assign(starts)
            for partition, start in starts.items():
                self._progress.assign(partition, committed.get(partition, OFFSET_INVALID))
                if self._in_hand is not None and self._in_hand.partition == partition:
                    self._progress.queue(partition, self._in_hand.last_offset + 1)
                # A first start is committed, too: else a crash before the first commit would start anew,
                # and at the end that loses groups.
                self._progress.pass_over(partition, start)
            self._begun = True
            self._ended = False
            self._changed.notify_all()

    def queue(self, partition: int, reads: Iterable[Read]) -> None:
        """Take what was read of a partition, in its order."""
        with self._changed:
            for read in reads:
                if isinstance(read, Group):
                    self._order.push(read, time.monotonic())
                    self._progress.queue(partition, read.last_offset + 1)
                    QUEUED_GROUPS.inc()
                    QUEUED_BYTES.inc(read.size_bytes)
                elif isinstance(read, Beyond):
                    self._progress.hold(partition)
                else:
                    self._progress.pass_over(partition, read.next_offset)
            self._changed.notify_all()

    def end(self, partitions: Collection[int], *, last: bool) -> None:
        """Nothing more comes of these partitions; `last`: nor of any other."""
        with self._changed:
            self._order.end(partitions)
            self._ended = last
            self._changed.notify_all()

    def jump(self, partition: int, offset: int, *, anew: bool) -> None:
        """Reading a partition goes on at `offset`; `anew`: in another log, where offsets begin anew."""
        with self._changed:
            if anew:
                self._progress.revoke([partition])
                self._progress.assign(partition, OFFSET_INVALID)
                self._handed.pop(partition, None)
            self._progress.pass_over(partition, offset)

    def drop(self, partitions: Collection[int]) -> None:
        """These partitions are another member's: forget their groups and their progress."""
        with self._changed:
            bytes_before = self._order.bytes
            dropped = self._order.revoke(partitions)
            self._progress.revoke(partitions)
            QUEUED_GROUPS.dec(dropped)
            QUEUED_BYTES.dec(bytes_before - self._order.bytes)
            if not self.closing.is_set():
                DROPPED_AT_REVOKE.inc(dropped)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Reading ended: raise this in the user's thread after the groups that are there."""
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    @property
    def failed(self) -> bool:
        """Reading ended with an error."""
        return self._failure is not None

    def is_drained(self) -> bool:
        """Nothing is queued, and nothing is in the user's hand."""
        with self._changed:
            return not self._order.count and self._in_hand is None

    def due(self) -> dict[int, int]:
        """The positions to commit now, by partition."""
        with self._changed:
            return self._progress.to_commit()

    def committed(self, positions: Mapping[int, int]) -> None:
        """Kafka has these positions."""
        with self._changed:
            self._progress.committed(positions)
            self._changed.notify_all()

    def is_filled(self, part: float = 1.0) -> bool:
        """Whether as much is queued as may be, or such a part of it."""
        with self._changed:
            return self._order.count >= self._max_groups * part or self._order.bytes >= self._max_bytes * part

    def wait_for_room(self, timeout_s: float) -> None:
        """Wait until less is queued than may be."""
        with self._changed:
            self._changed.wait_for(lambda: self.closing.is_set() or not self.is_filled(), timeout=timeout_s)

    def with_groups(self) -> frozenset[int]:
        """The partitions that have groups queued."""
        with self._changed:
            return self._order.with_groups()

    def starving(self) -> frozenset[int]:
        """The partitions that a merge waits for."""
        with self._changed:
            return self._order.starving()

    def above_share(self, partitions: int) -> frozenset[int]:
        """The partitions that have their part of twice the bounds, or more, of so many partitions."""
        with self._changed:
            share = 2 / max(partitions, 1)
            return self._order.beyond(self._max_groups * share, self._max_bytes * share)

    def _hand_out(self, group: Group) -> None:
        self.taken_s = time.monotonic()
        self._in_hand = group
        self._handed[group.partition] = group.last_offset + 1
        GROUPS.inc()
        IMAGES.inc(len(group.images))
        QUEUED_GROUPS.dec()
        QUEUED_BYTES.dec(group.size_bytes)
        if group.out_of_order:
            OUT_OF_ORDER.inc()
        self._changed.notify_all()  # there is room

    def _wait_s(self, now_s: float, deadline_s: float | None) -> float | None:
        waits_s = [self._order.wait_left_s(now_s), None if deadline_s is None else deadline_s - now_s]
        return min((each for each in waits_s if each is not None), default=None)
