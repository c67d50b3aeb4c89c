"""What was grouped, in few bytes a window: it is kept for as long as repeats may come.

A group of 16 sources takes about 700 bytes, 45 a window, where Python objects would take 30 times that.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_HEAD: Final = struct.Struct("<HQ")  # revision, read_to
_MEMBER: Final = struct.Struct("<HQ16s8s")  # source's number, raw offset, digest, digest of the pixels
_NO_PIXELS: Final = bytes(8)


@dataclass(frozen=True, slots=True)
class PastMember:
    """A member of a group that was published.

    Attributes:
        source: whose window.
        raw_offset: of its frame.
        digest: of its frame, 16 bytes.
        pixels: XXH3-64 of its image's pixels; None where they were not looked at.
    """

    source: str
    raw_offset: int
    digest: bytes
    pixels: bytes | None


@dataclass(frozen=True, slots=True)
class PastGroup:
    """The latest revision of a group that was published.

    Attributes:
        revision: from 1.
        read_to: one past the highest raw offset handled when it was published, as far as is known.
        members: by source.
    """

    revision: int
    read_to: int
    members: dict[str, PastMember]


@dataclass(slots=True)
class History:
    """The groups of one partition by timestamp, the last `remember` of them.

    Attributes:
        remember: how many timestamps.
        forgotten_us: the latest timestamp that was forgotten; None: none was.
    """

    remember: int
    forgotten_us: int | None = None
    _groups: dict[int, bytes] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _sources: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, timestamp_us: int) -> bool:
        return timestamp_us in self._groups

    def put(self, timestamp_us: int, group: PastGroup) -> None:
        """Keep a group, in place of its earlier revision."""
        parts = [_HEAD.pack(group.revision & 0xFFFF, group.read_to)]
        parts += [
            _MEMBER.pack(self._number(m.source), m.raw_offset, m.digest, m.pixels or _NO_PIXELS)
            for m in group.members.values()
        ]
        self._groups[timestamp_us] = b"".join(parts)
        while len(self._groups) > self.remember:
            oldest_us = next(iter(self._groups))
            del self._groups[oldest_us]
            self.forgotten_us = max(oldest_us, self.forgotten_us or oldest_us)

    def get(self, timestamp_us: int) -> PastGroup | None:
        """What was published last with a timestamp."""
        packed = self._groups.get(timestamp_us)
        if packed is None:
            return None
        revision, read_to = _HEAD.unpack_from(packed)
        members = {}
        for number, raw_offset, digest, pixels in _MEMBER.iter_unpack(packed[_HEAD.size :]):
            source = self._sources[number]
            members[source] = PastMember(source, raw_offset, digest, None if pixels == _NO_PIXELS else pixels)
        return PastGroup(revision, read_to, members)

    def forgotten(self, timestamp_us: int) -> bool:
        """Whether a timestamp that is not here may have been."""
        return self.forgotten_us is not None and timestamp_us <= self.forgotten_us

    def presence(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Each timestamp and the sources that are there, in the order of publication."""
        for timestamp_us, packed in self._groups.items():
            members = _MEMBER.iter_unpack(packed[_HEAD.size :])
            yield timestamp_us, tuple(self._sources[member[0]] for member in members)

    def _number(self, source: str) -> int:
        number = self._numbers.get(source)
        if number is None:
            number = self._numbers[source] = len(self._sources)
            self._sources.append(source)
        return number
