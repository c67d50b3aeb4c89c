"""A record that a topic refuses: which topic, which of its settings, and the value that it needs.

The grouper looks at the topics when it starts. This is for what it could not see then: settings that it may
not read, or that were changed later.
"""

import re
from typing import Final

from confluent_kafka import KafkaError

from runtime.kafka import explain
from runtime.settings import TraplineSettings
from runtime.topic_check import set_command
from schemas.topics import topic_specs

_SETTINGS: Final[dict[int, tuple[str, ...]]] = {
    KafkaError.MSG_SIZE_TOO_LARGE: ("max.message.bytes",),
    KafkaError.RECORD_LIST_TOO_LARGE: ("max.message.bytes",),
    KafkaError.INVALID_TIMESTAMP: (
        "message.timestamp.type",
        "message.timestamp.before.max.ms",
        "message.timestamp.after.max.ms",
    ),
    KafkaError.INVALID_RECORD: ("cleanup.policy",),  # compacted: some of our records have no key
}
"""What a refusal can be due to; a topic is to have those that its spec names."""

_NAMED: Final = re.compile(r"topic (?P<topic>\S+): (?P<rest>.*)", re.DOTALL)


def naming_topic(error: KafkaError, topic: str) -> KafkaError:
    """A delivery report's error with the topic's name, where a topic's settings are behind it; else as it is.

    Kafka's own text names no topic, and by the time somebody reads the error nobody else can.
    """
    return _reworded(error, f"topic {topic}: {error.str()}") if error.code() in _SETTINGS else error


def naming_record(error: KafkaError, topic: str, value: bytes | None) -> KafkaError:
    """An error of producing itself with the record's size, where our own limit refused it; else as it is."""
    if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
        return error
    return _reworded(error, f"{len(value or b'')} bytes for {topic}: {error.str()}")


def _reworded(error: KafkaError, text: str) -> KafkaError:
    return KafkaError(error.code(), text, error.fatal(), error.retriable(), error.txn_requires_abort())


def explain_refusal(error: KafkaError, settings: TraplineSettings) -> str:
    """What an error means, and, where a topic refused a record, the settings that it has to have.

    Args:
        error: of the transaction; see `naming_topic`.
        settings: the topics' names, and how large a frame may be.
    """
    named = _NAMED.fullmatch(error.str())
    specs = topic_specs(settings.topics, max_frame_bytes=settings.max_frame_bytes)
    spec = next((each for each in specs if named and each.name == named["topic"]), None)
    wanted = {} if spec is None else spec.config
    config = {name: wanted[name] for name in _SETTINGS.get(error.code(), ()) if name in wanted}
    if named is None or spec is None or not config:
        return explain(error)
    needs = ", ".join(f"{name}={value}" for name, value in config.items())
    return (
        f"{spec.name} refuses a record ({error.name()}: {named['rest']}); with this grouper's settings it "
        f"needs {needs}: {set_command(spec.name, config)}"
    )
