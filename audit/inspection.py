"""From a record's bytes to its facts: each digest, checksum and pixel is looked at once, here."""

import re
from typing import Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from audit.facts import ImageFact, Problem, WindowFact
from audit.findings import FindingKind
from schemas.cards import CARD_SIZE, Cards
from schemas.digest import DIGEST_PREFIX, frame_digest
from schemas.errors import SchemaError
from schemas.fits_checksum import block_sum, ones_complement_sum
from schemas.fits_image import FITS_BLOCK, decode_image
from schemas.header_fields import KafkaHeaders
from schemas.record_headers import ImageHeaders, RawHeaders
from schemas.timestamp import format_timestamp, parse_key
from schemas.window import decode_window, window_timestamp

_ALL_ONES: Final = 2**32 - 1
_DATASUM: Final = re.compile(r"\d{1,10}", re.ASCII)


def digest_bytes(digest: str) -> bytes:
    """A digest as schemas writes it, as its 16 bytes."""
    return bytes.fromhex(digest.removeprefix(DIGEST_PREFIX))


def inspect_window(
    offset: int,
    appended_ms: int,
    key: bytes | None,
    headers: KafkaHeaders | None,
    value: bytes | None,
    *,
    pixels: bool,
) -> WindowFact:
    """The facts of a raw record, whatever it is.

    Args:
        offset: in raw.
        appended_ms: when Kafka took it, milliseconds since 1970.
        key: of the record.
        headers: of the record.
        value: of the record: a frame.
        pixels: whether to look at its pixels.
    """
    frame = value or b""
    try:
        raw = RawHeaders.decode(headers)
    except SchemaError as error:
        problem = Problem(FindingKind.UNREADABLE, str(error))
        return WindowFact(
            offset, appended_ms, None, None, None, digest_true=False, pixels=None, problem=problem
        )
    pixels_digest, found = None, None
    try:
        window = decode_window(frame, raw.pixel_order)
    except SchemaError as error:
        found = Problem(FindingKind.UNREADABLE, str(error))
    else:
        found = _times(key, raw.timestamp_us, window.timestamp_us)
        pixels_digest = _pixels_digest(window.pixels) if pixels else None
    return WindowFact(
        offset,
        appended_ms,
        raw.timestamp_us,
        raw.source,
        digest_bytes(raw.digest),
        digest_true=frame_digest(frame) == raw.digest,
        pixels=pixels_digest,
        problem=found,
    )


def inspect_image(
    offset: int, key: bytes | None, headers: KafkaHeaders | None, value: bytes | None, *, pixels: bool
) -> ImageFact:
    """The facts of a record of groups.

    Args:
        offset: in groups.
        key: of the record.
        headers: of the record.
        value: of the record: a FITS file.
        pixels: whether to look at its pixels and checksums.

    Raises:
        RecordHeaderError: its headers cannot be read, so that nobody can tell what it is.
    """
    image = ImageHeaders.decode(headers)
    problems: list[Problem] = []
    pixels_digest = None
    file = value or b""
    try:
        date_obs_us = window_timestamp(Cards.scan(file))
        times = _times(key, image.timestamp_us, date_obs_us)
        problems += [times] if times else []
        if pixels:
            checksum = _checksum(file)
            problems += [checksum] if checksum else []
            _, array = decode_image(file)
            pixels_digest = _pixels_digest(array)
    except SchemaError as error:
        problems.append(Problem(FindingKind.UNREADABLE, str(error)))
    return ImageFact(offset, image, digest_bytes(image.digest), pixels_digest, tuple(problems))


def _times(key: bytes | None, header_us: int, date_obs_us: int) -> Problem | None:
    try:
        key_us = parse_key(key or b"")
    except SchemaError as error:
        return Problem(FindingKind.KEY, str(error))
    if key_us == header_us == date_obs_us:
        return None
    key_text, header, date_obs = (format_timestamp(each) for each in (key_us, header_us, date_obs_us))
    return Problem(FindingKind.KEY, f"the key says {key_text}, ce_time {header}, DATE-OBS {date_obs}")


def _pixels_digest(pixels: NDArray[np.float32]) -> bytes:
    """XXH3-64 of the bit patterns: a NaN is the same NaN, and -0 is not 0."""
    contiguous = np.ascontiguousarray(pixels, dtype="<f4")
    return xxhash.xxh3_64_digest(contiguous.data)


def _checksum(file: bytes) -> Problem | None:
    """FITS standard 4.0, section 4.4.2.7: DATASUM is the pixels' sum, and the whole file's is minus zero."""
    if len(file) % FITS_BLOCK:
        return Problem(FindingKind.CHECKSUM, f"the FITS file's {len(file)} bytes are no whole blocks")
    cards = Cards.scan(file)
    data_sum = cards.get_str("DATASUM")
    if data_sum is None or cards.get_str("CHECKSUM") is None:
        return Problem(FindingKind.CHECKSUM, "the FITS file lacks DATASUM or CHECKSUM")
    data = cards.end + CARD_SIZE
    data += -data % FITS_BLOCK
    found = int(np.frombuffer(file, dtype=">u4", offset=data).sum(dtype=np.uint64)) if data < len(file) else 0
    text = data_sum.strip()
    if _DATASUM.fullmatch(text) is None or int(text) != ones_complement_sum(found):
        return Problem(FindingKind.CHECKSUM, "DATASUM is not the sum of the pixels")
    if ones_complement_sum(found + block_sum(file[:data])) != _ALL_ONES:
        return Problem(FindingKind.CHECKSUM, "CHECKSUM does not hold for the FITS file")
    return None
