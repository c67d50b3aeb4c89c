"""The connector's settings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from connector.reading_keys import ReadingKeys
from connector.share import ShareSetting
from runtime.settings import ByteCount, CrossProblem, TraplineSettings
from schemas.source import ServerSource, Source
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

    spool: Literal["off", "overflow", "through"] = Field(
        default="off",
        description="What goes to disk. overflow: what the queue has no room for, with Kafka slow or away. "
        "through: every frame, before Kafka's client gets it; none is lost with the process.",
    )
    spool_dir: Path | None = Field(
        default=None, description="Folder of the spool, of this connector alone; made if it is not there."
    )
    spool_max_bytes: ByteCount = Field(
        default=20 * 1024**3,
        ge=1,
        description="What the spool may take on disk, over all sources. When it is full, nothing is read "
        "from the image servers, and nothing is discarded.",
    )
    spool_segment_bytes: ByteCount = Field(
        default=64 * 1024**2,
        ge=4096,
        description="A file of the spool this large is not added to. Files are deleted whole, once Kafka has "
        "acknowledged all that is in them; so much of a source may be sent twice after a kill.",
    )
    fsync: bool = Field(
        default=False,
        description="Have each frame of the spool on the medium before it goes on, so that none is lost in a "
        "power cut either.",
    )

    share: ShareSetting = Field(
        default=None,
        description="Which of several connectors with the same sources this is, from 0: each reads its share "
        "of them. Without it this connector reads all.",
    )
    share_copies: int = Field(
        default=1,
        ge=1,
        le=16,
        description="How many of these connectors read each share; 2: a redundant pair. Groupers then need "
        "reorder_grace_s.",
    )

    @property
    def own_sources(self) -> tuple[Source, ...]:
        """The sources that this connector reads."""
        if self.share is None or self.share.connectors % self.share_copies:
            return self.sources
        return self.share.of(self.sources, copies=self.share_copies)

    @property
    def spool_reserve_bytes(self) -> int:
        """What the frames that are being read may take in the spool: one of the largest size a server."""
        servers = sum(isinstance(source, ServerSource) for source in self.own_sources)
        return servers * (self.max_frame_bytes + RECORD_HEADROOM)

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
        yield from self._share_problems()
        yield from self._spool_problems()

    def _share_problems(self) -> Iterator[CrossProblem]:
        """Each connector has to get something to read."""
        if self.share is None:
            if self.share_copies > 1:
                yield CrossProblem(("share_copies", "share"), "is about shares, and there is none (share)")
            return
        shares, odd = divmod(self.share.connectors, self.share_copies)
        if odd:
            yield CrossProblem(
                ("share", "share_copies"),
                f"is of {self.share.connectors} connectors, which is no multiple of share_copies "
                f"({self.share_copies})",
            )
        elif shares > len(self.sources) > 0:
            yield CrossProblem(
                ("share", "share_copies", "sources"),
                f"makes {shares} shares of {len(self.sources)} sources, so some connectors would read "
                "nothing",
            )

    def _spool_problems(self) -> Iterator[CrossProblem]:
        if self.spool == "off":
            if self.fsync:
                yield CrossProblem(("fsync", "spool"), "is about the spool, which is off (spool)")
            return
        if self.spool_dir is None:
            yield CrossProblem(("spool_dir", "spool"), f"is missing: spool={self.spool} needs a folder")
        if self.spool_max_bytes < self.spool_reserve_bytes:
            yield CrossProblem(
                ("spool_max_bytes", "max_frame_bytes", "sources"),
                f"should be at least {self.spool_reserve_bytes}, to hold one frame of max_frame_bytes "
                f"({self.max_frame_bytes}) of each image server; or lower max_frame_bytes",
            )
        if self.spool_segment_bytes > self.spool_max_bytes:
            yield CrossProblem(
                ("spool_segment_bytes", "spool_max_bytes"),
                f"is above spool_max_bytes ({self.spool_max_bytes})",
            )
