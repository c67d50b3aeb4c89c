"""Reads groups ahead, on a thread of its own, for whoever takes them.

The thread polls Kafka all the time, so processing a group may outlast `max.poll.interval.ms`. What it
read ahead is bounded in number and bytes; when that is full it pauses the partitions that have groups
waiting, never one that has none: a merge by timestamp would wait for it in vain.

What this thread, the committer's and the user's share is touched with `_state` held. No call that can
wait for Kafka is made with it held.
"""

import math
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumer.catalogue import Catalogue
from consumer.committer import Committer
from consumer.errors import GapError
from consumer.group import Group
from consumer.group_order import GroupOrder, Merge
from consumer.groups_topic import ASK_S, GroupsTopic, StreamClosed
from consumer.kafka_errors import NO_TOPIC, is_gap, stream_error
from consumer.metrics import (
    DROPPED_AT_REVOKE,
    GAP_RECORDS,
    GAPS,
    GROUPS,
    IMAGES,
    OUT_OF_ORDER,
    QUEUED_BYTES,
    QUEUED_GROUPS,
)
from consumer.partition import PartitionReader, Read
from consumer.positions import Position, find_positions
from consumer.progress import Progress
from consumer.selection import Selection
from consumer.settings import ConsumerSettings
from consumer.start import Start
from runtime.kafka import log_consumer
from runtime.logs import get_logger
from schemas.catalogue import CatalogueEntry

POLL_S = 0.1  # how long a closing stream may have to wait for this thread
PATIENCE_S = 1.0
"""A full queue is waited for so long before partitions are paused. Pausing throws away what librdkafka
fetched ahead (64 MiB), so a user who takes a group now and then should not cause it each time."""
CLOSE_S = 5.0  # for the last commit
JOIN_S = 15.0  # for the thread to end, leaving the consumer group included

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read, and how.

    Attributes:
        settings: where Kafka is, bounds, time-outs.
        group_id: the consumer group; None: every partition, and nothing is committed.
        static_id: the static member's name in the consumer group.
        start: where to start without a committed position.
        selection: which groups to hand out.
        merge: the order of groups of several partitions.
    """

    settings: ConsumerSettings
    group_id: str | None
    static_id: str | None
    start: Start
    selection: Selection
    merge: Merge


class Fetcher:
    """Groups as they can be read, one after the other.

    Attributes:
        closing: set once the stream is being closed.
    """

    def __init__(self, plan: Plan) -> None:
        settings = plan.settings
        self.closing = threading.Event()
        self._plan = plan
        self._state = threading.Condition()
        self._order = GroupOrder(plan.merge, settings.merge_wait_s)
        self._progress = Progress()
        self._readers: dict[int, PartitionReader] = {}
        self._paused: set[int] = set()
        self._handed: dict[int, int] = {}  # by partition: where the last group handed out ends
        self._in_hand: Group | None = None
        self._assigned = False
        self._failure: BaseException | None = None
        self._consumer = log_consumer(
            settings,
            group_id=plan.group_id,
            static_id=plan.static_id,
            session_timeout_s=settings.reader_session_timeout_s,
            max_poll_interval_s=settings.reader_max_poll_interval_s,
        )
        self._topic = GroupsTopic(self._consumer, settings.topics.groups, self.closing)
        self._committer = Committer(self._consumer, self._topic.name, self._progress, self._state)
        self._thread = threading.Thread(target=self._run, name="trapline-groups", daemon=True)
        self._thread.start()

    # For the user's thread

    def wait_assigned(self, timeout_s: float | None) -> bool:
        """Wait until reading has begun in the partitions assigned first; say whether it has.

        Raises:
            StreamError: reading ended instead.
        """
        with self._state:
            self._state.wait_for(self._is_settled, timeout=timeout_s)
            if self._failure is not None:
                raise self._failure
            return self._assigned

    def take(self, deadline_s: float | None) -> Group | None:
        """The next group; None where the stream is closed or `deadline_s` (monotonic) has passed.

        Raises:
            StreamError: reading ended; every group read before it was handed out.
        """
        with self._state:
            while not self.closing.is_set():
                now_s = time.monotonic()
                group = self._order.pop(now_s, wait=self._failure is None)
                if group is not None:
                    self._hand_out(group)
                    return group
                if self._failure is not None:
                    raise self._failure
                waits_s = [] if deadline_s is None else [deadline_s - now_s]
                if waits_s and waits_s[0] <= 0:
                    return None
                merge_s = self._order.wait_left_s(now_s)
                if merge_s is not None:
                    waits_s.append(merge_s)
                self._state.wait(min(waits_s, default=None))
        return None

    def finish(self, group: Group) -> None:
        """This group, handed out before, is done: its position is committed as soon as may be."""
        with self._state:
            self._in_hand = None
            self._progress.finish(group.partition, group.last_offset + 1)
            self._state.notify_all()

    def settle(self, timeout_s: float) -> bool:
        """Wait until what is done is committed; say whether that came in time."""
        return self._plan.group_id is None or self._committer.settle(timeout_s)

    def close(self) -> None:
        """End reading: commit what is done, leave the consumer group. May be called from any thread."""
        with self._state:
            self.closing.set()
            self._state.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_S)

    def _is_settled(self) -> bool:
        return self._assigned or self._failure is not None or self.closing.is_set()

    def _hand_out(self, group: Group) -> None:
        self._in_hand = group
        self._handed[group.partition] = group.last_offset + 1
        GROUPS.inc()
        IMAGES.inc(len(group.images))
        QUEUED_GROUPS.dec()
        QUEUED_BYTES.dec(group.size_bytes)
        if group.out_of_order:
            OUT_OF_ORDER.inc()
        self._state.notify_all()  # there is room

    # The reading thread

    def _run(self) -> None:
        try:
            self._read()
        except StreamClosed:
            log.debug("closed while Kafka was asked")
        except Exception as error:  # noqa: BLE001 - whatever ends this thread is raised in the user's
            with self._state:
                self._failure = error
                self._state.notify_all()
            self._linger()
        finally:
            self._end()

    def _read(self) -> None:
        partitions = self._topic.connect(self._plan.settings.broker_wait_s)
        if self._plan.group_id is None:
            self._begin(self._consumer, partitions, {})
        else:
            self._committer.start()
            self._consumer.subscribe(
                [self._topic.name],
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
        while not self.closing.is_set():
            self._pace()
            message = self._consumer.poll(POLL_S)
            if message is None:
                self._topic.check_refusal(self._plan.settings.broker_wait_s)
            else:
                self._on_message(message)

    def _linger(self) -> None:
        """After a failure: stay a member while groups read before it are handed out and committed."""
        while not self.closing.is_set():
            with self._state:
                if not self._order.count and self._in_hand is None:
                    return
            try:
                self._consumer.poll(POLL_S)
            except (KafkaException, StreamClosed, RuntimeError) as error:
                log.debug("after the failure", cause=str(error))

    def _end(self) -> None:
        if self._plan.group_id is not None and not self._committer.end(CLOSE_S):
            log.warning(
                "closing without an answer to the last commit; what it was for is handed out again",
                topic=self._topic.name,
            )
        self._consumer.close()
        with self._state:
            self.closing.set()
            self._state.notify_all()

    def _on_message(self, message: Message) -> None:
        error = message.error()
        partition = cast("int", message.partition())  # a record that came has one, and so has an error
        if error is not None:
            self._on_error(error, partition)
            return
        reader = self._readers.get(partition)
        if reader is not None:
            self._queue(partition, reader.read(message))

    def _queue(self, partition: int, reads: Iterable[Read]) -> None:
        with self._state:
            for read in reads:
                if isinstance(read, Group):
                    self._order.push(read, time.monotonic())
                    self._progress.queue(partition, read.last_offset + 1)
                    QUEUED_GROUPS.inc()
                    QUEUED_BYTES.inc(read.size_bytes)
                else:
                    self._progress.pass_over(partition, read.next_offset)
                self._state.notify_all()

    def _on_error(self, error: KafkaError, partition: int) -> None:
        if is_gap(error):
            if partition in self._readers:
                self._on_gap(partition)
            return
        if error.code() in NO_TOPIC:
            self._topic.connect(math.inf)
            return
        ending = stream_error(error, self._topic.name)
        if ending is not None:
            raise ending
        log.warning("reading goes on after an error", error=error.name(), cause=error.str())

    def _on_gap(self, partition: int) -> None:
        """The next record is not there: retention was faster, or the log is another one.

        librdkafka says so once and then stands still until it is told where to go on.
        """
        reader = self._readers[partition]
        wanted = reader.next_offset
        low, _ = self._topic.ask(lambda: self._topic.bounds(partition))
        if not reader.floating:
            if self._plan.settings.on_gap == "error":
                raise GapError(self._topic.name, partition, wanted, low)
            GAPS.inc()
            GAP_RECORDS.inc(max(0, low - wanted))
            log.error(
                "records deleted by retention before they were read; going on at the oldest there are",
                topic=self._topic.name,
                partition=partition,
                first_lost=wanted,
                next_available=low,
            )
        self._queue(partition, reader.jump(low))
        if low < wanted:  # another log: its offsets begin anew
            with self._state:
                self._progress.revoke([partition])
                self._progress.assign(partition, OFFSET_INVALID)
                self._handed.pop(partition, None)
        self._queue_position(partition, low)
        self._topic.ask(lambda: self._consumer.seek(TopicPartition(self._topic.name, partition, low)))

    def _queue_position(self, partition: int, offset: int) -> None:
        with self._state:
            self._progress.pass_over(partition, offset)
            self._state.notify_all()

    def _pace(self) -> None:
        """Pause what has groups waiting while the queue is full; resume at half, or where it is needed."""
        with self._state:
            full = self._is_filled(1.0)
            if not full and not self._paused:
                return
            if full and not self._paused and not self._order.without_groups():
                self._state.wait_for(
                    lambda: self.closing.is_set() or not self._is_filled(1.0), timeout=PATIENCE_S
                )
                full = self._is_filled(1.0)
            pause = self._order.with_groups() - self._paused if full else frozenset()
            resume = (
                self._paused - self._order.with_groups() if self._is_filled(0.5) else frozenset(self._paused)
            )
        if pause:
            self._consumer.pause([TopicPartition(self._topic.name, partition) for partition in pause])
        if resume:
            self._consumer.resume([TopicPartition(self._topic.name, partition) for partition in resume])
        self._paused = (self._paused | pause) - resume

    def _is_filled(self, part: float) -> bool:
        settings = self._plan.settings
        return (
            self._order.count >= settings.read_ahead_groups * part
            or self._order.bytes >= settings.read_ahead_bytes * part
        )

    # Partitions come and go

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._failure is not None:
            consumer.assign([])
            return
        answers = self._topic.ask(lambda: consumer.committed(partitions, timeout=ASK_S))
        committed = {each.partition: each.offset for each in answers if each.offset >= 0}
        numbers = sorted(each.partition for each in partitions)
        self._begin(consumer, numbers, committed)
        log.info("partitions assigned", topic=self._topic.name, partitions=numbers)

    def _begin(self, consumer: Consumer, partitions: Iterable[int], committed: Mapping[int, int]) -> None:
        """Read these partitions: each from its committed position, or where the plan says.

        What was handed out is not handed out again, though it may not be done yet: this process still has
        it. Another member that had the partition meanwhile has committed no less than it has done.
        """
        known = {
            partition: max(
                committed.get(partition, OFFSET_INVALID), self._handed.get(partition, OFFSET_INVALID)
            )
            for partition in partitions
        }
        fresh = [partition for partition, offset in known.items() if offset < 0]
        positions = {partition: Position(offset) for partition, offset in known.items()}
        if fresh:
            positions |= self._topic.ask(lambda: self._find(fresh))
        with self._state:
            self._order.assign(positions)
            for partition, position in positions.items():
                self._readers[partition] = PartitionReader(partition, position, self._plan.selection)
                self._progress.assign(partition, committed.get(partition, OFFSET_INVALID))
                if self._in_hand is not None and self._in_hand.partition == partition:
                    self._progress.queue(partition, self._in_hand.last_offset + 1)
                # A fresh start is committed too: else a crash before the first commit would start anew,
                # and at the end that loses groups.
                self._progress.pass_over(partition, position.offset)
        consumer.assign(
            [TopicPartition(self._topic.name, p, position.offset) for p, position in positions.items()]
        )
        with self._state:
            self._assigned = True
            self._state.notify_all()

    def _find(self, partitions: Iterable[int]) -> dict[int, Position]:
        settings = self._plan.settings
        return find_positions(
            self._plan.start,
            tuple(partitions),
            bounds=self._topic.bounds,
            open_catalogue=lambda: Catalogue(
                log_consumer(settings, group_id=None, enable_partition_eof=True), settings.topics.catalogue
            ),
            wanted=self._is_wanted,
        )

    def _is_wanted(self, entry: CatalogueEntry) -> bool:
        refusal = self._plan.selection.refusal(
            images=len(entry.members), complete=entry.complete, revision=entry.revision
        )
        return refusal is None

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if not self.closing.is_set():
            self._committer.settle(CLOSE_S)  # still ours: the new owner starts where the user stopped
        self._drop(partitions)

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        log.warning("partitions lost: Kafka did not hear of us in time", topic=self._topic.name)
        self._drop(partitions)

    def _drop(self, partitions: Iterable[TopicPartition]) -> None:
        numbers = [each.partition for each in partitions]
        with self._state:
            bytes_before = self._order.bytes
            dropped = self._order.revoke(numbers)
            self._progress.revoke(numbers)
            QUEUED_GROUPS.dec(dropped)
            QUEUED_BYTES.dec(bytes_before - self._order.bytes)
            if not self.closing.is_set():
                DROPPED_AT_REVOKE.inc(dropped)
            self._state.notify_all()
        for partition in numbers:
            self._readers.pop(partition, None)
        self._paused.difference_update(numbers)
