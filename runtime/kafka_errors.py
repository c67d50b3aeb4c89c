"""What Kafka's errors mean for the person who runs us, and what helps."""

# ruff: noqa: SLF001  librdkafka's own error codes begin with an underscore

from confluent_kafka import KafkaError, KafkaException

from runtime.acls import rights_on
from runtime.errors import AccessDeniedError, KafkaUnavailableError, MissingTopicError
from runtime.kafka_rights import DENIED, missing_right
from schemas.errors import TraplineError

_UNREACHABLE = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._WAIT_COORD,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
    }
)

_LOGIN_FAILED = (
    "the login to Kafka failed; check TRAPLINE_SASL_MECHANISM, and the user name and password, or the OAuth "
    "client, that go with it"
)
_TLS_FAILED = (
    "the encrypted connection to Kafka failed; check TRAPLINE_SECURITY_PROTOCOL, TRAPLINE_SSL_CA_FILE and "
    "this client's certificate"
)
_SSL_FILES = {
    "ssl.key.location": (
        "this client's key can't be used; check TRAPLINE_SSL_KEY_FILE and its password, "
        "TRAPLINE_SSL_KEY_PASSWORD or TRAPLINE_SSL_KEY_PASSWORD_FILE"
    ),
    "ssl.certificate.location": (
        "this client's certificate can't be used; check TRAPLINE_SSL_CERTIFICATE_FILE, which has to be that "
        "of the key in TRAPLINE_SSL_KEY_FILE"
    ),
    "ssl.ca.location": "the authorities' certificates can't be used; check TRAPLINE_SSL_CA_FILE",
}
"""What librdkafka says of a file that it can't read when a client is made: '... NAME failed: ...'."""

# What happened; what helps.
_MEANINGS: dict[int, str] = {
    **dict.fromkeys(
        _UNREACHABLE,
        "Kafka does not answer; is it running, and is TRAPLINE_BOOTSTRAP_SERVERS right? A broker that wants "
        "TLS or a login does not answer a client that offers none, nor a broker without TLS one that wants "
        "it: TRAPLINE_SECURITY_PROTOCOL",
    ),
    KafkaError._AUTHENTICATION: _LOGIN_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED: _LOGIN_FAILED,
    KafkaError._SSL: _TLS_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (
        "this user may not use the topic; grant it READ to read it, or WRITE to publish to it (an ACL; "
        "`trapline topics acls` prints them)"
    ),
    KafkaError.GROUP_AUTHORIZATION_FAILED: (
        "this user may not use the consumer group; grant it READ on the group (an ACL; "
        "`trapline topics acls` prints them)"
    ),
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: (
        "this user may not write transactions; grant it WRITE on transactional ids that begin with the "
        "topic prefix (an ACL; `trapline topics acls` prints them)"
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "this user lacks a right on the cluster; grant it (an ACL)",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "the topic does not exist; `trapline topics create` makes it",
    KafkaError._UNKNOWN_TOPIC: "the topic does not exist; `trapline topics create` makes it",
    KafkaError._UNKNOWN_PARTITION: "the partition does not exist; `trapline topics check` compares them",
    KafkaError.MSG_SIZE_TOO_LARGE: (
        "a record is larger than the limit; raise TRAPLINE_MAX_FRAME_BYTES, and the topic's "
        "max.message.bytes to match (`trapline topics check` names the figure)"
    ),
    KafkaError.RECORD_LIST_TOO_LARGE: (
        "a batch is larger than the topic's max.message.bytes (`trapline topics check` names the figure)"
    ),
    KafkaError.INVALID_TIMESTAMP: (
        "the topic refuses the record's time; `trapline topics check` names the message.timestamp settings"
    ),
    KafkaError.INVALID_REPLICATION_FACTOR: (
        "there are fewer brokers than the replication factor asks for; lower --replication-factor "
        "(TRAPLINE_REPLICATION_FACTOR), or start more brokers"
    ),
    KafkaError.NOT_ENOUGH_REPLICAS: "too few replicas are in sync (min.insync.replicas); is a broker down?",
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: (
        "too few replicas are in sync (min.insync.replicas); is a broker down?"
    ),
    KafkaError.INVALID_TRANSACTION_TIMEOUT: (
        "the transaction time-out is above the broker's transaction.max.timeout.ms"
    ),
    KafkaError._FENCED: "another process has taken over this transactional id or this static member",
    KafkaError.FENCED_INSTANCE_ID: "another process has joined the consumer group under this static name",
    KafkaError.OFFSET_METADATA_TOO_LARGE: "the offset's metadata is above the broker's 4096 bytes",
}


def explain(error: KafkaError) -> str:
    """What an error means in words, Kafka's own text in brackets, and what helps."""
    right = missing_right(error)
    if right is not None:
        return (
            f"this user lacks the right {right[0]} ({error.name()}: {right[1]}); grant it (an ACL; "
            "`trapline topics acls` prints them)"
        )
    meaning = _MEANINGS.get(error.code(), "Kafka reports an error")
    if error.code() == KafkaError._TRANSPORT and "SSL routines" in error.str():
        meaning = (
            _TLS_FAILED  # TLS 1.3 refuses a client after the handshake, which looks like a lost connection
        )
    for name, of_file in _SSL_FILES.items():
        if error.code() == KafkaError._INVALID_ARG and f"{name} failed" in error.str():
            meaning = of_file
    what, semicolon, help_ = meaning.partition("; ")
    return f"{what} ({error.name()}: {error.str()}){semicolon}{help_}"


def is_away(error: KafkaError) -> bool:
    """Whether no broker answered, which may pass."""
    return error.code() in _UNREACHABLE


def kafka_error(error: KafkaException) -> KafkaError:
    """The KafkaError that an exception carries."""
    cause = error.args[0] if error.args else None
    return cause if isinstance(cause, KafkaError) else KafkaError(KafkaError._FAIL, str(error))


def as_trapline_error(error: KafkaException, topic: str | None = None) -> TraplineError:
    """The exception as one of ours, with words that help.

    Args:
        error: what confluent-kafka raised.
        topic: the topic concerned, if there is one.
    """
    cause = kafka_error(error)
    if cause.code() in DENIED:
        return AccessDeniedError(_denied(cause, topic))
    text = f"{topic}: {explain(cause)}" if topic else explain(cause)
    if cause.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
        return MissingTopicError(text)
    return KafkaUnavailableError(text)


def _denied(error: KafkaError, topic: str | None) -> str:
    """Where no client has named the right, at least who needs which one on this topic."""
    needed = "" if topic is None else rights_on(topic)
    if error.code() != KafkaError.TOPIC_AUTHORIZATION_FAILED or missing_right(error) or not needed:
        return f"{topic}: {explain(error)}" if topic else explain(error)
    return (
        f"{topic}: this user may not use the topic ({error.name()}: {error.str()}); grant it the right that "
        f"it needs as {needed} (an ACL; `trapline topics acls` prints them)"
    )
