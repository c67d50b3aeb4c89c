"""Errors of missing rights (ACLs), with the right and the resource that Kafka's own text leaves out.

Kafka says 'Topic authorization failed' and no more. The client that made the request knows of which
topic, and whether it wanted to read or to write, so it writes that into the error where it arises;
`runtime.kafka_errors` makes a sentence of it.
"""

import re
from typing import Final

from confluent_kafka import KafkaError

DENIED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
"""Kafka knows who we are and refuses what we ask for."""

_NAMED: Final = re.compile(
    r"(?P<right>[A-Z_]+ on (?:topic|consumer group|transactional id) \S+): (?P<rest>.*)"
)


def named(error: KafkaError, right: str) -> KafkaError:
    """The same error with the missing right, e.g. 'READ on topic aartfaac.raw'; others as they are."""
    if error.code() not in DENIED or missing_right(error) is not None:
        return error
    return KafkaError(
        error.code(),
        f"{right}: {error.str()}",
        error.fatal(),
        error.retriable(),
        error.txn_requires_abort(),
    )


def missing_right(error: KafkaError) -> tuple[str, str] | None:
    """The right that `named` wrote into an error, and Kafka's own text; None where none was."""
    match = _NAMED.fullmatch(error.str())
    return None if match is None else (match["right"], match["rest"])
