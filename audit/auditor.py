"""Reads the four topics beside each other, round by round, and keeps the books.

A round: the grouper's committed offsets; then where the topics end; then everything up to there. What
the commit says is handled must be visible by then, since one transaction carries both.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from audit import metrics
from audit.books import Books, Committed
from audit.findings import Finding, FindingKind
from audit.inspection import inspect_image, inspect_window
from audit.ledger import PartitionLedger
from audit.settings import AuditSettings
from audit.topic_reader import TopicReader
from runtime.kafka import (
    admin_client,
    begin_offsets,
    kafka_error,
    log_consumer,
    require_topic,
    topic_retention_ms,
    true_end_offsets,
)
from runtime.logs import get_logger
from runtime.message_headers import message_headers
from runtime.shutdown import Shutdown
from schemas.catalogue import CatalogueEntry, record_time_ms
from schemas.errors import OffsetMetadataError, RecordHeaderError, SchemaError
from schemas.header_fields import KafkaHeaders
from schemas.offset_metadata import OffsetMetadata
from schemas.record_headers import CatalogueHeaders, RejectHeaders
from schemas.timestamp import parse_key
from schemas.topics import RETENTION_MS

log = get_logger(__name__)

_QUERY_S = 30.0
_TOPICS = metrics.TOPICS  # raw first: where two are equally far, the cause is read before what came of it


class Auditor:
    """An audit of one set of topics. As a context manager, it lets go of Kafka at the end."""

    def __init__(
        self, settings: AuditSettings, on_finding: Callable[[Finding], None], *, pixels: bool = True
    ) -> None:
        """Connect.

        Args:
            settings: the auditor's settings.
            on_finding: told of each finding, as soon as it is certain.
            pixels: whether to compare pixels and FITS checksums.

        Raises:
            KafkaUnavailableError: Kafka did not answer, or refused.
            MissingTopicError: a topic does not exist.
        """
        metrics.touch()
        self._settings = settings
        self._pixels = pixels
        self._admin = admin_client(settings)
        names = settings.topics
        self._names = dict(
            zip(_TOPICS, (names.raw, names.catalogue, names.groups, names.rejects), strict=True)
        )
        counts = self._counts = self.require_topics()
        self._stack = ExitStack()
        # Reads the offsets of the groupers' consumer group without being one of its members. Uncommitted:
        # it gets what was committed last, where read_committed would wait for a dead grouper's transaction.
        self._offsets = log_consumer(
            settings, group_id=settings.consumer_group, isolation_level="read_uncommitted"
        )
        self._stack.callback(self._offsets.close)
        self._readers: dict[str, TopicReader] = {}
        for topic in _TOPICS:
            reader = TopicReader(
                settings,
                self._names[topic],
                fetch_bytes=settings.audit_fetch_bytes,
                stall_s=settings.audit_stall_s,
            )
            self._stack.callback(reader.close)
            self._readers[topic] = reader

        def found(finding: Finding) -> None:
            metrics.FINDINGS.labels(finding.kind.value).inc()
            on_finding(finding)

        self.books = Books(counts["raw"], found, settings.audit_remember)
        self.books.check_partitions(counts)
        self._started = False
        self._retention_ms: dict[str, int] = {}  # of topics, asked for once it matters

    def require_topics(self) -> dict[str, int]:
        """The partitions of each topic, by the topics' short names.

        Raises:
            KafkaUnavailableError: Kafka did not answer, or refused.
            AccessDeniedError: this user has no right on a topic.
            MissingTopicError: a topic does not exist.
        """
        return {topic: require_topic(self._admin, name) for topic, name in self._names.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, shutdown: Shutdown) -> None:
        """Audit what is there. What is published meanwhile is in progress.

        Raises:
            AuditError: a topic cannot be read to its end.
            KafkaException: Kafka did not answer, or refused.
        """
        # What waits at the end of the first round is judged in the second, and what that one's commit
        # has passed in the third; on a topic at rest they find nothing new to read.
        for _ in range(3):
            if not shutdown.requested:
                self.round(shutdown)

    def round(self, shutdown: Shutdown) -> None:
        """Read what is new and judge what is certain; a stop leaves it half done, and judges nothing.

        Raises:
            AuditError: a topic cannot be read to its end.
            KafkaException: Kafka did not answer, or refused.
        """
        committed = self._committed()
        partitions = range(self._counts["raw"])
        ends = {
            topic: true_end_offsets(
                self._admin, name, range(min(self._counts["raw"], self._counts[topic])), _QUERY_S
            )
            for topic, name in self._names.items()
        }
        self._look_at_begins()
        self.books.begin_round(committed, ends["raw"])
        for number in partitions:
            ledger = self.books.ledgers[number]
            wanted = {topic: ends[topic].get(number, 0) for topic in _TOPICS}
            wanted["raw"] = min(wanted["raw"], ledger.bounds.read_to)
            self._read_partition(ledger, wanted, shutdown)
            if shutdown.requested:
                return
        self._look_at_begins()
        self._look_at_retention()
        self.books.end_round()
        metrics.WAITING.set(sum(len(ledger.windows) for ledger in self.books.ledgers))

    def _committed(self) -> dict[int, Committed]:
        asked = [TopicPartition(self._names["raw"], number) for number in range(self._counts["raw"])]
        found = {}
        for at in self._offsets.committed(asked, timeout=_QUERY_S):
            read_to = waiting = None
            if at.metadata:
                try:
                    metadata = OffsetMetadata.decode(at.metadata)
                    read_to, waiting = metadata.read_to, metadata.waiting
                except OffsetMetadataError as error:
                    self.books.ledgers[at.partition].recorder.find(
                        FindingKind.OFFSETS, str(error), offsets=(("raw", at.offset),)
                    )
            found[at.partition] = Committed(at.offset if at.offset >= 0 else None, read_to, waiting)
        return found

    def _look_at_begins(self) -> None:
        """What retention has left."""
        for topic, name in self._names.items():
            numbers = range(min(self._counts["raw"], self._counts[topic]))
            for number, begin in begin_offsets(self._admin, name, numbers, _QUERY_S).items():
                ledger = self.books.ledgers[number]
                bounds = ledger.bounds
                if topic == "raw":
                    bounds.raw_begin = max(bounds.raw_begin, begin)
                    if not self._started:
                        ledger.windows.next_offset = begin
                elif topic == "groups":
                    bounds.groups_begin = max(bounds.groups_begin, begin)
                elif topic == "catalogue":
                    bounds.catalogue_cut = begin > 0
                else:
                    bounds.rejects_cut = begin > 0
                self._readers[topic].start_at(number, begin)
        self._started = True

    def _look_at_retention(self) -> None:
        """Since when a topic is kept of which nothing is left that says how old the rest is."""
        for ledger in self.books.ledgers:
            bounds = ledger.bounds
            if bounds.rejects_cut and bounds.oldest_reject_ms is None:
                bounds.rejects_kept_ms = self._kept_ms("rejects")
            if bounds.catalogue_cut and bounds.first_group is None:
                bounds.catalogue_kept_ms = self._kept_ms("catalogue")
            if bounds.groups_begin > 0 and bounds.oldest_group_ms is None:
                bounds.groups_kept_ms = self._kept_ms("groups")

    def _kept_ms(self, topic: str) -> int:
        """Since when a topic's records are kept, as its settings say, or as we would have set them."""
        if topic not in self._retention_ms:
            name = self._names[topic]
            try:
                self._retention_ms[topic] = topic_retention_ms(self._admin, name)
            except KafkaException as error:
                if kafka_error(error).code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise
                assumed = self._retention_ms[topic] = -1 if topic == "catalogue" else RETENTION_MS
                log.warning(
                    "how long a topic is kept is not known: this user lacks the right DESCRIBE_CONFIGS",
                    topic=name,
                    assumed="for ever" if assumed < 0 else f"{assumed / 3_600_000:g} hours",
                )
        retention_ms = self._retention_ms[topic]
        if retention_ms < 0:  # kept for ever
            return 0
        return time.time_ns() // 1_000_000 - retention_ms

    def _read_partition(self, ledger: PartitionLedger, ends: dict[str, int], shutdown: Shutdown) -> None:
        """Read the four topics in step, the one that is furthest behind first.

        How far a topic is, is said in raw offsets: of the records themselves, of an image's or a reject's
        raw record, or an entry's read_to. So little waits for its counterpart, however long the topics are.
        """
        for topic, reader in self._readers.items():
            reader.open(ledger.partition, ends[topic])
        at = dict.fromkeys(_TOPICS, 0)
        while not shutdown.requested:
            behind = [topic for topic in _TOPICS if not self._readers[topic].done]
            if not behind:
                return
            topic = min(behind, key=at.__getitem__)
            message = self._readers[topic].read()
            if message is not None:
                at[topic] = self._take(topic, ledger, message)

    def _take(self, topic: str, ledger: PartitionLedger, message: Message) -> int:
        """Give a record to its ledger; return how far it is, as a raw offset."""
        offset = message.offset() or 0
        value = message.value()
        _type, appended_ms = message.timestamp()
        metrics.RECORDS.labels(topic).inc()
        metrics.BYTES.labels(topic).inc(len(value or b""))
        headers = _headers(message)
        if topic == "raw":
            ledger.window(
                inspect_window(offset, appended_ms, message.key(), headers, value, pixels=self._pixels)
            )
            return offset + 1
        try:
            if topic == "groups":
                image = inspect_image(offset, message.key(), headers, value, pixels=self._pixels)
                ledger.image(appended_ms, image)
                return image.headers.raw_offset
            if topic == "catalogue":
                entry = CatalogueEntry.from_json(value)
                self._check_entry_key(ledger, message, entry, headers)
                ledger.entry(offset, entry)
                return entry.read_to
            reject = RejectHeaders.decode(headers)
            ledger.reject(offset, appended_ms, reject)
        except SchemaError as error:
            ledger.unreadable(topic, offset, str(error))
            return 0
        else:
            return reject.raw_offset or 0

    @staticmethod
    def _check_entry_key(
        ledger: PartitionLedger, message: Message, entry: CatalogueEntry, headers: KafkaHeaders | None
    ) -> None:
        named = CatalogueHeaders.decode(headers)
        times = {entry.timestamp_us, named.timestamp_us, parse_key(message.key() or b"")}
        if (
            len(times) > 1
            or named.group_id != entry.group_id
            or message.timestamp()[1] != record_time_ms(entry.timestamp_us)
        ):
            ledger.recorder.find(
                FindingKind.KEY,
                "the entry's key, headers, record time and value do not name one group and time",
                timestamp_us=entry.timestamp_us,
                offsets=(("catalogue", message.offset() or 0),),
            )


def _headers(message: Message) -> KafkaHeaders | None:
    """The headers of a record; none where the client cannot decode them, and then none is found there."""
    try:
        return message_headers(message)
    except RecordHeaderError:
        return None
