"""The grouper's process: owns partitions of raw, and publishes the groups of each.

One loop: fetch, take in, publish, look for quiet groups. Everything a partition has closed is published
before the next fetch, so a revocation, which happens inside a fetch, finds no transaction open.
"""

import time
from collections import Counter
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from grouper import metrics
from grouper.errors import PERMANENT, GrouperError, SessionLostError, TransactionAbortedError
from grouper.ownership import Owned, Ownership
from grouper.publication import Publication
from grouper.quiet import QuietWatch
from grouper.refusals import explain_refusal
from grouper.rules import FIRST_REVISION
from grouper.settings import GrouperSettings
from grouper.steps import OnStep, no_step
from grouper.topics import wait_for_topics
from runtime.contact import Contact
from runtime.health import Heartbeat
from runtime.kafka import LogConsumer, explain, kafka_error, log_consumer
from runtime.kafka_probe import KafkaProbe
from runtime.logs import get_logger
from runtime.shutdown import Shutdown
from schemas.topics import TopicNames

log = get_logger(__name__)

_POLL_S = 0.1
_FETCH_BYTES = 32 * 1024**2  # taken in before what it closed is published
_FETCH_RECORDS = 1_000
_TRIES = 3  # of a transaction whose cause of abort would come back for ever
_STOP_S = 15.0  # a stop waits this long for Kafka, and a call under way; Kubernetes kills after 30 s
_REJOIN_PAUSE_S = 1.0
_SILENCE = KafkaError(
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    "nothing was heard of Kafka, and it does not answer; another client is tried",
)


@dataclass(slots=True)
class Summary:
    """What a run did; printed at the end."""

    records: int = 0
    groups: int = 0
    incomplete: int = 0
    repaired: int = 0
    rejects: int = 0
    transactions: int = 0


class GrouperService:
    """Groups the partitions of raw that the consumer group gives it, until a stop is asked for."""

    def __init__(self, settings: GrouperSettings, heartbeat: Heartbeat, on_step: OnStep = no_step) -> None:
        """Prepare; nothing is connected yet.

        Args:
            settings: the grouper's settings.
            heartbeat: beaten once a turn of the loop.
            on_step: told of each step of each transaction.
        """
        self.summary = Summary()
        self._settings = settings
        self._names = TopicNames(settings.topic_prefix)
        self._heartbeat = heartbeat
        self._probe = KafkaProbe(settings)
        self._ownership = Ownership(settings, self._give_up, on_step)
        self._quiet = QuietWatch(self._names.raw)
        self._owned: dict[int, Owned] = {}
        self._joined = False
        self._shutdown: Shutdown | None = None
        self._stop_by_s: float | None = None
        self._failures: Counter[int | None] = Counter()  # by partition; None: of the consumer
        self._assignment = 0  # counts assignments and revocations
        metrics.touch(tuple(source.name for source in settings.sources))

    def not_ready(self) -> str | None:
        """Why the grouper is not ready; None when it is. A hot standby without a partition is ready.

        Kafka is asked too: a member of the consumer group stays one for itself, however long Kafka is away.
        """
        problem = self._probe.problem()
        if problem is not None:
            return problem
        if not self._joined:
            return "not yet a member of the consumer group: does the topic exist?"
        return None

    def run(self, shutdown: Shutdown) -> Summary:
        """Group until a stop is asked for.

        Raises:
            GrouperError, KafkaUnavailableError, AccessDeniedError, MissingTopicError, TopicCheckError: the
                grouper can't go on without somebody's action; the text says which.
        """
        self._shutdown = shutdown
        wait_for_topics(self._settings, shutdown, self._heartbeat)
        while not shutdown.requested:
            try:
                self._group(shutdown)
            except (SessionLostError, KafkaException) as error:
                if shutdown.requested:
                    log.warning("stopped with groups unpublished: the next grouper does it", cause=str(error))
                    break
                self._rejoin(error)
                shutdown.wait(_REJOIN_PAUSE_S)
        return self.summary

    def _rejoin(self, error: SessionLostError | KafkaException) -> None:
        """Say that the consumer group is joined anew, and why.

        Somebody else may own the partition by now: only a new assignment can say. Joining anew reads the
        committed offsets again, so nothing is lost and nothing is out twice. A Kafka that is away at any
        moment, in the middle of a recovery too, ends here.

        Raises:
            GrouperError: the cause comes back each time.
        """
        cause = error.cause if isinstance(error, SessionLostError) else kafka_error(error)
        partition = error.partition if isinstance(error, SessionLostError) else None
        self._count_failure(partition, cause)
        log.warning("joining the consumer group anew", cause=str(error))
        metrics.REJOINS.inc()

    def _count_failure(self, partition: int | None, cause: KafkaError | str) -> None:
        """Count a failure that comes back with every retry; a committed transaction ends the count.

        Raises:
            GrouperError: this was the last of its tries.
        """
        if isinstance(cause, KafkaError) and cause.code() in PERMANENT:
            self._failures[partition] += 1
            if self._failures[partition] >= _TRIES:
                raise GrouperError(explain_refusal(cause, self._settings))

    def _group(self, shutdown: Shutdown) -> None:
        consumer = log_consumer(
            self._settings,
            group_id=self._settings.consumer_group,
            static_id=self._settings.group_instance_id,
            session_timeout_s=self._settings.session_timeout_s,
            queue_bytes=self._settings.fetch_buffer_bytes,
            on_error=self._quiet.on_error,
        )
        contact = Contact(consumer)
        try:
            consumer.subscribe(
                [self._names.raw], on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke
            )
            while not shutdown.requested:
                self._heartbeat.beat()
                if self._turn(consumer, _POLL_S):
                    contact.heard()
                elif contact.is_lost():
                    raise KafkaException(_SILENCE)
            self._give_up()  # starts the count
            self._publish(consumer, commit_after_s=0.0)
        finally:
            self._drop_all()
            self._joined = False
            consumer.close()

    def _give_up(self) -> bool:
        """Whether a stop has waited long enough for Kafka; asked by whoever waits for Kafka."""
        self._heartbeat.beat()  # to wait for Kafka is not to be stuck
        if self._stop_by_s is None and self._shutdown is not None and self._shutdown.requested:
            self._stop_by_s = time.monotonic() + _STOP_S
        return self._stop_by_s is not None and time.monotonic() > self._stop_by_s

    def _turn(self, consumer: LogConsumer, poll_s: float) -> bool:
        """Take in, publish; whether anything was heard of Kafka."""
        assignment = self._assignment
        messages = self._fetch(consumer, poll_s)
        for message in messages:
            error = message.error()
            if error is not None:
                self._failed(message, error)
                continue
            owned = self._owned.get(message.partition() or 0)
            if owned is not None:
                owned.state.handle(message, time.monotonic())
                self.summary.records += 1
        for number, owned in self._owned.items():
            self._quiet.look(consumer, number, owned.state)
        self._publish(consumer, commit_after_s=self._settings.commit_interval_s)
        self._hold_back(consumer)
        now_s = time.monotonic()
        for owned in self._owned.values():
            owned.session.serve()
            owned.state.show(now_s)
        return bool(messages) or assignment != self._assignment

    def _hold_back(self, consumer: LogConsumer) -> None:
        """Take nothing more in from a partition whose transaction was aborted, until one is committed.

        The loop goes on polling, which alone can say that the partition is being taken away.
        """
        for number, owned in self._owned.items():
            if owned.held_back != owned.state.has_pending:
                owned.held_back = owned.state.has_pending
                partition = [TopicPartition(self._names.raw, number)]
                (consumer.pause if owned.held_back else consumer.resume)(partition)

    def _fetch(self, consumer: LogConsumer, poll_s: float) -> list[Message]:
        """Wait for one record, then take what has been fetched ahead, a bounded number of bytes.

        One poll a record, because a rebalance can happen inside any of them: what was taken before it
        belongs to state that is gone, and will be read again by whoever owns the partition now.
        """
        messages: list[Message] = []
        size = 0
        assignment = self._assignment
        while size < _FETCH_BYTES and len(messages) < _FETCH_RECORDS:
            message = consumer.poll(0 if messages else poll_s)
            if assignment != self._assignment:
                assignment = self._assignment
                messages.clear()
            if message is None:
                break
            messages.append(message)
            size += len(message)
        return messages

    def _failed(self, message: Message, error: KafkaError) -> None:
        code = error.code()
        # librdkafka has one code for all fatal errors of a consumer; only the text says which.
        if code == KafkaError._FATAL and "group.instance.id" in error.str():  # noqa: SLF001
            raise self._name_taken()
        if code == KafkaError._FATAL or code in PERMANENT:  # noqa: SLF001
            raise GrouperError(explain(error))
        # Among them: retention overtook the position (_AUTO_OFFSET_RESET, said once, then silence), and a
        # transaction that waited for Kafka longer than max.poll.interval.ms.
        raise SessionLostError(message.partition() or 0, error)

    def _name_taken(self) -> GrouperError:
        return GrouperError(
            f"another grouper has joined {self._settings.consumer_group} as "
            f"{self._settings.group_instance_id!r}; give each its own TRAPLINE_GROUP_INSTANCE_ID"
        )

    def _publish(self, consumer: LogConsumer, commit_after_s: float) -> None:
        for owned in list(self._owned.values()):
            while True:
                publication = owned.state.publication(
                    self._settings.transaction_max_bytes, self._settings.transaction_max_groups
                ) or owned.state.progress(time.monotonic(), commit_after_s)
                if publication is None or not self._published(consumer, owned, publication):
                    break

    def _published(self, consumer: LogConsumer, owned: Owned, publication: Publication) -> bool:
        """Publish one transaction; False where it was aborted and is to be tried again next turn.

        It is not tried again at once: the cause may be that the partition is being taken away, which
        only the next fetch can say.
        """
        try:
            offsets = owned.session.publish(publication, owned.state.entries, consumer)
        except TransactionAbortedError as error:
            if error.cause.code() == KafkaError.FENCED_INSTANCE_ID:
                # The consumer will hear of it too, later. Tried again, the producer would be fenced as well,
                # and joining anew for that would take the name back: the two would do so in turn for ever.
                raise self._name_taken() from error
            log.warning("transaction aborted", partition=publication.partition, cause=error.cause.str())
            self._count_failure(publication.partition, error.cause)
            return False
        self._failures.pop(publication.partition, None)
        owned.state.published(publication, offsets)
        self.summary.transactions += 1
        first = [group for group in publication.groups if group.revision == FIRST_REVISION]
        self.summary.groups += len(first)
        self.summary.incomplete += sum(not group.complete for group in first)
        self.summary.repaired += len(publication.groups) - len(first)
        self.summary.rejects += len(publication.rejects)
        return True

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._drop_all()
        began_s = time.monotonic()
        numbers = [partition.partition for partition in partitions]
        taken = self._ownership.take_over_all(consumer, numbers, self._heartbeat.beat)
        for partition, (owned, position) in zip(partitions, taken, strict=True):
            partition.offset = position
            self._owned[partition.partition] = owned
        consumer.assign(partitions)
        self._failures.pop(None, None)
        self._joined = True
        metrics.PARTITIONS.set(len(self._owned))
        log.info(
            "partitions assigned",
            partitions=sorted(self._owned),
            took_s=round(time.monotonic() - began_s, 3),
        )

    def _revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Drop the state: what is closed and unpublished is not committed, and its next owner closes it."""
        log.info("partitions revoked", partitions=sorted(partition.partition for partition in partitions))
        self._drop_all()

    def _drop_all(self) -> None:
        for owned in self._owned.values():
            owned.close()
        self._owned.clear()
        self._assignment += 1
        metrics.PARTITIONS.set(0)
