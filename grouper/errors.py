"""What can end a transaction, and what the grouper does about each (ARCHITECTURE.md, invariants 8, 9, 11)."""

# ruff: noqa: SLF001  librdkafka's own error codes begin with an underscore

from confluent_kafka import KafkaError

from schemas.errors import TraplineError


class GrouperError(TraplineError):
    """The grouper cannot go on, and says why and what to do."""


class NothingToRegroupError(GrouperError):
    """Raw has no record.

    Attributes:
        exit_status: what a command ends with.
    """

    exit_status = 3


class TransactionAbortedError(GrouperError):
    """The transaction was aborted; nothing of it is visible. The owner of the partition may retry."""

    def __init__(self, partition: int, cause: KafkaError) -> None:
        super().__init__(f"transaction of partition {partition} aborted: {cause.str()}")
        self.cause = cause


class SessionLostError(GrouperError):
    """The producer can't go on (fenced, or its state is unknown). Its partition's state must be read anew."""

    def __init__(self, partition: int, cause: KafkaError | str) -> None:
        reason = cause if isinstance(cause, str) else cause.str()
        super().__init__(f"the transactional producer of partition {partition} is lost: {reason}")
        self.partition = partition
        self.cause = cause


class RawGoneError(GrouperError):
    """A window that was grouped can't be read again from raw."""


# Errors that come back with every retry: a setting or a right is wrong.
PERMANENT = frozenset(
    {
        KafkaError.OFFSET_METADATA_TOO_LARGE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError.POLICY_VIOLATION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
