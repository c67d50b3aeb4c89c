"""What belongs to an owned raw partition: made on assignment, dropped at a revocation."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from confluent_kafka import Consumer, TopicPartition

from grouper import metrics
from grouper.catalogue_log import CatalogueLog
from grouper.partition import Partition
from grouper.raw_log import RawLog
from grouper.recovery import Recovered, recover
from grouper.session import Session
from grouper.settings import GrouperSettings
from grouper.side_by_side import all_or_none
from grouper.steps import OnStep
from runtime.kafka import LogProducer, log_consumer, transactional_producer, true_end_offset
from runtime.logs import get_logger

log = get_logger(__name__)

# A recovery reads the catalogue to its end three times, and the broker holds back the answer that there is no
# more for as long as this. Partitions are recovered one after the other.
_CATALOGUE_WAIT_MS = 20
_AT_ONCE = 12  # sessions that are made side by side


@dataclass(slots=True)
class Owned:
    """A partition this grouper owns.

    Attributes:
        state: its grouping.
        session: its transactions.
        catalogue: its catalogue partition.
        raw: its raw partition, read by offset.
        held_back: whether nothing more is taken in from it.
    """

    state: Partition
    session: Session
    catalogue: CatalogueLog
    raw: RawLog
    held_back: bool = False

    def close(self) -> None:
        """Let go of its clients, its thread and its gauges."""
        self.session.close()
        self.catalogue.close()
        self.raw.close()
        self.state.close()


OnSession = Callable[[Consumer, int, Session], None]
"""Called with the consumer, the partition and its session, before anything is read of the partition."""


class Ownership:
    """Takes partitions of raw over, as the settings say."""

    def __init__(
        self,
        settings: GrouperSettings,
        give_up: Callable[[], bool],
        on_step: OnStep,
        on_session: OnSession | None = None,
    ) -> None:
        self._settings = settings
        self._on_session = on_session
        self._names = settings.topics
        self._give_up = give_up
        self._on_step = on_step
        self._beyond_repair: dict[int, set[int]] = {}
        self._abandoned = threading.Event()

    def take_over_all(
        self, consumer: Consumer, partitions: Sequence[int], beat: Callable[[], None]
    ) -> list[tuple[Owned, int]]:
        """Recover several partitions; what `take_over` returns of each, in their order.

        Their sessions are made side by side: to end an earlier owner's transaction takes most of the time.
        The rest goes one after the other on this thread: of a consumer inside its own callback of a
        rebalance other threads that ask for committed offsets have been seen to get no answer.

        Args:
            consumer: the one they were assigned to.
            partitions: their numbers.
            beat: called whenever something is done.

        Raises:
            SessionLostError, KafkaException, GrouperError: see `take_over`; none is taken over then.
        """
        self._abandoned.clear()
        sessions = all_or_none(
            [partial(self.session, number) for number in partitions],
            at_once=_AT_ONCE,
            on_return=beat,
            on_failure=self._abandoned.set,
            undo=Session.close,
        )
        taken: list[tuple[Owned, int]] = []
        try:
            for number, session in zip(partitions, sessions, strict=True):
                taken.append(self._recovered(consumer, number, session))
                beat()
        except BaseException:
            for session in sessions[len(taken) + 1 :]:  # that of the one that failed is closed
                session.close()
            for owned, _ in taken:
                owned.close()
            raise
        return taken

    def take_over(self, consumer: Consumer, partition: int) -> tuple[Owned, int]:
        """Recover a partition's state; return it, and the raw offset to go on at.

        The session comes first: it ends and fences an earlier owner's.

        Raises:
            SessionLostError, KafkaException: Kafka was away, or somebody else is the owner; try again.
            GrouperError: it can't go on without somebody's action.
        """
        return self._recovered(consumer, partition, self.session(partition))

    def _recovered(self, consumer: Consumer, partition: int, session: Session) -> tuple[Owned, int]:
        settings, names = self._settings, self._names
        catalogue = self._catalogue(partition)
        try:
            if self._on_session is not None:
                self._on_session(consumer, partition, session)
            recovered = recover(
                consumer, names.raw, partition, catalogue, settings.rules, remember=settings.remember
            )
        except BaseException:
            session.close()
            catalogue.close()
            raise
        _account_for_lost(partition, recovered)
        beyond_repair = self._beyond_repair.setdefault(partition, set())
        raw = RawLog(self._by_offset, names.raw, partition, beyond_repair)
        state = Partition(
            partition,
            settings.rules,
            recovered,
            raw,
            prefix=names.prefix,
            max_frame_bytes=settings.max_frame_bytes,
        )
        return Owned(state, session, catalogue, raw), recovered.position

    def session(self, partition: int) -> Session:
        """A session of a partition, which ends and fences every earlier one.

        Raises:
            SessionLostError: Kafka was away.
        """

        def make(transactional_id: str) -> LogProducer:
            return transactional_producer(
                self._settings,
                transactional_id,
                transaction_timeout_s=self._settings.transaction_timeout_s,
            )

        began_s = time.monotonic()
        session = Session(
            names=self._names,
            consumer_group=self._settings.consumer_group,
            partition=partition,
            make_producer=make,
            give_up=self._gives_up,
            on_step=self._on_step,
        )
        log.debug("earlier owners fenced", partition=partition, took_s=round(time.monotonic() - began_s, 3))
        return session

    def _gives_up(self) -> bool:
        return self._give_up() or self._abandoned.is_set()

    def _catalogue(self, partition: int) -> CatalogueLog:
        consumer = log_consumer(
            self._settings, group_id=None, enable_partition_eof=True, fetch_wait_ms=_CATALOGUE_WAIT_MS
        )
        return CatalogueLog(
            consumer,
            self._names.catalogue,
            partition,
            lambda topic, number: true_end_offset(consumer, TopicPartition(topic, number)),
        )

    def _by_offset(self) -> Consumer:
        return log_consumer(
            self._settings,
            group_id=None,
            enable_partition_eof=True,
            queue_bytes=min(self._settings.fetch_buffer_bytes, self._settings.max_frame_bytes),
        )


def _account_for_lost(partition: int, recovered: Recovered) -> None:
    if not recovered.lost_offsets:
        return
    metrics.LOST_RECORDS.inc(recovered.lost_offsets)
    log.error(
        "retention removed raw records before they were grouped; raise the retention of raw",
        partition=partition,
        records=recovered.lost_offsets,
        going_on_at=recovered.position,
    )
