"""The headers of a record that was consumed, where the client cannot decode them too."""

from operator import methodcaller
from typing import Final, cast

from confluent_kafka import Message

from schemas.errors import RecordHeaderError
from schemas.header_fields import KafkaHeaders

# Called through C, which looks whether an exception was set. Message.headers() of confluent-kafka sets one
# for a name that is no UTF-8 and returns a list all the same, with a hole in it that must not be touched;
# called from Python code, the interpreter notices at the first calls only, and later hands out the list.
_call_headers: Final = methodcaller("headers")


def message_headers(message: Message) -> KafkaHeaders | None:
    """The headers of a record; None where it has none. Never call `Message.headers` itself.

    Raises:
        RecordHeaderError: the name of one is no UTF-8. Kafka takes any bytes for it.
    """
    try:
        return cast("KafkaHeaders | None", _call_headers(message))
    except (SystemError, UnicodeDecodeError) as error:
        raise RecordHeaderError("the record has a header whose name is no UTF-8") from error
