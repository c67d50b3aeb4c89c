"""Reads groups ahead, on a thread of its own, for whoever takes them.

The thread polls Kafka all the time, so processing a group may outlast `max.poll.interval.ms`. It alone
touches Kafka's client.
"""

import math
import os
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import cast

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from consumer.catalogue import Catalogue, catalogue_consumer
from consumer.committer import Committer
from consumer.errors import GapError, StartError, StreamError
from consumer.group_order import Merge
from consumer.groups_topic import ASK_S, NO_TOPIC_WAIT_S, GroupsTopic, StreamClosed
from consumer.kafka_errors import NO_TOPIC, is_gap, stream_error
from consumer.metrics import GAP_RECORDS, GAPS
from consumer.pace import Pace
from consumer.partition import PartitionReader
from consumer.positions import Position, find_positions
from consumer.range_end import RangeEnd, find_range_ends
from consumer.read_ahead import ReadAhead
from consumer.revisions import newest_revisions
from consumer.selection import Revisions, Selection
from consumer.settings import ConsumerSettings
from consumer.start import AtOffset, Start
from runtime.contact import Contact
from runtime.kafka import log_consumer
from runtime.logs import get_logger
from schemas.catalogue import CatalogueEntry

POLL_S = 0.02  # how long a commit or a closing stream may have to wait for this thread
SILENCE_S = 0.5  # of Kafka; a fetch of what is not there yet takes as long
JOIN_S = 15.0  # for the thread to end: the last commit (6 s if nobody answers), leaving the group

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
        past: the end of the range is not after the start of the reading.
    """

    settings: ConsumerSettings
    group_id: str | None
    static_id: str | None
    start: Start
    selection: Selection
    merge: Merge
    past: bool = False


class Fetcher:
    """The reading thread.

    Attributes:
        read_ahead: where its groups go.
    """

    def __init__(self, plan: Plan) -> None:
        settings = plan.settings
        self.read_ahead = ReadAhead(
            plan.merge,
            merge_wait_s=settings.merge_wait_s,
            max_groups=settings.read_ahead_groups,
            max_bytes=settings.read_ahead_bytes,
        )
        self._plan = plan
        self._pid = os.getpid()
        self._closing = self.read_ahead.closing
        self._readers: dict[int, PartitionReader] = {}
        self._connect()
        self._thread = threading.Thread(target=self._run, name="trapline-groups", daemon=True)
        self._thread.start()

    def _connect(self) -> None:
        """Make the client, and what asks through it."""
        plan, settings = self._plan, self._plan.settings
        self._consumer = log_consumer(
            settings,
            group_id=plan.group_id,
            static_id=plan.static_id,
            session_timeout_s=settings.reader_session_timeout_s,
            max_poll_interval_s=settings.reader_max_poll_interval_s,
        )
        self._contact = Contact(self._consumer)
        self._topic = GroupsTopic(self._consumer, settings.topics.groups, self._closing)
        self._pace = Pace(self._consumer, self._topic.name, self.read_ahead)
        self._committer = (
            None
            if plan.group_id is None
            else Committer(self._consumer, self._topic.name, plan.group_id, self.read_ahead)
        )

    def close(self) -> None:
        """End reading: commit what is done, leave the consumer group. May be called from any thread.

        In a forked child nothing happens: the thread, and the locks it may hold, are the parent's.
        """
        if os.getpid() != self._pid:
            return
        self.read_ahead.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        try:
            self._read()
        except StreamClosed:
            log.debug("closed while Kafka was asked")
        except Exception as error:  # noqa: BLE001 - whatever ends this thread is raised in the user's
            self.read_ahead.fail(error)
            self._linger()
        finally:
            self._end()

    def _read(self) -> None:
        partitions = self._topic.connect(self._plan.settings.broker_wait_s)
        self._check_partitions(partitions)
        if self._plan.group_id is None:
            self._begin(self._consumer, partitions, {})
        else:
            self._subscribe()
        while not self._closing.is_set():
            self._commit_due()
            if not self._pace.may_poll(len(self._readers)):
                continue
            message = self._consumer.poll(POLL_S)
            if message is None:
                if self._consumer.state.refusal is None and self._contact.is_lost():
                    self._connect_anew()
                self._topic.check_refusal(self._plan.settings.broker_wait_s)
                if self._plan.past and self._contact.silent_s > SILENCE_S:
                    self._learn_ends()  # nothing may lie behind the range that would ask for it
            else:
                self._contact.heard()
                self._on_message(message)

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            [self._topic.name], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _connect_anew(self) -> None:
        """Go on with another client where this one hears nothing of Kafka any more."""
        log.warning("nothing is heard of Kafka; another client is tried", topic=self._topic.name)
        silent = self._consumer
        self._connect()
        silent.close()
        if self._plan.group_id is None:
            self._assign(self._consumer)
        else:
            self._subscribe()  # what was read ahead is dropped when partitions are assigned

    def _check_partitions(self, partitions: Collection[int]) -> None:
        """A partition that is named and not there would be waited for in silence."""
        start = self._plan.start
        for partition in start.offsets if isinstance(start, AtOffset) else ():
            if partition not in partitions:
                raise StartError(f"{self._topic.name} has no partition {partition}: it has {len(partitions)}")

    def _linger(self) -> None:
        """After a failure: stay a member while groups read before it are handed out and committed."""
        while not self._closing.is_set() and not self.read_ahead.is_drained():
            try:
                self._commit_due()
                self._consumer.poll(POLL_S)
            except (KafkaException, StreamError, StreamClosed) as error:
                log.debug("after the failure", cause=str(error))

    def _commit_due(self) -> None:
        if self._committer is not None:
            self._committer.commit_due()

    def _end(self) -> None:
        try:
            if self._committer is not None:
                self._committer.commit_now()
        except StreamError as error:
            log.warning("the last commit was refused; its groups are handed out again", cause=str(error))
        self._committer = None  # closing revokes the partitions, and must not try once more
        self._consumer.close()

    def _on_message(self, message: Message) -> None:
        error = message.error()
        partition = cast("int", message.partition())  # a record that came has one, and so has an error
        if error is not None:
            self._on_error(error, partition)
            return
        reader = self._readers.get(partition)
        if reader is not None and not reader.ended:
            reads = reader.read(message)
            if reads:
                self.read_ahead.queue(partition, reads)
            if reader.end is not None:
                if reader.end.passed:
                    self._learn_ends()
                self._look_for_ends([partition])

    def _on_error(self, error: KafkaError, partition: int) -> None:
        if is_gap(error):
            if partition in self._readers and not self._readers[partition].ended:
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
        low, end = self._topic.ask(lambda: self._topic.bounds(partition))
        if not low <= wanted <= end:
            if not reader.floating:
                self._account_for_gap(partition, wanted, low)
            self.read_ahead.queue(partition, reader.jump(low))
            self.read_ahead.jump(partition, low, anew=wanted > end)
        self._assign(self._consumer)
        self._look_for_ends([partition])

    def _account_for_gap(self, partition: int, wanted: int, low: int) -> None:
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

    # Partitions come and go: callbacks of poll

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self.read_ahead.failed or consumer is not self._consumer:
            consumer.assign([])
            return
        self._drop(list(self._readers))  # of a client that was replaced
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
        positions = {}
        for partition in partitions:
            known = max(
                committed.get(partition, OFFSET_INVALID), self.read_ahead.handed(partition) or OFFSET_INVALID
            )
            if known >= 0:
                positions[partition] = Position(known)
        fresh = [partition for partition in partitions if partition not in positions]
        if fresh:
            positions |= self._topic.ask(lambda: self._find(fresh))
        newest = self._topic.ask(lambda: self._find_newest(positions))
        to_us = self._plan.selection.where.to_us
        for partition, position in positions.items():
            end = None if to_us is None else RangeEnd(to_us, past=self._plan.past)
            self._readers[partition] = PartitionReader(
                partition, position, self._plan.selection, newest.get(partition), end
            )
        self._contact.heard()
        self._assign(consumer)
        self.read_ahead.begin({p: position.offset for p, position in positions.items()}, committed)

    def _learn_ends(self) -> None:
        """Ask where the range ends in the partitions of which that is wanted and not known."""
        ends: dict[int, RangeEnd] = {}
        for partition, reader in self._readers.items():
            end = reader.end
            if end is not None and not end.known and (self._plan.past or end.passed):
                ends[partition] = end
        if ends:
            asked_s = time.monotonic()
            offsets = self._topic.ask(lambda: self._find_ends(ends, asked_s))
            for partition, end in ends.items():
                end.learn(offsets[partition])
            self._look_for_ends(ends)

    def _look_for_ends(self, partitions: Iterable[int]) -> None:
        """Let go of those of these partitions in which the range has ended."""
        ended = [partition for partition in partitions if self._readers[partition].ended]
        if ended:
            self._pace.retire(ended)
            last = all(reader.ended for reader in self._readers.values())
            self.read_ahead.end(ended, last=last)

    def _assign(self, consumer: Consumer) -> None:
        """Have Kafka's client read on where our readers stand.

        A partition after an offset error cannot be told by `seek` (it answers _STATE): it is stopped.
        """
        self._pace.forget()
        consumer.assign(
            [TopicPartition(self._topic.name, p, reader.next_offset) for p, reader in self._readers.items()]
        )
        self._pace.retire(p for p, reader in self._readers.items() if reader.ended)

    def _catalogue(self) -> Catalogue:
        settings = self._plan.settings
        return Catalogue(catalogue_consumer(settings), settings.topics.catalogue, ask_s=ASK_S)

    def _find(self, partitions: Iterable[int]) -> dict[int, Position]:
        repaired: set[int] = set()

        def wanted(entry: CatalogueEntry) -> bool:
            """Asked from the last entry backwards: a later revision comes before the earlier ones."""
            superseded = self._plan.selection.revisions is Revisions.LAST and entry.timestamp_us in repaired
            if entry.revision > 1:
                repaired.add(entry.timestamp_us)
            return not superseded and self._is_wanted(entry)

        return find_positions(
            self._plan.start,
            tuple(partitions),
            bounds=self._topic.bounds,
            open_catalogue=self._catalogue,
            wanted=wanted,
        )

    def _find_newest(self, positions: Mapping[int, Position]) -> dict[int, dict[int, int]]:
        """By partition: the timestamps that are to be passed over until their newest revision."""
        if self._plan.selection.revisions is not Revisions.LAST:
            return {}
        with closing(self._catalogue()) as catalogue:
            to_us = self._plan.selection.where.to_us
            return {p: newest_revisions(catalogue, p, position, to_us) for p, position in positions.items()}

    def _find_ends(self, partitions: Iterable[int], asked_s: float) -> dict[int, int | None]:
        waited = time.monotonic() > asked_s + NO_TOPIC_WAIT_S
        with closing(self._catalogue()) as catalogue:
            where = self._plan.selection.where
            return find_range_ends(catalogue, where, partitions, may_be_missing=waited)

    def _is_wanted(self, entry: CatalogueEntry) -> bool:
        refusal = self._plan.selection.refusal(
            images=len(entry.members), complete=entry.complete, revision=entry.revision
        )
        where = self._plan.selection.where
        return (
            refusal is None
            and where.at(entry.timestamp_us)
            and where.has(entry.present, complete=entry.complete)
        )

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if consumer is not self._consumer:  # one that was replaced is closed
            return
        if self._committer is not None:
            self._committer.commit_now()  # still ours: the new owner starts where the user stopped
        self._drop([each.partition for each in partitions])

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if consumer is not self._consumer:
            return
        log.warning("partitions lost: Kafka did not hear of us in time", topic=self._topic.name)
        self._drop([each.partition for each in partitions])

    def _drop(self, numbers: Collection[int]) -> None:
        self.read_ahead.drop(numbers)
        for partition in numbers:
            self._readers.pop(partition, None)
