"""Kafka clients: each setting of librdkafka that matters to us, in one place, with its reason.

The figures behind the reasons were measured with librdkafka 2.16 against Apache Kafka 4.3 and 4.4.
"""

from typing import Any, Literal

from runtime.acls import unnamed_group
from runtime.end_txn_log import DEBUG
from runtime.kafka_clients import KafkaAdmin, LogConsumer, LogProducer, answered
from runtime.kafka_errors import as_trapline_error, explain, kafka_error
from runtime.kafka_queries import (
    ask_within,
    begin_offsets,
    partition_count,
    require_kafka,
    require_topic,
    topic_retention_ms,
    true_end_offset,
    true_end_offsets,
)
from runtime.kafka_state import ClientState, OnError, OnStats
from runtime.settings import TraplineSettings
from schemas.topics import RECORD_HEADROOM

__all__ = [
    "ClientState",
    "KafkaAdmin",
    "LogConsumer",
    "LogProducer",
    "admin_client",
    "answered",
    "as_trapline_error",
    "ask_within",
    "begin_offsets",
    "explain",
    "kafka_error",
    "log_consumer",
    "partition_count",
    "raw_producer",
    "require_kafka",
    "require_topic",
    "topic_retention_ms",
    "transactional_producer",
    "true_end_offset",
    "true_end_offsets",
]

_RECEIVE_MARGIN_BYTES = 512  # librdkafka wants receive.message.max.bytes this much above fetch.max.bytes
_FETCH_MAX_BYTES = 50 * 1024**2  # librdkafka's default: more at once makes nothing faster
# Of one partition at a time. A larger record comes alone (KIP-74), so this bounds no record; it bounds what
# comes on top of a full queue. 16 MiB against 64 MiB: 55 MB less memory and a quarter less processor time.
_FETCH_PARTITION_BYTES = 16 * 1024**2
_MESSAGE_MAX_BYTES = 1_000_000  # its default of message.max.bytes, which a fetch may not be below
_TRANSACTION_QUEUE_BYTES = 256 * 1024**2


def max_record_bytes(settings: TraplineSettings) -> int:
    """The largest record that a client has to carry, in bytes."""
    return settings.max_frame_bytes + RECORD_HEADROOM


def admin_client(settings: TraplineSettings, *, on_error: OnError | None = None) -> KafkaAdmin:
    """A client for topics, offsets and consumer groups."""
    return KafkaAdmin(_common(settings), ClientState(on_error, quiet=True))


def raw_producer(
    settings: TraplineSettings,
    *,
    queue_bytes: int,
    on_error: OnError | None = None,
    on_stats: OnStats | None = None,
    stats_interval_s: float = 5.0,
) -> LogProducer:
    """The connector's producer: never drops a record, holds at most `queue_bytes` of them.

    A full queue is BufferError from `produce`: poll, and stop reading the sockets.
    """
    options = {
        **_common(settings),
        **_producer(settings, queue_bytes),
        # 0: for ever. A message time-out *drops* the record, and a frame that was read off a socket
        # cannot be asked for again. The bounded queue is what holds the connector back instead.
        "message.timeout.ms": 0,
    }
    return LogProducer(options, ClientState(on_error, on_stats), stats_interval_s)


def transactional_producer(
    settings: TraplineSettings,
    transactional_id: str,
    *,
    transaction_timeout_s: float = 30.0,
    queue_bytes: int = _TRANSACTION_QUEUE_BYTES,
) -> LogProducer:
    """The producer of one owned raw partition. `init_transactions()` is the caller's.

    Poll it also while it is idle: errors and log lines wait inside it until then.
    """
    timeout_ms = round(transaction_timeout_s * 1000)
    options = {
        **_common(settings),
        **_producer(settings, queue_bytes),
        # One id a partition, not a process: after kill -9 the next owner fences the dead one at once
        # (6.6 s instead of 34-38 s until a reader sees its groups), and a zombie's commit is refused.
        "transactional.id": transactional_id,
        # How long readers of the partition stand still behind the open transaction of a dead grouper.
        "transaction.timeout.ms": timeout_ms,
        # May not be longer than the transaction; a record that times out aborts it, and it is retried.
        "message.timeout.ms": timeout_ms,
        "debug": DEBUG,  # some 20 lines a transaction, which EndTxnLog hears and keeps to itself
    }
    return LogProducer(options, ClientState())


def log_consumer(
    settings: TraplineSettings,
    *,
    group_id: str | None,
    static_id: str | None = None,
    session_timeout_s: float = 6.0,
    max_poll_interval_s: float = 300.0,
    assignor: Literal["range", "roundrobin"] = "range",
    auto_offset_reset: Literal["error", "earliest", "latest"] = "error",
    isolation_level: Literal["read_committed", "read_uncommitted"] = "read_committed",
    enable_partition_eof: bool = False,
    queue_bytes: int = 64 * 1024**2,
    record_bytes: int | None = None,
    partition_fetch_bytes: int = _FETCH_PARTITION_BYTES,
    fetch_wait_ms: int = 500,
    on_error: OnError | None = None,
    on_stats: OnStats | None = None,
    stats_interval_s: float = 5.0,
) -> LogConsumer:
    """A consumer of whole records, in the caller's charge: it commits nothing by itself.

    Args:
        settings: where Kafka is.
        group_id: the consumer group; None for a reader that uses `assign` and commits nothing.
        static_id: the static member's name.
        session_timeout_s: seconds until a dead member's partitions go to another one.
        max_poll_interval_s: seconds between polls after which a living member counts as dead.
        assignor: an eager one: all partitions stop at each change, and nobody reads what another one
            has not let go of.
        auto_offset_reset: what to do without a valid position. 'latest' would lose records and
            'earliest' repeat them, so the default is an error event, once.
        isolation_level: 'read_uncommitted' also shows aborted and open transactions.
        enable_partition_eof: emit _PARTITION_EOF events; their offset passes control markers.
        queue_bytes: fetched ahead at most, over all partitions; one fetch, which has to hold the largest
            record, may come on top.
        record_bytes: the largest record, where it is not an image's: a topic of small records is then
            read in small fetches, so that looking at one of them does not fetch a window's worth.
        partition_fetch_bytes: fetched of one partition at a time; a larger record comes alone. Who looks at
            single records wants little else.
        fetch_wait_ms: how long a broker holds back its answer where there is nothing new. The default is
            librdkafka's; who reads up to the end and then stops hears of the end so much later.
        on_error: told of each error of the client.
        on_stats: gets librdkafka's statistics every `stats_interval_s`; only for a client that is
            polled all the time, since they wait inside it.
        stats_interval_s: see on_stats.
    """
    record_bytes = max_record_bytes(settings) if record_bytes is None else record_bytes
    fetch_bytes = max(record_bytes, min(queue_bytes, _FETCH_MAX_BYTES), _MESSAGE_MAX_BYTES)
    session_timeout_ms = round(session_timeout_s * 1000)
    options: dict[str, Any] = {
        **_common(settings),
        # librdkafka wants an id even where nobody joins a group.
        "group.id": group_id if group_id is not None else unnamed_group(settings.topic_prefix),
        # Under KIP-848's protocol a duplicate static member fences the newcomer until the session
        # ends: after kill -9 that is the wrong one.
        "group.protocol": "classic",
        "partition.assignment.strategy": assignor,
        "session.timeout.ms": session_timeout_ms,
        "heartbeat.interval.ms": min(3000, session_timeout_ms // 3),
        # Never below the session's time-out, which librdkafka would refuse.
        "max.poll.interval.ms": max(round(max_poll_interval_s * 1000), session_timeout_ms),
        "auto.offset.reset": auto_offset_reset,
        # Offsets are committed with what was done about the records, by whoever did it.
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": isolation_level,
        "check.crcs": True,  # the images are the science: a flipped bit must be an error
        "enable.partition.eof": enable_partition_eof,
        "fetch.message.max.bytes": min(record_bytes, partition_fetch_bytes),
        # The answer has to hold the largest record, and receive.message.max.bytes the answer.
        "fetch.max.bytes": fetch_bytes,
        "receive.message.max.bytes": fetch_bytes + _RECEIVE_MARGIN_BYTES,
        # A small queue keeps memory small, but at the default back-off of 1000 ms a full one reads
        # 36 MiB/s; at 20 ms, 467 MiB/s.
        "queued.max.messages.kbytes": max(queue_bytes // 1024, 1),
        "fetch.queue.backoff.ms": 20,
        "fetch.wait.max.ms": fetch_wait_ms,
        "allow.auto.create.topics": False,  # the broker's defaults are wrong for every topic of ours
    }
    if static_id is not None:
        options["group.instance.id"] = static_id
    state = ClientState(on_error, on_stats)
    return LogConsumer(
        options, state, lambda: admin_client(settings), stats_interval_s, joins=group_id is not None
    )


def _common(settings: TraplineSettings) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": "trapline",
        # A broker that restarts is back in seconds; the default of 10 s would triple the stall.
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        # A peer that vanished without a FIN (a firewall, a suspended machine) has to be noticed.
        "socket.keepalive.enable": True,
        "socket.nagle.disable": True,  # a small request must not wait for an acknowledgement
        **settings.kafka_security.client_options(),
    }


def _producer(settings: TraplineSettings, queue_bytes: int) -> dict[str, Any]:
    return {
        # No duplicates or reordering by the client's own retries; implies acks=all, written out because
        # it is the promise: acknowledged is on all replicas in sync.
        "enable.idempotence": True,
        "acks": "all",
        # Java's choice. librdkafka's default is CRC32: keys of other clients would land elsewhere.
        "partitioner": "murmur2_random",
        # Images fill a batch by themselves: waiting for more costs latency and gains nothing.
        "linger.ms": 0,
        # Noisy float32 does not compress: lz4 1.00, zstd 1.08.
        "compression.type": "none",
        "message.max.bytes": max_record_bytes(settings),  # the default of 1 MB refuses every image
        # Bytes are the bound. At 100,000 messages (the default), 64 x 64 windows would hit that first.
        "queue.buffering.max.kbytes": max(queue_bytes // 1024, 1),
        "queue.buffering.max.messages": 0,
    }
