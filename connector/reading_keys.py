"""Settings of reading image servers, for the two processes that do: connector and capture."""

from collections.abc import Iterator
from typing import Final

from pydantic import Field

from runtime.settings import ByteCount, CrossProblem, SourceKeys
from schemas.frame import FrameLimits
from schemas.source import FileSource, Source
from schemas.topics import RECORD_HEADROOM

# What a decoder (FrameDecoder) holds at most: a frame that was cut off, the true ones that were inside it,
# and what is not judged yet.
_FRAMES_READ: Final = 2
DECODER_BYTES: Final = 3 * 1024**2


class ReadingKeys(SourceKeys):
    """How an image server is connected and its stream is read."""

    connect_timeout_s: float = Field(
        default=5.0, gt=0, le=300, description="Seconds that an image server has to accept a connection."
    )
    reconnect_min_s: float = Field(
        default=0.5,
        gt=0,
        description="Least seconds until a lost image server is tried again; a random wait that grows with "
        "each failure and starts anew after a good frame.",
    )
    reconnect_max_s: float = Field(
        default=15.0, gt=0, le=3600, description="Most seconds until a lost image server is tried again."
    )
    stall_timeout_s: float = Field(
        default=10.0,
        gt=0,
        description="Seconds without a byte inside a frame after which the connection is given up. Between "
        "frames a server may be silent for ever.",
    )
    max_frame_time_s: float = Field(
        default=60.0,
        gt=0,
        description="Seconds that a frame may take from its first byte to its last, however steadily it "
        "drips; then the connection is given up.",
    )
    silence_warning_s: float = Field(
        default=30.0,
        gt=0,
        description="Seconds without a byte after which a connected source is shown as silent: a log line "
        "and a metric, nothing else.",
    )
    max_resync_bytes: ByteCount = Field(
        default=128 * 1024**2,
        ge=1,
        description="Bytes without the beginning of a frame after which the connection is given up.",
    )
    max_reject_bytes: ByteCount = Field(
        default=64 * 1024,
        ge=1,
        le=RECORD_HEADROOM // 2,  # so that it fits into the topic, however small frames are
        description="Bytes kept in the rejects topic of those that belong to no frame.",
    )

    reading_max_bytes: ByteCount = Field(
        default=4 * 1024**3,
        ge=1,
        description="Bytes that the frames being read may take, all sources together: each may have two of "
        "max_frame_bytes in memory at the worst. With too many sources for it, the start is refused.",
    )

    @property
    def frame_limits(self) -> FrameLimits:
        """What a frame may claim, as the decoder takes it."""
        return FrameLimits(
            max_fits_bytes=min(FrameLimits().max_fits_bytes, self.max_frame_bytes),
            max_frame_bytes=self.max_frame_bytes,
            max_resync_bytes=self.max_resync_bytes,
            max_reject_bytes=self.max_reject_bytes,
        )

    @property
    def own_sources(self) -> tuple[Source, ...]:
        """The sources that this process reads: all, unless they are shared out."""
        return self.sources

    def reading_problems(self) -> Iterator[CrossProblem]:
        """There has to be a source, and what is waited for has to be able to come."""
        if not self.sources:
            yield CrossProblem(
                ("sources",),
                "names no source; --source NAME=tcp://HOST:PORT, or TRAPLINE_SOURCES=NAME=URL,...",
            )
        yield from self._memory_problems()
        if self.reconnect_min_s > self.reconnect_max_s:
            yield CrossProblem(
                ("reconnect_min_s", "reconnect_max_s"), f"is above reconnect_max_s ({self.reconnect_max_s:g})"
            )
        if self.stall_timeout_s > self.max_frame_time_s:
            yield CrossProblem(
                ("stall_timeout_s", "max_frame_time_s"),
                f"is above max_frame_time_s ({self.max_frame_time_s:g}), which would come first",
            )

    def _memory_problems(self) -> Iterator[CrossProblem]:
        """A bound at run time could only stop sources, and one that drips would hold up all others."""
        files = sum(isinstance(source, FileSource) for source in self.own_sources)
        held = files if files > 1 else 0  # a frame each, to hand them over in order (FileOrder)
        most = (len(self.own_sources) * _FRAMES_READ + held) * (self.max_frame_bytes + DECODER_BYTES)
        if most > self.reading_max_bytes:
            yield CrossProblem(
                ("reading_max_bytes", "max_frame_bytes", "sources"),
                f"is less than the {most} bytes that {len(self.own_sources)} sources may take while frames "
                f"of up to max_frame_bytes ({self.max_frame_bytes}) are read; lower max_frame_bytes to what "
                "an image has, or raise reading_max_bytes if the memory is there",
            )
