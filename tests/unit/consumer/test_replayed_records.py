from dataclasses import replace

from consumer.assembly import ImageRecord
from consumer.catalogue import CatalogueRecord
from consumer.group import group_from
from consumer.replay import PastGroup
from consumer.replayed_records import ReplayedRecords
from schemas.catalogue import CatalogueEntry, ClosedBy, Member
from schemas.pixel_order import PixelOrder
from schemas.record_headers import CatalogueHeaders, ImageHeaders, group_id
from schemas.replay_mark import ReplayMark
from schemas.topics import TopicNames
from tests.support.published_groups import SOURCES, START_US, frequency_hz

DIGEST = "xxh3-128:" + "0123456789abcdef" * 2
BEGAN_US = START_US + 1
RECORDS = ReplayedRecords(TopicNames("first"), BEGAN_US)
MEMBERS = tuple(
    Member(source, 40 + index, DIGEST, frequency_hz(source), 7) for index, source in enumerate(SOURCES)
)
ENTRY = CatalogueEntry(
    timestamp_us=START_US,
    revision=1,
    group_id=group_id(START_US, 1, 40),
    complete=False,
    closed_by=ClosedBy.GRACE,
    expected=(*SOURCES, "sb3"),
    present=SOURCES,
    missing=("sb3",),
    members=MEMBERS,
    first_offset=100,
    last_offset=104,
    committed_offset=43,
    read_to=43,
    catalogue_from=9,
)
HEADERS = tuple(
    ImageHeaders(
        prefix="first",
        source=member.source,
        timestamp_us=START_US,
        group_id=ENTRY.group_id,
        index=index,
        size=3,
        expected=4,
        complete=False,
        missing=("sb3",),
        revision=1,
        receive_time_us=7,
        pixel_order=PixelOrder.TRANSPOSED,
        digest=DIGEST,
        raw_offset=member.raw_offset,
        frequency_hz=member.frequency_hz,
    )
    for index, member in enumerate(MEMBERS)
)


def past(sources=(), replay=None):
    records = [
        ImageRecord(2, 100 + 2 * index, replace(headers, replay=replay), b"fits %d" % index)
        for index, headers in enumerate(HEADERS)
    ]
    found = CatalogueRecord(2, 17, START_US, ENTRY.to_json())
    return PastGroup(found, group_from(records).only(sources))


def test_a_whole_group_keeps_order_values_and_headers_but_for_the_mark():
    made = list(RECORDS.images(past().group))
    assert [value for value, _ in made] == [b"fits 0", b"fits 1", b"fits 2"]
    for index, (_, headers) in enumerate(made):
        mark = ReplayMark("first.groups", 2, 100 + 2 * index, BEGAN_US)
        assert headers == HEADERS[index].encode() + mark.encode()


def test_the_entry_of_a_whole_group_has_new_offsets_and_no_position_in_raw():
    made = RECORDS.entry(past(), first_offset=5, last_offset=9)
    assert made == replace(
        ENTRY, first_offset=5, last_offset=9, committed_offset=0, read_to=0, catalogue_from=0
    )
    headers = CatalogueHeaders.decode(RECORDS.entry_headers(past()))
    assert headers.group_id == ENTRY.group_id
    assert headers.replay == ReplayMark("first.catalogue", 2, 17, BEGAN_US)


def test_what_is_left_of_a_group_is_a_whole_group():
    part = past(("sb2", "sb0"))
    made = [ImageHeaders.decode(headers) for _, headers in RECORDS.images(part.group)]
    assert [(each.source, each.index, each.size) for each in made] == [("sb0", 0, 2), ("sb2", 1, 2)]
    assert {(each.expected, each.complete, each.missing) for each in made} == {(2, True, ())}
    entry = RECORDS.entry(part, first_offset=5, last_offset=9)
    assert (entry.present, entry.missing, entry.expected) == (("sb0", "sb2"), (), ("sb0", "sb2"))
    assert (entry.complete, [member.source for member in entry.members]) == (True, ["sb0", "sb2"])


def test_a_source_that_nobody_expected_is_missing_where_it_was_asked_for():
    entry = RECORDS.entry(past(("sb0", "sb9")), first_offset=5, last_offset=9)
    assert (entry.present, entry.missing, entry.complete) == (("sb0",), ("sb9",), False)


def test_a_replay_of_a_replay_keeps_the_first_place():
    first = ReplayMark("origin.groups", 0, 3, START_US - 1)
    again = past(replay=first)
    for _, headers in RECORDS.images(again.group):
        assert ImageHeaders.decode(headers).replay == replace(first, began_us=BEGAN_US)
    assert CatalogueHeaders.decode(RECORDS.entry_headers(again)).replay == replace(first, began_us=BEGAN_US)
