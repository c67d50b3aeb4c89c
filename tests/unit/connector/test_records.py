import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.records import RecordMaker, too_large, truncated
from schemas.digest import frame_digest
from schemas.errors import RejectReason
from schemas.frame import Frame, FrameDecoder, Skipped
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders, RejectHeaders
from schemas.source import ServerSource
from schemas.topics import TopicNames
from tests.support.frames import T0_US, card, make_cards, make_frame, make_pixels, pack_frame, payload_of

NAMES = TopicNames("test")
SECOND_US = 1_000_000


@pytest.fixture
def maker():
    return RecordMaker(ServerSource("sb0", "localhost", 1), NAMES, max_future_s=300)


def decoded(frame: bytes) -> Frame:
    decoder = FrameDecoder()
    decoder.feed(frame)
    event = decoder.next_event()
    assert isinstance(event, Frame)
    return event


def frame_with(**changes) -> bytes:
    return pack_frame(make_cards(**changes), payload_of(make_pixels()))


def test_a_frame_goes_to_raw_verbatim_under_its_timestamp(maker):
    frame = make_frame(T0_US)
    record = maker.frame(decoded(frame), T0_US + SECOND_US)
    assert (record.topic, record.key, record.value) == ("test.raw", b"2026-11-23T10:00:00.000000Z", frame)
    assert record.headers == RawHeaders(
        "test", "sb0", T0_US, frame_digest(frame), T0_US + SECOND_US, PixelOrder.FITS
    )


def test_the_pixel_order_of_the_source_goes_along():
    maker = RecordMaker(
        ServerSource("old", "localhost", 1, pixel_order=PixelOrder.TRANSPOSED), NAMES, max_future_s=300
    )
    record = maker.frame(decoded(make_frame(T0_US)), T0_US)
    assert record.headers.pixel_order is PixelOrder.TRANSPOSED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"date_obs": None}, RejectReason.NO_DATE_OBS),
        ({"date_obs": "yesterday"}, RejectReason.BAD_DATE_OBS),
        ({"extra_cards": (card("TIMESYS", "TDB"),)}, RejectReason.TIME_SYSTEM),
    ],
)
def test_a_frame_without_a_timestamp_is_rejected_whole(maker, changes, reason):
    frame = frame_with(**changes)
    record = maker.frame(decoded(frame), T0_US)
    assert (record.topic, record.key, record.value) == ("test.rejects", None, frame)
    headers = record.headers
    assert (headers.stage, headers.source, headers.timestamp_us) == ("connector", "sb0", None)
    assert (headers.reason, headers.total_bytes, headers.truncated) == (reason, len(frame), False)
    assert headers.digest == frame_digest(frame)
    assert headers.detail


def test_a_string_that_is_not_closed_is_the_header_s_fault(maker):
    text = make_cards().replace(b"'2026-11-23T10:00:00.000000'", b"'2026-11-23T10:00:00.000000 ")
    record = maker.frame(decoded(pack_frame(text, payload_of(make_pixels()))), T0_US)
    assert record.headers.reason is RejectReason.HEADER_UNREADABLE


def test_the_future_ends_at_the_bound(maker):
    frame = decoded(make_frame(T0_US))
    assert maker.frame(frame, T0_US - 300 * SECOND_US).topic == "test.raw"
    record = maker.frame(frame, T0_US - 300 * SECOND_US - 1)
    assert (record.topic, record.headers.reason) == ("test.rejects", RejectReason.FAR_FUTURE)
    assert record.key == b"2026-11-23T10:00:00.000000Z"
    assert record.headers.timestamp_us == T0_US
    assert (
        "300 s ahead of this machine's clock (at most 300 s, TRAPLINE_MAX_FUTURE_S)" in record.headers.detail
    )


def test_the_past_is_taken(maker):
    record = maker.frame(decoded(frame_with(date_obs="1970-01-01T00:00:00")), T0_US)
    assert (record.topic, record.key) == ("test.raw", b"1970-01-01T00:00:00.000000Z")


def test_what_is_wrong_with_a_window_is_the_grouper_s_to_say(maker):
    frame = pack_frame(make_cards(shape=(0, 24), frequency_hz=None), b"")
    assert maker.frame(decoded(frame), T0_US).topic == "test.raw"


def test_skipped_bytes_are_rejected_with_what_was_kept_of_them(maker):
    record = maker.skipped(Skipped(b"garb", 7, RejectReason.BAD_MAGIC, "no magic\x00"), T0_US)
    assert (record.topic, record.key, record.value) == ("test.rejects", None, b"garb")
    headers = record.headers
    assert (headers.reason, headers.total_bytes, headers.truncated) == (RejectReason.BAD_MAGIC, 7, True)
    assert headers.digest is None
    assert headers.detail == "no magic\x00"


def test_rejects_of_one_read_are_told_apart(maker):
    skipped = Skipped(b"same", 4, RejectReason.BAD_MAGIC, "")
    records = [maker.skipped(skipped, T0_US) for _ in range(3)]
    records.append(maker.skipped(skipped, T0_US + SECOND_US))
    ids = [record.headers.event_id for record in records]
    assert len(set(ids)) == 4


def test_a_frame_too_large_for_raw_is_rejected_whole_and_then_cut(maker):
    frame = make_frame(T0_US)
    raw = maker.frame(decoded(frame), T0_US + 5)
    whole = too_large(NAMES, raw, raw.headers, "the limit is 10")
    assert (whole.topic, whole.key, whole.value) == ("test.rejects", raw.key, frame)
    headers = whole.headers
    assert (headers.reason, headers.source, headers.timestamp_us) == (RejectReason.TOO_LARGE, "sb0", T0_US)
    assert headers.digest == frame_digest(frame)
    assert headers.detail == f"test.raw refuses a record of {len(frame)} bytes: the limit is 10"
    cut = truncated(NAMES, whole, whole.headers, 100)
    assert (cut.topic, cut.key, cut.value) == ("test.rejects", raw.key, frame[:100])
    headers = cut.headers
    assert (headers.total_bytes, headers.truncated) == (len(frame), True)
    assert headers.digest == frame_digest(frame)


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)
almost_times = st.one_of(
    printable,
    st.from_regex(
        r"[0-9]{1,5}(-[0-9]{1,2}){2}[T ][0-9]{1,2}(:[0-9]{1,2}){2}(\.[0-9]{0,12})?(Z|[+-][0-9:]{4,5})?",
        fullmatch=True,
    ),
)


@given(date_obs=almost_times, timesys=st.one_of(st.none(), printable, st.sampled_from(["TAI", "TT", "GPS"])))
def test_whatever_the_header_says_a_frame_goes_whole_to_raw_or_to_rejects(date_obs, timesys):
    maker = RecordMaker(ServerSource("sb0", "localhost", 1), NAMES, max_future_s=300)
    # As servers write them: cut at 80, where the quote may be lost.
    cards = [
        f"{name:<8}= '{value.replace(chr(39), chr(39) * 2)}'".ljust(80)[:80].encode()
        for name, value in (("DATE-OBS", date_obs), ("TIMESYS", timesys))
        if value is not None
    ]
    frame = frame_with(date_obs=None, extra_cards=cards)
    record = maker.frame(decoded(frame), T0_US)
    assert record.value == frame
    encoded = record.headers.encode()
    if isinstance(record.headers, RawHeaders):
        assert record.key is not None
        assert RawHeaders.decode(encoded) == record.headers
    else:
        assert RejectHeaders.decode(encoded).reason is record.headers.reason
