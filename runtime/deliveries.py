"""The delivery reports of records that belong together, such as one step of a transaction."""

from typing import cast

from confluent_kafka import KafkaError, Message


class Deliveries:
    """Collects delivery reports, in the order in which Kafka acknowledged the records.

    Attributes:
        offsets: of the records that were acknowledged.
        partition: of the last one of them; -1 before that.
        error: of the first one that was not,
        refused_by: and the topic that it was meant for.
    """

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.partition = -1
        self.error: KafkaError | None = None
        self.refused_by = ""

    def __call__(self, error: KafkaError | None, message: Message) -> None:
        """Take a delivery report; an offset below 0 means that the broker did not say."""
        offset = message.offset()
        if error is None and (offset is None or offset < 0):
            error = KafkaError(KafkaError._BAD_MSG, "delivery report without an offset")  # noqa: SLF001
        if error is not None:
            if self.error is None:
                self.error, self.refused_by = error, message.topic() or ""
        elif offset is not None:
            self.offsets.append(offset)
            self.partition = cast("int", message.partition())  # what was acknowledged has one
