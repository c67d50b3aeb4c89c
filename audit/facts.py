"""What the audit keeps of a record once its bytes are gone: small facts, no images."""

from dataclasses import dataclass

from audit.findings import FindingKind
from schemas.record_headers import ImageHeaders


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, before it is known where.

    Attributes:
        kind: what it is.
        detail: a sentence for people.
        source: whose window, where it is one.
    """

    kind: FindingKind
    detail: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class WindowFact:
    """A raw record.

    Attributes:
        offset: in raw.
        appended_ms: when Kafka took it, milliseconds since 1970; -1 where it does not say.
        timestamp_us: its header's ce_time; None where the headers cannot be read.
        source: its header's; None as above.
        digest: its header's, 16 bytes; None as above.
        digest_true: whether that is the digest of the record's value.
        pixels: XXH3-64 of the pixels in FITS order, little-endian; None where they were not looked at.
        problem: why it cannot be a member of a group.
    """

    offset: int
    appended_ms: int
    timestamp_us: int | None
    source: str | None
    digest: bytes | None
    digest_true: bool
    pixels: bytes | None
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class ImageFact:
    """A record of the groups topic whose headers can be read.

    Attributes:
        offset: in groups.
        headers: its headers.
        digest: the headers' digest, 16 bytes.
        pixels: XXH3-64 of the image's pixels, little-endian; None where they were not looked at.
        problems: of key, DATE-OBS, FITS file and checksums.
    """

    offset: int
    headers: ImageHeaders
    digest: bytes
    pixels: bytes | None
    problems: tuple[Problem, ...] = ()
