"""Settings of `trapline status`."""

from pydantic import Field

from consumer.settings import ConsumerSettings


class StatusSettings(ConsumerSettings):
    """Where Kafka is, and whose positions are those of the groupers."""

    grouper_group_id: str | None = Field(
        default=None,
        min_length=1,
        description="Kafka consumer group of the groupers (default: PREFIX.grouper).",
    )

    @property
    def consumer_group(self) -> str:
        """The id of the groupers' consumer group."""
        return self.grouper_group_id or f"{self.topic_prefix}.grouper"
