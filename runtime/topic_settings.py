"""Settings of `trapline topics`."""

from pydantic import Field

from runtime.settings import ByteCount, TraplineSettings
from schemas.topics import CATALOGUE_RETENTION_BYTES, RETENTION_BYTES, RETENTION_MS


class TopicsSettings(TraplineSettings):
    """How the topics are made. Every figure of bytes is for one partition, as Kafka's own."""

    partitions: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="Partitions of each topic. Never grown in place: keys would move and groups split.",
    )
    replication_factor: int | None = Field(
        default=None, ge=1, le=32_767, description="Copies of each partition; default: the broker's."
    )
    retention_hours: float = Field(
        default=RETENTION_MS / 3_600_000,
        gt=0,
        description="Hours that raw, groups and rejects are kept, from arrival.",
    )
    retention_bytes: ByteCount = Field(
        default=RETENTION_BYTES,
        ge=1,
        description="Bytes that each partition of raw, groups and rejects keeps, however young.",
    )
    catalogue_retention_bytes: ByteCount = Field(
        default=CATALOGUE_RETENTION_BYTES,
        ge=1,
        description="Bytes of catalogue that each partition keeps, about 1 KB a group.",
    )
    grouper_group_id: str | None = Field(
        default=None,
        min_length=1,
        description="Kafka consumer group of the groupers (default: PREFIX.grouper), to start at the "
        "beginning of raw.",
    )

    @property
    def consumer_group(self) -> str:
        """The id of the groupers' consumer group."""
        return self.grouper_group_id or f"{self.topic_prefix}.grouper"
