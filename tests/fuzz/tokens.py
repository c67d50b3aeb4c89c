"""Words of the formats, which chance would not find: the engine's dictionary, and that of our mutations."""

import struct
from collections.abc import Mapping
from typing import Final

from schemas.catalogue import ClosedBy
from schemas.errors import RejectReason
from schemas.frame_layout import MAGIC_BYTES

_CARDS: Final = tuple(
    text.encode()
    for text in (
        "SIMPLE  =                    T",
        "BITPIX  =                  -32",
        "NAXIS   =                    2",
        "NAXIS1  =                    3",
        "NAXIS2  =                    2",
        "NAXIS3  =                    1",
        "DATE-OBS= '2026-11-23T10:00:00.000000'",
        "TIMESYS = 'TAI     '",
        "RESTFRQ =           60000000.0",
        "RESTFREQ= '6.0D7   '",
        "CTYPE3  = 'FREQ    '",
        "CRVAL3  =               6.0E+7",
        "CUNIT3  = 'MHz     '",
        "CONTINUE  'text&'",
        "BZERO   =                 1E99",
        "BSCALE  =                  1.0",
        "EXTEND  =                    T",
        "END" + 77 * " ",
        80 * " ",
        "= ",
        "'",
        "''",
        " / ",
    )
)
_TIMES: Final = tuple(
    text.encode()
    for text in (
        "2026-11-23T10:00:00.000000Z",
        "2016-12-31T23:59:60",
        "9999-12-31T23:59:59.999999",
        "1970-01-01T00:00:00",
        "+05:30",
        "UTC",
        "TAI",
        "TT",
        "GPS",
        "UTC(NIST)",
        "EST",
        " Nov ",
        "W01",
        "20261123T100000",
    )
)
_HEADERS: Final = tuple(
    text.encode()
    for text in (
        "\nce_specversion=1.0",
        "\nce_type=trapline.",
        "\nce_source=/p/connector",
        "\nce_id=",
        "\nce_time=2026-11-23T10:00:00.000000Z",
        "\nce_subject=",
        "\ncontent-type=application/",
        "\nce_digest=xxh3-128:00000000000000000000000000000000",
        "\nce_receivetime=2026-11-23T10:00:00.000000Z",
        "\nce_pixelorder=transposed",
        "\nce_groupindex=",
        "\nce_groupmissing=sb0,sb1",
        "\nce_frequency=6e7",
        "\nce_truncated=true",
        "\nce_bytes=0",
        "\nce_rawpartition=0",
        "\nce_rawoffset=9223372036854775807",
        *(f"\nce_reason={reason}" for reason in RejectReason),
    )
)
_JSON: Final = tuple(
    text.encode()
    for text in (
        '{"v":1,',
        '"read_to":',
        '"catalogue":',
        '"missed":{"sb0":1}',
        '"members":[{',
        '"present":["sb0"]',
        '"missing":[]',
        '"timestamp":"2026-11-23T10:00:00.000000Z"',
        *(f'"closed_by":"{rule}"' for rule in ClosedBy),
        "NaN",
        "Infinity",
        "1e999",
        "-1",
        "true",
        "null",
        '"\\ud800"',
        "9223372036854775808",
        "[[[[[[[[",
    )
)
_SOURCES: Final = (
    b"sb0=",
    b"tcp://",
    b"file://",
    b"[::1]",
    b":4000",
    b"?pixel_order=transposed",
    b"&",
    b"#",
    b"@",
)

TOKENS: Final[Mapping[str, tuple[bytes, ...]]] = {
    "stream": (
        MAGIC_BYTES,
        MAGIC_BYTES[:5],
        *(
            MAGIC_BYTES + struct.pack("<II", *lengths)
            for lengths in ((640, 24), (80, 0), (2048, 4), (2049, 4))
        ),
        bytes(496),
        *_CARDS[:7],
    ),
    "cards": _CARDS,
    "window": (*_CARDS, *_TIMES),
    "image": _CARDS,
    "time": _TIMES,
    "headers": _HEADERS,
    "catalogue": _JSON,
    "metadata": _JSON,
    "source": _SOURCES,
}
