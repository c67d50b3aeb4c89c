"""The hostile corpus: what a broken or malicious server, or a foreign client of Kafka, may send. By name.

The same bytes each time. What is expected stands beside each: who rejects it, and why; None where it is
strange but usable. One corpus for every level: decoder, connector, grouper, consumer.
"""

from dataclasses import dataclass, replace

import numpy as np

from schemas.catalogue import CatalogueEntry, ClosedBy, Member
from schemas.digest import frame_digest
from schemas.errors import RejectReason
from schemas.fits_image import encode_image
from schemas.pixel_order import PixelOrder
from schemas.record_headers import ImageHeaders, RawHeaders, Stage, group_id
from schemas.timestamp import timestamp_key
from schemas.window import decode_window
from tests.support.frames import (
    MAGIC_BYTES,
    T0_US,
    card,
    hostile_frames,
    make_cards,
    make_frame,
    make_pixels,
    pack_frame,
)

Headers = list[tuple[str, bytes | None]]

_MIB = 1024**2
_COMMENT = b"COMMENT  more of the same".ljust(80)
_EXPECTED_OF_PLAIN: dict[str, tuple[Stage, RejectReason]] = {
    "wrong magic": ("connector", RejectReason.BAD_MAGIC),
    "lengths of 4 GiB": ("connector", RejectReason.LENGTHS_REFUSED),
    "no FITS header": ("connector", RejectReason.LENGTHS_REFUSED),
    "pixels shorter than NAXISn": ("connector", RejectReason.LENGTH_MISMATCH),
    "pixels longer than NAXISn": ("connector", RejectReason.LENGTH_MISMATCH),
    "header with line breaks": ("connector", RejectReason.HEADER_UNREADABLE),
    "header in UTF-8": ("connector", RejectReason.HEADER_UNREADABLE),
    "header of noise": ("connector", RejectReason.HEADER_UNREADABLE),
    "no NAXIS": ("connector", RejectReason.NO_NAXIS),
    "NAXIS2 no number": ("connector", RejectReason.BAD_AXES),
    "NAXIS1 negative": ("connector", RejectReason.BAD_AXES),
    "one axis": ("grouper", RejectReason.BAD_AXES),
    "five axes": ("grouper", RejectReason.BAD_AXES),
    "a cube": ("grouper", RejectReason.BAD_AXES),
    "zero-size image": ("grouper", RejectReason.EMPTY_IMAGE),
    "no DATE-OBS": ("connector", RejectReason.NO_DATE_OBS),
    "DATE-OBS no date": ("connector", RejectReason.BAD_DATE_OBS),
    "DATE-OBS in a leap second": ("connector", RejectReason.BAD_DATE_OBS),
    "DATE-OBS before 1970": ("connector", RejectReason.BAD_DATE_OBS),
    "TIMESYS unknown": ("connector", RejectReason.TIME_SYSTEM),
    "no frequency": ("grouper", RejectReason.NO_FREQUENCY),
    "frequency 0": ("grouper", RejectReason.BAD_FREQUENCY),
    "frequency no number": ("grouper", RejectReason.BAD_FREQUENCY),
    "string not closed": ("connector", RejectReason.HEADER_UNREADABLE),
}


@dataclass(frozen=True, slots=True)
class HostileFrame:
    """Bytes that a server sends between good frames.

    Attributes:
        data: as they are sent.
        stage: who rejects them.
        reason: why; None where the frame is strange and can be used.
    """

    data: bytes
    stage: Stage
    reason: RejectReason | None


def stream_corpus() -> dict[str, HostileFrame]:
    """What stands between good frames of a stream. It swallows none of them."""
    plain = {name: HostileFrame(data, *_EXPECTED_OF_PLAIN[name]) for name, data in hostile_frames().items()}
    return plain | _cut_and_piled() | _bombs() | _bad_times_and_numbers() | _strange()


def _cut_and_piled() -> dict[str, HostileFrame]:
    """Bytes that are not one frame."""
    good = make_frame(T0_US)
    claims_text = pack_frame(b"", b"", fits_bytes=_MIB, pixels_bytes=4)[:16]
    return {
        "HTTP": HostileFrame(
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "connector", RejectReason.BAD_MAGIC
        ),
        "zeros": HostileFrame(bytes(5000), "connector", RejectReason.BAD_MAGIC),
        "half a magic": HostileFrame(MAGIC_BYTES[:4] * 3, "connector", RejectReason.BAD_MAGIC),
        "magics": HostileFrame(MAGIC_BYTES * 2000, "connector", RejectReason.LENGTHS_REFUSED),
        "frame cut within its header": HostileFrame(good[:100], "connector", RejectReason.INCOMPLETE),
        "headers piled up": HostileFrame(claims_text * 500, "connector", RejectReason.INCOMPLETE),
        "frame cut within its text": HostileFrame(good[:700], "connector", RejectReason.HEADER_UNREADABLE),
    }


def _bombs() -> dict[str, HostileFrame]:
    """Claims that would cost much, were they believed."""

    def axes(*lengths: object, date_obs: bool = True) -> bytes:
        cards = [card("NAXIS", len(lengths))]
        cards += [f"NAXIS{n:<3}= {length!s:>20}".ljust(80).encode() for n, length in enumerate(lengths, 1)]
        cards.append(card("DATE-OBS", "2026-11-23T10:00:00") if date_obs else _COMMENT)
        return b"".join(cards)

    mismatch = ("connector", RejectReason.LENGTH_MISMATCH)
    return {
        "header of more than 1 MiB": HostileFrame(
            pack_frame(make_cards(extra_cards=[_COMMENT] * 13_200), bytes(1536)),
            "connector",
            RejectReason.LENGTHS_REFUSED,
        ),
        "NAXISn of 2^66 bytes": HostileFrame(pack_frame(axes(2**32, 2**32), bytes(16)), *mismatch),
        "NAXISn of 40 digits each": HostileFrame(pack_frame(axes(*["9" * 40] * 4), bytes(16)), *mismatch),
        "NAXIS1 of 60 digits": HostileFrame(
            pack_frame(axes("9" * 60, 1), bytes(16)), "connector", RejectReason.BAD_AXES
        ),
        "999 axes": HostileFrame(pack_frame(axes(*[2] * 999), bytes(16)), *mismatch),
        "1000 axes": HostileFrame(
            pack_frame(axes(*[1] * 1000), bytes(4)), "connector", RejectReason.BAD_AXES
        ),
        "no pixels of 2^62 by 0": HostileFrame(
            pack_frame(axes(2**62, 0), b""), "grouper", RejectReason.EMPTY_IMAGE
        ),
        "no axes at all": HostileFrame(pack_frame(axes(), b""), "grouper", RejectReason.BAD_AXES),
    }


def _bad_times_and_numbers() -> dict[str, HostileFrame]:
    def with_cards(**changes: object) -> bytes:
        return pack_frame(make_cards(**changes), bytes(1536))  # type: ignore[arg-type]

    def dated(date_obs: str) -> bytes:
        return with_cards(date_obs=date_obs)

    bad_date = ("connector", RejectReason.BAD_DATE_OBS)
    bad_frequency = ("grouper", RejectReason.BAD_FREQUENCY)
    return {
        "DATE-OBS in 2999": HostileFrame(dated("2999-01-01T00:00:00"), "connector", RejectReason.FAR_FUTURE),
        "DATE-OBS in the year 10000": HostileFrame(dated("10000-01-01T00:00:00"), *bad_date),
        "DATE-OBS of digits": HostileFrame(dated("1" * 66), *bad_date),
        "DATE-OBS with an endless fraction": HostileFrame(
            dated("2026-11-23T10:00:00." + "9" * 46), "connector", None
        ),
        "DATE-OBS of minutes without end": HostileFrame(dated("9999m-31T3:" + "5" * 40), *bad_date),
        "DATE-OBS that formats": HostileFrame(dated("%s%n{0.__class__}$(id)"), *bad_date),
        "DATE-OBS in two ways": HostileFrame(dated("2026-31-12T10:00:00"), *bad_date),
        "DATE-OBS empty": HostileFrame(dated(""), "connector", RejectReason.NO_DATE_OBS),
        "TIMESYS of 60 characters": HostileFrame(
            with_cards(extra_cards=[card("TIMESYS", "T" * 60)]), "connector", RejectReason.TIME_SYSTEM
        ),
        "TAI before 1972": HostileFrame(
            with_cards(date_obs="1971-01-01T00:00:00", extra_cards=[card("TIMESYS", "TAI")]),
            "connector",
            RejectReason.TIME_SYSTEM,
        ),
        "frequency infinite": HostileFrame(
            with_cards(frequency_hz=None, extra_cards=[b"RESTFRQ =                1E9999".ljust(80)]),
            *bad_frequency,
        ),
        "frequency negative": HostileFrame(with_cards(frequency_hz=-6.0e7), *bad_frequency),
        "frequency in furlongs": HostileFrame(
            with_cards(
                frequency_hz=None,
                extra_cards=[card("CTYPE3", "FREQ"), card("CRVAL3", 60.0), card("CUNIT3", "furlong")],
            ),
            *bad_frequency,
        ),
    }


def _strange() -> dict[str, HostileFrame]:
    """Frames that look odd and are windows all the same; each of a time of its own."""

    def frame(number: int, *extra_cards: bytes, pixels: np.ndarray | None = None) -> HostileFrame:
        at_us = T0_US - (number + 1) * 1_000_000
        data = make_frame(at_us, extra_cards=extra_cards, pixels=pixels)
        return HostileFrame(data, "grouper", None)

    return {
        "pixels that are no numbers": frame(
            1, pixels=np.resize(np.array([np.nan, np.inf, -np.inf, -0.0], "<f4"), (16, 24))
        ),
        "a header of nearly 1 MiB": frame(2, *[_COMMENT] * 13_000),
        "NAXIS1 twice": frame(3, card("NAXIS1", 2**31)),
        "cards that are none": frame(4, b"?" * 80, b" " * 80, b"=" * 80, b"'" * 80),
        "CONTINUE without a beginning": frame(5, b"CONTINUE  'of nothing&'".ljust(80)),
        "scaled pixels": frame(6, card("BSCALE", 1.0e-9), card("BZERO", 5.0), card("BLANK", -1)),
        "words of a shell": frame(7, card("OBSERVER", "$(reboot); `id` ../../etc/passwd <script>")),
        "a magic among the pixels": frame(8, pixels=np.frombuffer(MAGIC_BYTES * 192, "<f4").reshape(16, 24)),
    }


@dataclass(frozen=True, slots=True)
class HostileRecord:
    """A record that a foreign client puts into a topic.

    Attributes:
        key: its key.
        value: its value.
        headers: its headers.
        reason: why the grouper rejects it; None where it can be used.
    """

    key: bytes | None
    value: bytes | None
    headers: Headers | None
    reason: RejectReason | None


def raw_corpus(prefix: str, source: str, at_us: int) -> dict[str, HostileRecord]:
    """Records of raw, all of one source and one timestamp, none of which may become a member.

    Args:
        prefix: of the topics.
        source: a configured one.
        at_us: a timestamp, microseconds since 1970 UTC.
    """
    frame = make_frame(at_us, shape=(6, 8), seed=1)
    raw = RawHeaders(prefix, source, at_us, frame_digest(frame), at_us, PixelOrder.FITS)
    good = HostileRecord(timestamp_key(at_us), frame, [*raw.encode()], RejectReason.RECORD_HEADERS)
    corpus = {
        "nothing at all": replace(good, key=None, value=None, headers=None),
        "no headers": replace(good, headers=None),
        "no key": replace(good, key=None),
        "no value": replace(good, value=None),
        "key of another time": replace(good, key=timestamp_key(at_us + 1)),
        "another time in ce_time": _with(good, "ce_time", b"2026-11-23T10:00:00.000001Z"),
        "frame of another time": replace(good, value=make_frame(at_us + 1, shape=(6, 8))),
        "a source of its own making": _with(good, "ce_subject", b"../../etc/passwd"),
        "a source of 65 characters": _with(good, "ce_subject", b"s" * 65),
        "a source with a line break": _with(good, "ce_subject", b"sb0\nsb1"),
        "of the grouper": _with(good, "ce_source", f"/{prefix}/grouper".encode()),
        "of another type": _with(good, "ce_type", b"trapline.frame.v2"),
        "a pixel order in capitals": _with(good, "ce_pixelorder", b"FITS"),
        "a digest of zeros, in capitals": _with(good, "ce_digest", b"XXH3-128:" + b"0" * 32),
        "received in the year 10000": _with(good, "ce_receivetime", b"10000-01-01T00:00:00.000000Z"),
        "a header of 1 MiB": _with(good, "ce_subject", b"s" * _MIB),
        "unknown source": replace(_with(good, "ce_subject", b"stranger"), reason=RejectReason.UNKNOWN_SOURCE),
    }
    for name, _value in good.headers or []:
        rest = [(other, value) for other, value in good.headers or [] if other != name]
        corpus |= {
            f"without {name}": replace(good, headers=rest),
            f"{name} without a value": replace(good, headers=[*rest, (name, None)]),
            f"{name} empty": replace(good, headers=[*rest, (name, b"")]),
            f"{name} no UTF-8": replace(good, headers=[*rest, (name, b"\xff\xfe\x80")]),
            f"{name} twice": replace(good, headers=[*(good.headers or []), (name, b"x")]),
        }
    bad_keys = {
        "key empty": b"",
        "key no time": b"timestamp",
        "key no ASCII": b"\xff" * 27,
        "key with a line break": timestamp_key(at_us) + b"\n",
        "key of 100 KiB": b"2" * 100 * 1024,
    }
    for name, key in bad_keys.items():
        corpus[name] = replace(good, key=key, reason=RejectReason.RECORD_KEY)
    return corpus | _bad_values(good)


def _bad_values(good: HostileRecord) -> dict[str, HostileRecord]:
    """Records whose headers are right, and whose value is no window."""
    frame = good.value or b""
    values: dict[str, tuple[bytes, RejectReason]] = {
        "value empty": (b"", RejectReason.LENGTH_MISMATCH),
        "value of one byte": (b"O", RejectReason.LENGTH_MISMATCH),
        "value a magic": (MAGIC_BYTES, RejectReason.LENGTH_MISMATCH),
        "value a FITS file": (encode_image(decode_window(frame)), RejectReason.BAD_MAGIC),
        "value half a frame": (frame[: len(frame) // 2], RejectReason.LENGTH_MISMATCH),
        "value and one byte": (frame + b"\0", RejectReason.LENGTH_MISMATCH),
        "value two frames": (frame * 2, RejectReason.LENGTH_MISMATCH),
        "value larger than any frame": (b"x" * 3 * _MIB, RejectReason.BAD_MAGIC),
    }
    own_reason = {  # a whole record has no lengths to refuse, and no next magic to look for
        "lengths of 4 GiB": RejectReason.LENGTH_MISMATCH,
        "no FITS header": RejectReason.NO_NAXIS,
    }
    for name, data in hostile_frames().items():
        values[f"frame: {name}"] = data, own_reason.get(name, _EXPECTED_OF_PLAIN[name][1])
    return {
        # Each has a digest of its own: the same one twice would be a repeat, which is dropped unread.
        name: replace(_with(good, "ce_digest", frame_digest(data).encode()), value=data, reason=reason)
        for name, (data, reason) in values.items()
    }


def _with(record: HostileRecord, name: str, value: bytes) -> HostileRecord:
    headers: Headers = [(other, value if other == name else old) for other, old in record.headers or []]
    return replace(record, headers=headers)


def groups_corpus(prefix: str, source: str, at_us: int) -> dict[str, HostileRecord]:
    """Records of groups that are no image of any group; `reason` says nothing here.

    Args:
        prefix: of the topics.
        source: a name.
        at_us: a timestamp, microseconds since 1970 UTC.
    """
    frame = make_frame(at_us, pixels=make_pixels((6, 8)))
    image = encode_image(decode_window(frame))
    headers = ImageHeaders(
        prefix=prefix,
        source=source,
        timestamp_us=at_us,
        group_id=group_id(at_us, 1, 7),
        index=0,
        size=1,
        expected=1,
        complete=True,
        missing=(),
        revision=1,
        receive_time_us=at_us,
        pixel_order=PixelOrder.FITS,
        digest=frame_digest(frame),
        raw_offset=7,
        frequency_hz=6.0e7,
    )
    good = HostileRecord(timestamp_key(at_us), image, [*headers.encode()], None)
    corpus = {
        "nothing at all": replace(good, key=None, value=None, headers=None),
        "no headers": replace(good, headers=None),
        "no value": replace(good, value=None),
        "index behind the end": _with(good, "ce_groupindex", b"1"),
        "size 0": _with(good, "ce_groupsize", b"0"),
        "size no number": _with(good, "ce_groupsize", b"1e3"),
        "size of 40 digits": _with(good, "ce_groupsize", b"9" * 40),
        "revision negative": _with(good, "ce_grouprevision", b"-1"),
        "frequency that is none": _with(good, "ce_frequency", b"nan"),
        "missing sources that are none": _with(good, "ce_groupmissing", b"sb0,,sb1"),
    }
    for name, _value in good.headers or []:
        rest = [(other, value) for other, value in good.headers or [] if other != name]
        corpus |= {
            f"without {name}": replace(good, headers=rest),
            f"{name} no UTF-8": replace(good, headers=[*rest, (name, b"\xff\xfe\x80")]),
            f"{name} twice": replace(good, headers=[*(good.headers or []), (name, b"x")]),
        }
    return corpus


def catalogue_corpus(at_us: int) -> dict[str, bytes]:
    """Values of the catalogue that are no entry.

    Args:
        at_us: a timestamp, microseconds since 1970 UTC.
    """
    member = Member("sb0", 7, "xxh3-128:" + "0" * 32, 6.0e7, at_us)
    good = CatalogueEntry(
        timestamp_us=at_us,
        revision=1,
        group_id=group_id(at_us, 1, 7),
        complete=True,
        closed_by=ClosedBy.COMPLETE,
        expected=("sb0",),
        present=("sb0",),
        missing=(),
        members=(member,),
        first_offset=0,
        last_offset=0,
        committed_offset=8,
        read_to=8,
        catalogue_from=0,
    ).to_json()
    return {
        "empty": b"",
        "no JSON": b"group",
        "no UTF-8": b"\xff\xfe",
        "no object": b"[1, 2]",
        "no fields": b"{}",
        "of another version": good.replace(b'"v":1', b'"v":2'),
        "cut": good[:100],
        "nested without end": b'{"v":' + b"[" * 100_000,
        "a number without end": good.replace(b'"first_offset":0', b'"first_offset":' + b"9" * 10_000),
        "an offset below 0": good.replace(b'"first_offset":0', b'"first_offset":-1'),
        "no members": good.replace(
            good[good.index(b'"members"') : good.index(b',"first_offset"')], b'"members":[]'
        ).replace(b'"present":["sb0"]', b'"present":[]'),
        "members that are not present": good.replace(b'"present":["sb0"]', b'"present":["sb1"]'),
        "frequency that is none": good.replace(b"60000000.0", b"NaN"),
    }
