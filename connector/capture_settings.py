"""The settings of `trapline capture`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from connector.reading_keys import ReadingKeys
from runtime.settings import ByteCount, CommandLine, CrossProblem, ProcessSettings
from schemas.source import ServerSource


class CaptureSettings(ReadingKeys, ProcessSettings):
    """Settings of `trapline capture`: how servers are read, as the connector does, and where frames go."""

    capture_output: Annotated[Path | None, CommandLine(option="--output", metavar="DIR")] = Field(
        default=None,
        description="Folder for the recording: a folder a source in it, of that name. What is there stays.",
    )
    capture_s: Annotated[float | None, CommandLine(option="--seconds")] = Field(
        default=None, gt=0, description="Seconds to record; without it, until Ctrl-C."
    )
    capture_frames: Annotated[int | None, CommandLine(option="--frames")] = Field(
        default=None, ge=1, description="Frames of each source to record; without it, until Ctrl-C."
    )
    capture_segment_bytes: Annotated[ByteCount, CommandLine(option="--segment-bytes", metavar="BYTES")] = (
        Field(
            default=256 * 1024**2,
            ge=1,
            description="Bytes after which a new file is begun; a larger frame has a file of its own.",
        )
    )

    @property
    def servers(self) -> tuple[ServerSource, ...]:
        """The sources."""
        return tuple(source for source in self.sources if isinstance(source, ServerSource))

    def cross_problems(self) -> Iterator[CrossProblem]:
        """There have to be servers, and a place for what they send."""
        yield from super().cross_problems()
        yield from self.reading_problems()
        files = [source.name for source in self.sources if not isinstance(source, ServerSource)]
        if files:
            yield CrossProblem(
                ("sources",),
                f"{', '.join(files)}: what is recorded is a server, tcp://HOST:PORT; this is a file",
            )
        if self.capture_output is None:
            yield CrossProblem(
                ("capture_output",), "is not set; --output DIR, or TRAPLINE_CAPTURE_OUTPUT=DIR"
            )
        elif not str(self.capture_output.absolute()).isprintable():
            yield CrossProblem(
                ("capture_output",), "has a character that can't be printed; no file:// URL could name it"
            )
