"""What `trapline status` makes of figures from Kafka."""

import pytest

from schemas.catalogue import CatalogueEntry, ClosedBy, Member
from schemas.errors import RejectReason
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders, RejectHeaders
from trapline.status.retention import Retention, Unread, seconds_left
from trapline.status.sources import NO_SOURCE, source_states
from trapline.tables import bytes_text, duration_text, printable, share_text

DIGEST = "xxh3-128:" + "0" * 32
T0_US = 1_795_428_000_000_000


def entry(second, present=("sb0", "sb1"), expected=("sb0", "sb1"), revision=1, received_us=None):
    missing = tuple(source for source in expected if source not in present)
    timestamp_us = T0_US + second * 1_000_000
    received_us = timestamp_us if received_us is None else received_us
    members = tuple(Member(source, 0, DIGEST, 6e7, received_us) for source in present)
    return CatalogueEntry(
        timestamp_us, revision, "id", not missing, ClosedBy.GRACE, expected, present, missing, members,
        0, 0, 0, 0, 0,
    )  # fmt: skip


def reject(source, reason=RejectReason.LATE):
    return RejectHeaders("p", "grouper", source, None, reason, "", T0_US, 1, truncated=False)


def of(states, name):
    (state,) = (each for each in states if each.name == name)
    return state


def test_a_source_in_every_group_and_one_that_misses_some():
    entries = [entry(0), entry(1, present=("sb0",)), entry(2, present=("sb0",)), entry(3)]
    states = source_states(entries, [], [], T0_US + 5_000_000)
    first, second = of(states, "sb0"), of(states, "sb1")
    assert (first.images, first.expected, first.missing_share, first.rate_per_s) == (4, 4, 0, 1.0)
    assert (first.age_s, first.timestamp_us) == (2.0, T0_US + 3_000_000)
    assert (second.images, second.missing, second.missing_share) == (2, 2, 0.5)
    assert second.rate_per_s == pytest.approx(1 / 3)


def test_of_a_repaired_group_the_last_revision_counts():
    states = source_states([entry(0, present=("sb0",)), entry(0, revision=2)], [], [], T0_US)
    assert [(state.images, state.expected, state.missing) for state in states] == [(1, 1, 0), (1, 1, 0)]


def test_a_source_that_only_raw_or_rejects_know():
    raw = [
        RawHeaders("p", "sb7", T0_US, DIGEST, T0_US + second * 1_000_000, PixelOrder.FITS)
        for second in (1, 0)
    ]
    rejects = [reject("sb9"), reject("sb9", RejectReason.CONFLICT), reject(None, RejectReason.BAD_MAGIC)]
    states = source_states([], raw, rejects, T0_US + 3_000_000)
    assert [state.name for state in states] == [NO_SOURCE, "sb7", "sb9"]
    assert (of(states, "sb7").age_s, of(states, "sb7").in_raw_only) == (2.0, True)
    assert of(states, "sb7").missing_share is None
    assert (of(states, "sb9").late, of(states, "sb9").rejected, of(states, "sb9").age_s) == (1, 2, None)
    assert (of(states, NO_SOURCE).late, of(states, NO_SOURCE).rejected) == (0, 1)


def test_an_image_that_is_grouped_is_not_in_raw_only():
    raw = [RawHeaders("p", "sb0", T0_US, DIGEST, T0_US, PixelOrder.FITS)]
    assert not of(source_states([entry(0)], raw, [], T0_US), "sb0").in_raw_only


def test_retention_by_time():
    kept = Retention.of({"retention.ms": "60000", "retention.bytes": "-1"})
    assert seconds_left(kept, Unread(5, age_s=20, record_bytes=10, appended_per_s=1)) == 40
    assert seconds_left(kept, Unread(5, age_s=70, record_bytes=10, appended_per_s=1)) == 0
    assert seconds_left(kept, None) is None


def test_retention_by_bytes_comes_first_where_the_topic_grows():
    kept = Retention.of({"retention.ms": "60000", "retention.bytes": "1000"})
    assert seconds_left(kept, Unread(20, age_s=0, record_bytes=10, appended_per_s=4)) == 20
    assert seconds_left(kept, Unread(20, age_s=0, record_bytes=10, appended_per_s=0)) == 60
    assert seconds_left(kept, Unread(200, age_s=0, record_bytes=10, appended_per_s=4)) == 0


def test_without_retention_nothing_is_lost():
    kept = Retention.of({"retention.ms": "-1", "retention.bytes": ""})
    assert seconds_left(kept, Unread(20, age_s=0, record_bytes=10, appended_per_s=4)) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0 s"),
        (0.0123, "0.0123 s"),
        (12.34, "12.3 s"),
        (245, "4 min 05 s"),
        (11_220, "3 h 07 min"),
        (187_200, "2 d 04 h"),
        (-3, "-3.0 s"),
    ],
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text


def test_bytes_and_shares():
    assert [bytes_text(size) for size in (0, 999, 4_194_304, 2e13)] == [
        "0 bytes", "999 bytes", "4.19 MB", "20 TB"
    ]  # fmt: skip
    assert [share_text(share) for share in (None, 0, 0.00001, 0.125)] == [
        "-",
        "0.00 %",
        "< 0.01 %",
        "12.50 %",
    ]


def test_text_of_others_does_not_steer_a_terminal():
    assert "\x1b" not in printable("\x1b[31mred")
