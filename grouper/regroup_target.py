"""What a regrouping reads and writes: its topics, its range of raw, and its claim on the target.

The claim is part of the committed offset's metadata: where the range ends, and the rules. It is there before
the first group is, in a transaction of its own, so that a run that is killed goes on with the same range,
and nothing else goes on with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from grouper.entry_index import EntryIndex
from grouper.errors import GrouperError, NothingToRegroupError
from grouper.publication import Publication
from grouper.regroup_settings import RegroupSettings
from grouper.session import Session
from grouper.topics import check_written_topics
from runtime.errors import MissingTopicError
from runtime.kafka import (
    KafkaAdmin,
    LogConsumer,
    begin_offsets,
    partition_count,
    require_topic,
    true_end_offsets,
)
from schemas.errors import OffsetMetadataError
from schemas.offset_metadata import OffsetMetadata, RegroupRun

_QUERY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class RawRange:
    """Where a partition of raw began and ended when the regrouping started."""

    begin: int
    end: int


def find_ranges(admin: KafkaAdmin, settings: RegroupSettings) -> dict[int, RawRange]:
    """Look at the topics; return what raw holds, by partition.

    Raises:
        MissingTopicError: a topic does not exist.
        GrouperError: the topics have different numbers of partitions.
        NothingToRegroupError: raw has no record.
        TopicCheckError: the target would refuse or spoil records; names the setting and its value.
        KafkaUnavailableError, AccessDeniedError, KafkaException: Kafka did not answer, or refused.
    """
    names = settings.topics
    partitions = require_topic(admin, names.raw)
    create = f"`trapline topics create --topic-prefix {names.prefix} --partitions {partitions}`"
    counts = {names.raw: partitions}
    for topic in (names.groups, names.catalogue, names.rejects):
        count = partition_count(admin, topic)
        if count is None:
            raise MissingTopicError(f"topic {topic} does not exist; {create} makes it (--to-prefix)")
        counts[topic] = count
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{topic} {count}" for topic, count in counts.items())
        raise GrouperError(
            f"the topics have different numbers of partitions ({found}), and a group goes to its raw "
            f"partition's number. Say another --to-prefix, and make its topics with {create}, under that name"
        )
    check_written_topics(admin, settings)
    numbers = range(partitions)
    begins = begin_offsets(admin, names.raw, numbers)
    ends = true_end_offsets(admin, names.raw, numbers)
    if begins == ends:
        raise NothingToRegroupError(
            f"{names.raw} holds no record: nothing to regroup (or is TRAPLINE_TOPIC_PREFIX another one?)"
        )
    return {number: RawRange(begins[number], ends[number]) for number in numbers}


class Claim:
    """The claim on the target, partition by partition."""

    def __init__(self, settings: RegroupSettings, ranges: Mapping[int, RawRange]) -> None:
        self._settings = settings
        self._names = settings.topics
        self._rules = settings.rules_as_text
        self._ranges = ranges

    def make(self, consumer: LogConsumer, partition: int, session: Session) -> RegroupRun:
        """Make the claim where there is none, else look whether it is ours.

        Args:
            consumer: of the regrouping's consumer group.
            partition: of raw.
            session: of the partition: nobody else publishes into it any more.

        Raises:
            GrouperError: the target holds what is not of this regrouping.
            TransactionAbortedError, SessionLostError, KafkaException: Kafka was away.
        """
        run = self._made(consumer, partition)
        if run is None:
            self._require_empty(consumer, partition)
            at = self._ranges[partition]
            run = RegroupRun(at.end, self._rules)
            session.regroup = run
            session.publish(
                Publication(partition, (), (), at.begin, at.begin, {}, None), EntryIndex(), consumer
            )
        session.regroup = run
        return run

    def check(self, consumer: Consumer, partition: int, session: Session) -> None:
        """The same for a partition whose claim was made.

        Raises:
            GrouperError: it is gone, or somebody else's.
            KafkaException: Kafka was away.
        """
        run = self._made(consumer, partition)
        if run is None:
            raise GrouperError(f"the offsets of consumer group {self._settings.consumer_group} were deleted")
        session.regroup = run

    def _made(self, consumer: Consumer, partition: int) -> RegroupRun | None:
        """The claim that is there, if it is ours."""
        asked = [TopicPartition(self._names.raw, partition)]
        (committed,) = consumer.committed(asked, timeout=_QUERY_TIMEOUT_S)
        if committed.error is not None:
            raise KafkaException(committed.error)
        if committed.offset < 0:
            return None
        try:
            run = OffsetMetadata.decode(committed.metadata).regroup
        except OffsetMetadataError as error:
            raise self._foreign(str(error)) from error
        if run is None:
            raise self._foreign("a live grouper's offset")
        other = [
            f"{name} was {run.rules.get(name, 'not known')} and is {text}"
            for name, text in self._rules.items()
            if run.rules.get(name) != text
        ]
        if other:
            raise GrouperError(
                f"{self._names.prefix} holds groups made with other rules ({'; '.join(other)}). Say the "
                "same rules to go on with it, or another --to-prefix for these"
            )
        return run

    def _foreign(self, why: str) -> GrouperError:
        return GrouperError(
            f"the offset committed for consumer group {self._settings.consumer_group} is not of a regrouping "
            f"({why}); say another --to-prefix"
        )

    def _require_empty(self, consumer: LogConsumer, partition: int) -> None:
        for topic in (self._names.groups, self._names.catalogue, self._names.rejects):
            if true_end_offsets(consumer, topic, [partition])[partition] > 0:
                raise GrouperError(
                    f"{topic} [{partition}] is not empty, and not of this regrouping as far as Kafka knows "
                    "(a live grouper's, or the regrouping's offsets have expired). Groups made with other "
                    "rules go to topics of their own: say another --to-prefix"
                )
