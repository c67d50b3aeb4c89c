"""The truth file: what was really sent, for others to be measured against."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self

import xxhash

from emulator.errors import EmulatorError
from emulator.frame import OutgoingFrame
from schemas.digest import DIGEST_PREFIX
from schemas.timestamp import format_timestamp


def outgoing_digest(frame: OutgoingFrame) -> str:
    """schemas.digest.frame_digest of the frame's bytes, without putting them together in memory first."""
    state = xxhash.xxh3_128(frame.header)
    state.update(frame.text)
    state.update(frame.pixels)
    return DIGEST_PREFIX + state.hexdigest()


class TruthFile:
    """JSON lines, one a frame that went wholly into a client's connection; each line is flushed.

    Keys: timestamp, source, digest, frequency_hz, bytes, sent_at; `fault` where no receiver can make an
    image of it, or where it repeats an image; `oddity` where a good frame was sent in an unusual way.
    A process that is killed loses the line it was writing and no other.

    Args:
        path: written anew.

    Raises:
        EmulatorError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise EmulatorError(
                f"cannot write the truth file {path}: {error.strerror}; choose another --truth"
            ) from error

    def write(self, frame: OutgoingFrame, sent_at_us: int) -> None:
        """Add the line of a frame."""
        line: dict[str, str | int | float | None] = {
            "timestamp": format_timestamp(frame.timestamp_us),
            "source": frame.source,
            "digest": outgoing_digest(frame),
            "frequency_hz": frame.frequency_hz,
            "bytes": frame.nbytes,
            "sent_at": format_timestamp(sent_at_us),
        }
        if frame.fault is not None:
            line["fault"] = frame.fault
        if frame.oddity is not None:
            line["oddity"] = frame.oddity
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
