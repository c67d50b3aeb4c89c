"""Groups made again from raw with other rules, into topics of their own: `trapline regroup`.

The same assembler, transactions and recovery as a live grouper's, over a range of raw that is fixed when it
begins: from the oldest record there is to where raw ends then. Its state is in Kafka as the grouper's is, so
the same command goes on where an earlier one was stopped or killed, exactly once. One partition comes after
the other: memory is that of one, however long raw is.

The rules that look at data alone decide. Rule 4 looks at a clock, so it never acts inside the range; at its
end it closes what is still open if nothing more has come, as it does live. If raw goes on, what is open there
stays out: the range cuts it.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from grouper import metrics
from grouper.assembler import QUIET_MARGIN_S
from grouper.errors import PERMANENT, GrouperError, SessionLostError, TransactionAbortedError
from grouper.ownership import Owned, Ownership
from grouper.publication import Publication
from grouper.refusals import explain_refusal
from grouper.regroup_settings import RegroupSettings
from grouper.regroup_target import Claim, find_ranges
from grouper.rules import FIRST_REVISION
from grouper.steps import OnStep, no_step
from runtime.errors import KafkaUnavailableError
from runtime.kafka import LogConsumer, admin_client, explain, kafka_error, log_consumer, true_end_offset
from runtime.logs import get_logger
from runtime.shutdown import Shutdown

log = get_logger(__name__)
T = TypeVar("T")

GO_ON: Final = "The same command goes on where this one stopped"
_POLL_S = 0.1
_FETCH_BYTES = 32 * 1024**2  # taken in before what it closed is published
_FETCH_RECORDS = 1_000
_FETCH_WAIT_MS = 20  # at the end of the range
_TRIES = 3  # of a transaction whose cause of abort would come back for ever
_PAUSE_S = 1.0
_STOP_S = 15.0  # a stop waits this long for Kafka, and a call under way
_END_QUERY_S = 0.5  # between two looks at whether raw goes on
_TAKEN_OVER = frozenset({KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH})  # noqa: SLF001  its public name


@dataclass(slots=True)
class Regrouped:
    """What a run did.

    Attributes:
        total: raw records of the range, those of an earlier run included.
        done: of them, handled.
        groups: published by this run; further revisions are not counted.
        incomplete: of them, with a source missing.
        repaired: further revisions published.
        rejects: published by this run.
        cut: groups that the end of the range cuts.
        beyond: raw records that came after the range.
        finished: whether the range was regrouped to its end.
    """

    total: int = 0
    done: int = 0
    groups: int = 0
    incomplete: int = 0
    repaired: int = 0
    rejects: int = 0
    cut: int = 0
    beyond: int = 0
    finished: bool = False


OnProgress = Callable[[Regrouped], None]


class Regrouping:
    """One run over all partitions of raw."""

    def __init__(
        self, settings: RegroupSettings, on_progress: OnProgress = lambda _: None, on_step: OnStep = no_step
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            settings: raw, the target and the rules.
            on_progress: told after each turn how far it is.
            on_step: told of each step of each transaction.
        """
        self.result = Regrouped()
        self._settings = settings
        self._raw = settings.topics.raw
        self._on_progress = on_progress
        self._on_step = on_step
        self._shutdown = Shutdown()
        self._stop_by_s: float | None = None
        self._answered_s = time.monotonic()
        self._failures = 0
        self._done_before = 0  # raw records of the partitions that are done
        metrics.touch(tuple(source.name for source in settings.sources))

    def run(self, shutdown: Shutdown) -> Regrouped:
        """Regroup to the end of the range, or until a stop is asked for.

        Raises:
            NothingToRegroupError: raw has no record.
            MissingTopicError, AccessDeniedError: a topic, or a right, is missing.
            TopicCheckError: the target would refuse or spoil records; names the setting and its value.
            KafkaUnavailableError: Kafka was away for longer than `broker_wait_s`.
            GrouperError: it can't go on without somebody's action; the text says which.
        """
        self._shutdown = shutdown
        ranges = find_ranges(admin_client(self._settings), self._settings)
        claim = Claim(self._settings, ranges)
        consumer = log_consumer(
            self._settings,
            group_id=self._settings.consumer_group,
            enable_partition_eof=True,
            queue_bytes=self._settings.fetch_buffer_bytes,
            fetch_wait_ms=_FETCH_WAIT_MS,
        )
        ownership = Ownership(self._settings, self._give_up, self._on_step, claim.check)
        try:
            ends: dict[int, int] = {}
            for number in ranges:
                end = self._persist(partial(self._claimed, consumer, ownership, claim, number))
                if end is None:
                    return self.result
                ends[number] = end
                self.result.total += max(0, end - ranges[number].begin)
                self.result.beyond += max(0, ranges[number].end - end)
            for number, end in ends.items():
                begin = ranges[number].begin
                work = partial(self._regroup, consumer, ownership, number, begin, end)
                if not self._persist(work):
                    return self.result
                self._done_before += max(0, end - begin)
            self.result.finished = True
        finally:
            consumer.close()
        return self.result

    def _claimed(self, consumer: LogConsumer, ownership: Ownership, claim: Claim, number: int) -> int:
        """Where a partition's range ends, once it is claimed."""
        session = ownership.session(number)
        try:
            return claim.make(consumer, number, session).end
        finally:
            session.close()

    def _persist(self, work: Callable[[], T]) -> T | None:
        """Do something, again where Kafka was away; None where a stop is asked for.

        Raises:
            KafkaUnavailableError: it was away for too long.
            GrouperError: the cause comes back each time, or another process is at it.
        """
        while not self._shutdown.requested:
            try:
                return work()
            except (SessionLostError, TransactionAbortedError, KafkaException) as error:
                if self._shutdown.requested:
                    break
                self._failed(error)
                self._shutdown.wait(_PAUSE_S)
        return None

    def _failed(self, error: SessionLostError | TransactionAbortedError | KafkaException) -> None:
        cause = kafka_error(error) if isinstance(error, KafkaException) else error.cause
        if isinstance(cause, KafkaError):
            if cause.code() in _TAKEN_OVER:
                raise GrouperError(
                    f"another `trapline regroup` writes to {self._settings.to_prefix} now, or this one was "
                    f"suspended for too long ({cause.str()}). The same command goes on, alone"
                )
            self._count_failure(cause)
        if time.monotonic() - self._answered_s > self._settings.broker_wait_s:
            text = explain(cause) if isinstance(cause, KafkaError) else cause
            raise KafkaUnavailableError(f"{text}. {GO_ON}")
        log.warning("waiting for Kafka", cause=str(error))

    def _count_failure(self, cause: KafkaError) -> None:
        """Count a failure that comes back with every retry; a committed transaction ends the count."""
        if cause.code() in PERMANENT:
            self._failures += 1
            if self._failures >= _TRIES:
                raise GrouperError(f"{explain_refusal(cause, self._settings)}. {GO_ON}")

    def _answered(self) -> None:
        self._answered_s = time.monotonic()

    def _give_up(self) -> bool:
        """Whether Kafka was waited for long enough."""
        now_s = time.monotonic()
        if self._stop_by_s is None and self._shutdown.requested:
            self._stop_by_s = now_s + _STOP_S
        if self._stop_by_s is not None:
            return now_s > self._stop_by_s
        return now_s - self._answered_s > self._settings.broker_wait_s

    def _regroup(
        self, consumer: LogConsumer, ownership: Ownership, number: int, begin: int, end: int
    ) -> bool:
        """Regroup a partition, from where it is; False where a stop is asked for."""
        owned, at = ownership.take_over(consumer, number)
        self._answered()
        last_append_ms = 0
        try:
            consumer.assign([TopicPartition(self._raw, number, at)])
            while at < end:
                if self._shutdown.requested:
                    return False
                messages, at = self._fetch(consumer, at, end)
                now_s = time.monotonic()
                for message in messages:
                    owned.state.handle(message, now_s)
                    last_append_ms = message.timestamp()[1]
                if not self._publish(consumer, owned, begin, self._settings.commit_interval_s):
                    return False
                owned.session.serve()
                self._tell(at - begin)
            if owned.state.open_groups and self._nothing_more(consumer, number, end, last_append_ms):
                owned.state.close_quiet(math.inf, -math.inf)
            if not self._publish(consumer, owned, begin, 0.0):
                return False
            if self._shutdown.requested and owned.state.open_groups:
                return False  # perhaps it was not waited long enough for more
            self.result.cut += owned.state.open_groups
        finally:
            consumer.unassign()
            owned.close()
        return True

    def _fetch(self, consumer: LogConsumer, at: int, end: int) -> tuple[list[Message], int]:
        """Wait for one record, then take what has been fetched ahead, a bounded number of bytes.

        Returns:
            The records below `end`, and the offset to read next.
        """
        messages: list[Message] = []
        size = 0
        while size < _FETCH_BYTES and len(messages) < _FETCH_RECORDS and at < end:
            message = consumer.poll(0 if messages else _POLL_S)
            if message is None:
                break
            error = message.error()
            offset = message.offset() or 0
            if error is not None:
                at = max(at, self._passed(message, error))
                continue
            self._answered()
            if offset >= end:
                return messages, end
            messages.append(message)
            size += len(message)
            at = offset + 1
        if not messages and self._give_up() and not self._shutdown.requested:
            cause = consumer.state.last_error or KafkaError(KafkaError._TIMED_OUT)  # noqa: SLF001  as above
            raise KafkaException(cause)
        return messages, at

    def _passed(self, message: Message, error: KafkaError) -> int:
        """How far an event instead of a record says that raw is read.

        Raises:
            SessionLostError: the position is gone; the partition is to be taken over anew.
            GrouperError: raw can't be read.
        """
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  as above
            self._answered()
            return message.offset() or 0
        if error.code() in PERMANENT:
            raise GrouperError(f"{explain(error)}. {GO_ON}")
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001  as above
            raise SessionLostError(message.partition() or 0, error)
        return 0

    def _nothing_more(self, consumer: LogConsumer, number: int, end: int, last_append_ms: int) -> bool:
        """Rule 4 at the end of the range: whether nothing has come behind it for so long.

        By the broker's time of the last record, so that a history is not waited for; or by the time since
        this run reached the end, should the clocks disagree.
        """
        wait_s = self._settings.grace_s + QUIET_MARGIN_S
        reached_s = time.monotonic()
        while not self._shutdown.requested:
            waited_s = max(time.time() - last_append_ms / 1000, time.monotonic() - reached_s)
            # Asked after that: what was appended by then is below this end.
            goes_on = true_end_offset(consumer, TopicPartition(self._raw, number)) > end
            self._answered()
            if goes_on or waited_s >= wait_s:
                return not goes_on
            self._shutdown.wait(_END_QUERY_S)
        return False

    def _tell(self, done: int) -> None:
        self.result.done = self._done_before + max(0, done)
        self._on_progress(self.result)

    def _publish(self, consumer: LogConsumer, owned: Owned, begin: int, commit_after_s: float) -> bool:
        """Publish all that is closed; False where a stop was asked for before that.

        What is left then is closed again by the run that goes on.
        """
        state = owned.state
        while True:
            publication = state.publication(
                self._settings.transaction_max_bytes, self._settings.transaction_max_groups
            ) or state.progress(time.monotonic(), commit_after_s)
            if publication is None:
                return True
            if self._shutdown.requested:
                return False
            try:
                offsets = owned.session.publish(publication, state.entries, consumer)
            except TransactionAbortedError as error:
                self._count_failure(error.cause)
                if self._give_up():
                    raise
                log.warning("transaction aborted", partition=publication.partition, cause=error.cause.str())
                self._shutdown.wait(_PAUSE_S)
                continue
            self._answered()
            self._failures = 0
            state.published(publication, offsets)
            self._count(publication)
            self._tell(publication.read_to - begin)

    def _count(self, publication: Publication) -> None:
        first = [group for group in publication.groups if group.revision == FIRST_REVISION]
        self.result.groups += len(first)
        self.result.incomplete += sum(not group.complete for group in first)
        self.result.repaired += len(publication.groups) - len(first)
        self.result.rejects += len(publication.rejects)
