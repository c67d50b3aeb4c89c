"""The digest of a frame: computed once, in the connector, and carried everywhere."""

import re
from typing import Final

import xxhash

DIGEST_PREFIX: Final = "xxh3-128:"
DIGEST: Final = re.compile(r"xxh3-128:[0-9a-f]{32}")
"""What a digest looks like as text: in headers, catalogue entries and truth files."""


def frame_digest(frame: bytes | bytearray | memoryview) -> str:
    """XXH3-128 of a verbatim frame, as 'xxh3-128:' and 32 hexadecimal digits.

    XXH3 because it takes about 0.3 ms per 4 MiB where SHA-256 takes 2.2 to 2.6. It tells a repeat from
    a conflict; it is no protection against somebody who builds two frames of one digest.
    """
    return DIGEST_PREFIX + xxhash.xxh3_128_hexdigest(frame)
