"""The auditor's settings."""

from pydantic import Field

from runtime.settings import ByteCount, TraplineSettings


class AuditSettings(TraplineSettings):
    """Settings of `trapline verify`, on top of those that every process has."""

    grouper_group_id: str | None = Field(
        default=None,
        min_length=1,
        description="Kafka consumer group of the groupers (default: PREFIX.grouper), whose committed offsets "
        "are held against what was published.",
    )
    audit_remember: int = Field(
        default=1_000_000,
        ge=1,
        description="Timestamps of closed groups kept a partition, to know repeats by: about 45 bytes a "
        "window.",
    )
    audit_interval_s: float = Field(
        default=1.0, gt=0, le=3600, description="With --follow: seconds between looks at what is new."
    )
    audit_stall_s: float = Field(
        default=75.0,
        gt=0,
        description="Longest wait for a topic's end to become readable; a dead grouper's transaction hides "
        "it for up to its time-out (30 s).",
    )
    audit_fetch_bytes: ByteCount = Field(
        default=32 * 1024**2, ge=1024**2, description="Bytes of each topic fetched ahead."
    )

    @property
    def consumer_group(self) -> str:
        """The id of the groupers' consumer group."""
        return self.grouper_group_id or f"{self.topic_prefix}.grouper"
