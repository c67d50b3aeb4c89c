"""What the image servers say they sent, over all their lives."""

import json
from dataclasses import dataclass
from pathlib import Path

from schemas.timestamp import parse_key


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that went wholly into a client's connection."""

    timestamp_us: int
    source: str
    digest: str


class Truth:
    """The truth files of a round, one a life of the emulator.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, life: int) -> Path:
        return self._folder / f"truth-{life}.jsonl"

    def frames(self) -> list[Frame]:
        """So far; a line that a killed emulator was at is left out."""
        frames = []
        for path in sorted(self._folder.glob("truth-*.jsonl")):
            for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("\n"):
                    facts = json.loads(line)
                    if "fault" not in facts:
                        key = parse_key(facts["timestamp"].encode())
                        frames.append(Frame(key, facts["source"], facts["digest"]))
        return frames

    def timestamps(self) -> list[int]:
        """Of all frames, in order, each once."""
        return sorted({frame.timestamp_us for frame in self.frames()})
