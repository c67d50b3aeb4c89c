"""The grouper's settings."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from grouper.rules import Rules
from runtime.settings import ByteCount, CrossProblem, TraplineSettings

REMEMBERED_PER_OPEN_GROUP = 4  # docs/decisions/0003-grouper-state.md: what is forgotten can be grouped again


class GrouperSettings(TraplineSettings):
    """Settings of `trapline grouper`, on top of those that every process has."""

    grouper_group_id: str | None = Field(
        default=None,
        min_length=1,
        description="Kafka consumer group of the groupers (default: PREFIX.grouper). Groupers with the same "
        "one share the partitions of raw.",
    )
    group_instance_id: str | None = Field(
        default=None,
        min_length=1,
        description="Static member name of this grouper in its consumer group, e.g. the pod's name: a "
        "restart within the session time-out keeps its partitions.",
    )
    session_timeout_s: float = Field(
        default=6.0, ge=1, le=300, description="Seconds until a dead grouper's partitions go to another one."
    )
    grace_s: float = Field(
        default=5.0,
        gt=0,
        le=86_400,
        description="Seconds of log time that a group waits for a missing source.",
    )
    reorder_grace_s: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="Seconds of log time that a group still waits for a source that has moved on. With two "
        "connectors on the same sources: how far one may be behind the other.",
    )
    silent_after: int = Field(
        default=3, ge=1, description="Groups in a row without a source until it is not waited for."
    )
    expected: Literal["sources", "auto"] = Field(
        default="sources",
        description="Who makes a group complete: the names in `sources`; or auto: members of any of the last "
        "20 groups, and those seen since.",
    )
    remember: int = Field(
        default=100_000, ge=1_000, description="Closed timestamps remembered a partition, to know repeats by."
    )
    older: Literal["reject", "group"] = Field(
        default="reject",
        description="What becomes of a window older than anything remembered: rejected, or grouped.",
    )
    late: Literal["reject", "repair"] = Field(
        default="reject",
        description="What becomes of a window whose group is published without it: rejected; or the group is "
        "published again with it, as the next revision.",
    )
    max_open_groups: int = Field(
        default=256, ge=1, description="Groups open at the same time a partition; then the oldest closes."
    )
    max_open_bytes: ByteCount = Field(
        default=2 * 1024**3, ge=1, description="Bytes of images in open groups a partition; as above."
    )
    transaction_max_bytes: ByteCount = Field(
        default=64 * 1024**2,
        ge=1,
        description="Bytes of images after which a transaction takes no more groups.",
    )
    transaction_max_groups: int = Field(
        default=500, ge=1, description="Groups after which a transaction takes no more."
    )
    transaction_timeout_s: float = Field(
        default=30.0,
        ge=10,
        le=900,
        description="Seconds until the broker aborts a dead grouper's transaction. Until then no reader "
        "sees anything that was published after it.",
    )
    commit_interval_s: float = Field(
        default=5.0, gt=0, description="Seconds between commits of the read position where no group closes."
    )
    fetch_buffer_bytes: ByteCount = Field(
        default=64 * 1024**2, ge=1024**2, description="Bytes of raw records fetched ahead."
    )

    def cross_problems(self) -> Iterator[CrossProblem]:
        """The grouper has to know which sources make a group complete."""
        yield from super().cross_problems()
        if self.expected == "sources" and not self.sources:
            yield CrossProblem(
                ("sources",),
                "names no source, so no group could be complete; TRAPLINE_SOURCES=NAME=URL,... as for the "
                "connector, or TRAPLINE_EXPECTED=auto to expect whoever was in the last groups",
            )
        if self.reorder_grace_s >= self.grace_s:
            yield CrossProblem(
                ("reorder_grace_s", "grace_s"),
                f"is {self.reorder_grace_s:g} and grace_s {self.grace_s:g}: grace would close every group "
                "before a source that has moved on counts; set grace_s above it",
            )
        if self.remember < REMEMBERED_PER_OPEN_GROUP * self.max_open_groups:
            yield CrossProblem(
                ("remember", "max_open_groups"),
                f"is less than {REMEMBERED_PER_OPEN_GROUP} times max_open_groups: a timestamp could be "
                "forgotten while windows of its time are still on their way, and be published twice",
            )

    @property
    def consumer_group(self) -> str:
        """The consumer group's id."""
        return self.grouper_group_id or f"{self.topic_prefix}.grouper"

    @property
    def rules(self) -> Rules:
        """The rules of grouping, as the assembler takes them."""
        return Rules(
            expected=None if self.expected == "auto" else tuple(source.name for source in self.sources),
            grace_s=self.grace_s,
            reorder_grace_s=self.reorder_grace_s,
            silent_after=self.silent_after,
            max_open_groups=self.max_open_groups,
            max_open_bytes=self.max_open_bytes,
            group_older=self.older == "group",
            repair_late=self.late == "repair",
        )
