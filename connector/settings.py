"""The connector's settings."""

from collections.abc import Iterator

from pydantic import Field

from connector.reading_keys import ReadingKeys
from runtime.settings import ByteCount, CrossProblem, TraplineSettings
from schemas.topics import RECORD_HEADROOM


class ConnectorSettings(ReadingKeys, TraplineSettings):
    """Settings of `trapline connector`, on top of those that every process has."""

    max_future_s: float = Field(
        default=300.0,
        ge=0,
        description="Seconds that DATE-OBS may be ahead of this machine's clock; frames further ahead are "
        "rejected, since one would close the groups of all others.",
    )
    queue_max_bytes: ByteCount = Field(
        default=1024**3,
        ge=1,
        le=2**31 * 1024 - 1024,
        description="Bytes of frames in memory that Kafka has not acknowledged. When it is full, nothing is "
        "read from the image servers, and nothing is discarded.",
    )
    flush_timeout_s: float = Field(
        default=20.0,
        ge=0,
        description="Seconds that a stop waits for Kafka to acknowledge what was read.",
    )

    def cross_problems(self) -> Iterator[CrossProblem]:
        """There has to be a source, and each bound has to hold what it bounds."""
        yield from super().cross_problems()
        yield from self.reading_problems()
        least = self.max_frame_bytes + RECORD_HEADROOM
        if self.queue_max_bytes < least:
            yield CrossProblem(
                ("queue_max_bytes", "max_frame_bytes"),
                f"should be at least {least}, to hold one frame of max_frame_bytes ({self.max_frame_bytes}); "
                "or lower max_frame_bytes",
            )
