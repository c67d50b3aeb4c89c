"""The auditor's settings."""

from collections.abc import Iterator

from pydantic import Field

from runtime.settings import ByteCount, CrossProblem, TraplineSettings
from schemas.topics import TopicNames


class AuditSettings(TraplineSettings):
    """Settings of `trapline verify`, on top of those that every process has."""

    grouper_group_id: str | None = Field(
        default=None,
        min_length=1,
        description="Kafka consumer group of the groupers (default: PREFIX.grouper), whose committed offsets "
        "are held against what was published.",
    )
    raw_prefix: str | None = Field(
        default=None,
        description="First part of the name of the raw topic, for groups that `trapline regroup` made of "
        "another prefix's (default: PREFIX). Their position is then that of PREFIX.regroup.",
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

    def cross_problems(self) -> Iterator[CrossProblem]:
        """The prefix of raw has to make a legal topic name, too."""
        yield from super().cross_problems()
        if self.raw_prefix is not None:
            try:
                TopicNames(self.raw_prefix)
            except ValueError as error:
                yield CrossProblem(("raw_prefix",), str(error))

    @property
    def topics(self) -> TopicNames:
        """The names of the topics; raw's is that of the raw prefix."""
        return TopicNames(self.topic_prefix, self.raw_prefix)

    @property
    def consumer_group(self) -> str:
        """The id of the groupers' consumer group, or of the regrouping's."""
        if self.raw_prefix not in (None, self.topic_prefix):
            return f"{self.topic_prefix}.regroup"
        return self.grouper_group_id or f"{self.topic_prefix}.grouper"
