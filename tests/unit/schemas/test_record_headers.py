from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import RecordHeaderError, RejectReason
from schemas.pixel_order import PixelOrder
from schemas.record_headers import (
    MAX_DETAIL,
    CatalogueHeaders,
    ImageHeaders,
    RawHeaders,
    RejectHeaders,
    group_id,
)
from schemas.timestamp import MAX_TIMESTAMP_US
from tests.support.frames import T0_US

DIGEST = "xxh3-128:" + "0123456789abcdef" * 2
ID = "2026-11-23T10:00:00.000000Z/r1/o42"
RAW = RawHeaders("aartfaac", "sb0", T0_US, DIGEST, T0_US + 1_234_567, PixelOrder.TRANSPOSED)
IMAGE = ImageHeaders(
    prefix="aartfaac",
    source="sb0",
    timestamp_us=T0_US,
    group_id=ID,
    index=1,
    size=4,
    expected=6,
    complete=False,
    missing=("sb2", "sb5"),
    revision=1,
    receive_time_us=T0_US + 1_234_567,
    pixel_order=PixelOrder.FITS,
    digest=DIGEST,
    raw_offset=43,
    frequency_hz=6.0e7,
)
CATALOGUE = CatalogueHeaders("aartfaac", T0_US, ID)
REJECT = RejectHeaders(
    prefix="aartfaac",
    stage="grouper",
    source="sb0",
    timestamp_us=T0_US,
    reason=RejectReason.LATE,
    detail="its group was closed",
    receive_time_us=T0_US + 5,
    total_bytes=1536,
    truncated=False,
    digest=DIGEST,
    raw_partition=2,
    raw_offset=77,
)
BETWEEN_FRAMES = RejectHeaders(
    prefix="aartfaac",
    stage="connector",
    source="sb0",
    timestamp_us=None,
    reason=RejectReason.BAD_MAGIC,
    detail="17 bytes stand where a frame should begin",
    receive_time_us=T0_US + 5,
    total_bytes=17,
    truncated=True,
)
ALL = [RAW, IMAGE, CATALOGUE, REJECT, BETWEEN_FRAMES]
OPTIONAL = {"ce_time", "ce_subject", "ce_digest", "ce_rawpartition", "ce_rawoffset"}


def kind(headers):
    return type(headers).__name__ + (f"-{headers.stage}" if isinstance(headers, RejectHeaders) else "")


def text(headers):
    return {name: value.decode() for name, value in headers.encode()}


def test_raw():
    assert text(RAW) == {
        "ce_specversion": "1.0",
        "ce_type": "trapline.frame.v1",
        "ce_source": "/aartfaac/connector",
        "ce_id": f"sb0/2026-11-23T10:00:00.000000Z/{DIGEST}",
        "ce_time": "2026-11-23T10:00:00.000000Z",
        "ce_subject": "sb0",
        "content-type": "application/vnd.aartfaac.frame",
        "ce_digest": DIGEST,
        "ce_receivetime": "2026-11-23T10:00:01.234567Z",
        "ce_pixelorder": "transposed",
    }


def test_image():
    assert text(IMAGE) == {
        "ce_specversion": "1.0",
        "ce_type": "trapline.image.v1",
        "ce_source": "/aartfaac/grouper",
        "ce_id": f"{ID}/1",
        "ce_time": "2026-11-23T10:00:00.000000Z",
        "ce_subject": "sb0",
        "content-type": "application/fits",
        "ce_groupid": ID,
        "ce_groupindex": "1",
        "ce_groupsize": "4",
        "ce_groupexpected": "6",
        "ce_groupcomplete": "false",
        "ce_groupmissing": "sb2,sb5",
        "ce_grouprevision": "1",
        "ce_receivetime": "2026-11-23T10:00:01.234567Z",
        "ce_pixelorder": "fits",
        "ce_digest": DIGEST,
        "ce_rawoffset": "43",
        "ce_frequency": "60000000.0",
    }


def test_catalogue():
    assert text(CATALOGUE) == {
        "ce_specversion": "1.0",
        "ce_type": "trapline.group.v1",
        "ce_source": "/aartfaac/grouper",
        "ce_id": ID,
        "ce_time": "2026-11-23T10:00:00.000000Z",
        "ce_subject": "2026-11-23T10:00:00.000000Z",
        "content-type": "application/json",
    }


def test_reject():
    assert text(REJECT) == {
        "ce_specversion": "1.0",
        "ce_type": "trapline.reject.v1",
        "ce_source": "/aartfaac/grouper",
        "ce_id": "grouper/2/77/late",
        "ce_time": "2026-11-23T10:00:00.000000Z",
        "ce_subject": "sb0",
        "content-type": "application/octet-stream",
        "ce_reason": "late",
        "ce_detail": "its group was closed",
        "ce_receivetime": "2026-11-23T10:00:00.000005Z",
        "ce_bytes": "1536",
        "ce_truncated": "false",
        "ce_digest": DIGEST,
        "ce_rawpartition": "2",
        "ce_rawoffset": "77",
    }


def test_what_a_reject_does_not_know_has_no_header():
    headers = text(BETWEEN_FRAMES)
    assert not headers.keys() & (OPTIONAL - {"ce_subject"})
    assert headers["ce_id"] == "connector/sb0/2026-11-23T10:00:00.000005Z/bad_magic/17"
    assert replace(BETWEEN_FRAMES, source=None).event_id.startswith("connector/-/")
    assert replace(BETWEEN_FRAMES, digest=DIGEST).event_id.endswith(DIGEST)


def test_names_are_those_cloudevents_allows():
    for headers in ALL:
        names = [name for name, _ in headers.encode()]
        assert len(names) == len(set(names))
        for name in names:
            assert name == "content-type" or name.removeprefix("ce_").isalnum()
            assert name == name.lower()


def test_group_id():
    assert group_id(T0_US, 1, 42) == ID
    assert group_id(T0_US, 2, 42) != ID


@pytest.mark.parametrize("headers", ALL, ids=kind)
def test_reads_back(headers):
    assert type(headers).decode(headers.encode()) == headers


@pytest.mark.parametrize("headers", ALL, ids=kind)
def test_other_headers_are_left_alone(headers):
    more = [("traceparent", b"\xff"), ("traceparent", None), *headers.encode(), ("ce_later", b"x")]
    assert type(headers).decode(more) == headers


@pytest.mark.parametrize("headers", ALL, ids=kind)
def test_each_missing_header_is_named(headers):
    encoded = headers.encode()
    for name, _ in encoded:
        rest = [pair for pair in encoded if pair[0] != name]
        if isinstance(headers, RejectHeaders) and name in OPTIONAL:
            type(headers).decode(rest)
            continue
        with pytest.raises(RecordHeaderError, match=name) as error:
            type(headers).decode(rest)
        assert error.value.reason is RejectReason.RECORD_HEADERS


@pytest.mark.parametrize("value", [None, b"\xff\xfe", b"\x00", b"?" * 5000])
@pytest.mark.parametrize("headers", ALL, ids=kind)
def test_each_wrong_header_is_named(headers, value):
    free = {"ce_id", "ce_groupid", "ce_detail"}
    for name, _ in headers.encode():
        if name in free and value is not None and value.isascii():
            continue
        wrong = [(key, value if key == name else old) for key, old in headers.encode()]
        with pytest.raises(RecordHeaderError, match=name) as error:
            type(headers).decode(wrong)
        assert len(str(error.value)) < 400


@pytest.mark.parametrize("headers", ALL, ids=kind)
def test_a_header_that_is_there_twice_is_refused(headers):
    encoded = headers.encode()
    for pair in encoded:
        with pytest.raises(RecordHeaderError, match=f"{pair[0]} twice"):
            type(headers).decode([*encoded, pair])


@pytest.mark.parametrize("headers", [None, [], [("x", None)]])
@pytest.mark.parametrize("kind_of", [RawHeaders, ImageHeaders, CatalogueHeaders, RejectHeaders])
def test_no_headers(kind_of, headers):
    with pytest.raises(RecordHeaderError, match="ce_specversion"):
        kind_of.decode(headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_specversion", "1.1"),
        ("ce_type", "trapline.image.v2"),
        ("ce_source", "/aartfaac/connector"),
        ("ce_source", "/aartfaac/other"),
        ("ce_source", "aartfaac/grouper"),
        ("ce_source", "/a b/grouper"),
        ("content-type", "image/fits"),
        ("ce_id", ""),
        ("ce_time", "2026-11-23T10:00:00Z"),
        ("ce_subject", "sb 0"),
        ("ce_subject", "x" * 65),
        ("ce_groupindex", "-1"),
        ("ce_groupindex", "01"),
        ("ce_groupsize", "1e1"),
        ("ce_groupexpected", ""),
        ("ce_groupexpected", "9" * 20),
        ("ce_groupcomplete", "True"),
        ("ce_groupmissing", "sb2,,sb5"),
        ("ce_groupmissing", "sb2, sb5"),
        ("ce_grouprevision", "one"),
        ("ce_receivetime", "now"),
        ("ce_pixelorder", "FITS"),
        ("ce_digest", "xxh3-128:00"),
        ("ce_digest", DIGEST.upper()),
        ("ce_rawoffset", "٣"),
        ("ce_frequency", "nan"),
        ("ce_frequency", "inf"),
        ("ce_frequency", "0.0"),
        ("ce_frequency", "-6e7"),
        ("ce_frequency", "1e999"),
    ],
)
def test_wrong_values_are_refused(name, value):
    wrong = [(key, value.encode() if key == name else old) for key, old in IMAGE.encode()]
    with pytest.raises(RecordHeaderError, match=name):
        ImageHeaders.decode(wrong)


def test_a_reason_this_release_does_not_know_is_refused():
    wrong = [(key, b"weather" if key == "ce_reason" else old) for key, old in REJECT.encode()]
    with pytest.raises(RecordHeaderError, match="ce_reason is 'weather'"):
        RejectHeaders.decode(wrong)


def test_an_index_outside_its_group_is_refused():
    with pytest.raises(RecordHeaderError, match="ce_groupindex is 4 in a group of 4"):
        ImageHeaders.decode(replace(IMAGE, index=4).encode())


@pytest.mark.parametrize(
    "detail",
    ["x" * 5000, "line\nbreak\x1b[31m\0", "\ud800 lone", "grün µ ✓", "", "\N{RIGHT-TO-LEFT OVERRIDE}abc"],
)
def test_detail_is_short_and_safe(detail):
    encoded = dict(replace(REJECT, detail=detail).encode())["ce_detail"].decode("utf-8")
    assert len(encoded) <= MAX_DETAIL
    assert encoded == "" or encoded.isprintable()
    assert RejectHeaders.decode(replace(REJECT, detail=detail).encode()).detail == encoded
    if detail.isprintable() and len(detail) <= MAX_DETAIL:
        assert encoded == detail


names = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
times = st.integers(0, MAX_TIMESTAMP_US)
counts = st.integers(0, 2**62)
digests = st.from_regex(r"xxh3-128:[0-9a-f]{32}", fullmatch=True)


@given(st.builds(RawHeaders, names, names, times, digests, times, st.sampled_from(PixelOrder)))
def test_any_raw_headers_read_back(headers):
    assert RawHeaders.decode(headers.encode()) == headers


@given(
    st.builds(
        ImageHeaders,
        prefix=names,
        source=names,
        timestamp_us=times,
        group_id=st.builds(group_id, times, st.integers(1, 99), counts),
        index=st.integers(0, 99),
        size=st.integers(100, 200),
        expected=counts,
        complete=st.booleans(),
        missing=st.lists(names, max_size=5).map(tuple),
        revision=counts,
        receive_time_us=times,
        pixel_order=st.sampled_from(PixelOrder),
        digest=digests,
        raw_offset=counts,
        frequency_hz=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    )
)
def test_any_image_headers_read_back(headers):
    assert ImageHeaders.decode(headers.encode()) == headers


@given(
    st.builds(
        RejectHeaders,
        prefix=names,
        stage=st.sampled_from(["connector", "grouper"]),
        source=st.none() | names,
        timestamp_us=st.none() | times,
        reason=st.sampled_from(RejectReason),
        detail=st.text(max_size=600),
        receive_time_us=times,
        total_bytes=counts,
        truncated=st.booleans(),
        digest=st.none() | digests,
        raw_partition=st.none() | counts,
        raw_offset=st.none() | counts,
    )
)
def test_any_reject_headers_read_back(headers):
    decoded = RejectHeaders.decode(headers.encode())
    assert replace(decoded, detail="") == replace(headers, detail="")


@given(
    st.sampled_from([RawHeaders, ImageHeaders, CatalogueHeaders, RejectHeaders]),
    st.sampled_from(ALL),
    st.lists(st.tuples(st.integers(0, 30), st.none() | st.binary(max_size=40)), max_size=4),
)
def test_any_headers_raise_documented_errors_only(kind_of, headers, changes):
    pairs = list(headers.encode())
    for at, value in changes:
        pairs[at % len(pairs)] = (pairs[at % len(pairs)][0], value)
    try:
        kind_of.decode(pairs)
    except RecordHeaderError as error:
        assert error.reason is RejectReason.RECORD_HEADERS  # noqa: PT017 - most of them are refused
