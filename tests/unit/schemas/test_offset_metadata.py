import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import OffsetMetadataError, RejectReason
from schemas.offset_metadata import MAX_LENGTH, OffsetMetadata, RegroupRun

offsets = st.integers(0, 2**63 - 1)


def test_the_text():
    assert (
        OffsetMetadata(12, 3, {"sb3": 2}).encode() == '{"v":1,"read_to":12,"catalogue":3,"missed":{"sb3":2}}'
    )
    assert OffsetMetadata(12, 3, {}).encode() == '{"v":1,"read_to":12,"catalogue":3}'


def test_what_a_regrouping_was_begun_as_stays_whatever_has_no_room():
    run = RegroupRun(7, {"grace_s": "20", "expected": "sb0,sb1"})
    metadata = OffsetMetadata(5, 0, regroup=run)
    assert metadata.encode() == (
        '{"v":1,"read_to":5,"catalogue":0,"regroup":{"end":7,"rules":{"grace_s":"20","expected":"sb0,sb1"}}}'
    )
    assert OffsetMetadata.decode(metadata.encode()) == metadata
    names = {f"source-{number:04d}": 1 for number in range(300)}
    full = OffsetMetadata(5_000, 0, names, frozenset(range(0, 4_000, 2)), run)
    assert OffsetMetadata.decode(full.encode()) == OffsetMetadata(5_000, 0, {}, None, run)


def test_rules_of_others_are_bounded():
    regroup = {"end": 1, "rules": {"a": "é" * 400}}  # six characters each, as JSON writes them
    with pytest.raises(OffsetMetadataError, match="more than 2000"):
        OffsetMetadata.decode(json.dumps({"v": 1, "read_to": 5, "catalogue": 0, "regroup": regroup}))


@pytest.mark.parametrize("text", ['{"end":-1,"rules":{}}', '{"end":1}', '{"end":1,"rules":{"a":1}}', "[]"])
def test_what_is_no_regrouping_is_refused(text):
    with pytest.raises(OffsetMetadataError):
        OffsetMetadata.decode(f'{{"v":1,"read_to":5,"catalogue":0,"regroup":{text}}}')


def test_offsets_that_wait_are_ranges_below_read_to():
    metadata = OffsetMetadata(100, 3, {}, frozenset({91, 92, 93, 96, 99}))
    assert metadata.encode() == '{"v":1,"read_to":100,"catalogue":3,"waiting":"9-7,4,1"}'
    assert OffsetMetadata(100, 3, {}, ()).encode().endswith('"waiting":""}')
    assert OffsetMetadata.decode(OffsetMetadata(100, 3, {}, ()).encode()).waiting == frozenset()


@given(st.integers(0, 2**60), st.sets(st.integers(1, 5_000), max_size=200))
def test_offsets_that_wait_read_back(before, distances):
    read_to = before + 5_000
    metadata = OffsetMetadata(read_to, 0, {}, frozenset(read_to - distance for distance in distances))
    assert OffsetMetadata.decode(metadata.encode()) == metadata


def test_where_there_is_no_room_missed_goes_before_what_waits():
    names = {f"source-{number:04d}": 1 for number in range(300)}
    some = OffsetMetadata(5_000, 0, names, frozenset(range(0, 200, 2)))
    assert OffsetMetadata.decode(some.encode()) == OffsetMetadata(5_000, 0, {}, some.waiting)
    many = OffsetMetadata(5_000, 0, names, frozenset(range(0, 4_000, 2)))
    assert OffsetMetadata.decode(many.encode()) == OffsetMetadata(5_000, 0, {}, None)


@given(
    offsets,
    offsets,
    st.dictionaries(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True), offsets, max_size=5),
)
def test_reads_back(read_to, catalogue_from, missed):
    metadata = OffsetMetadata(read_to, catalogue_from, missed)
    assert OffsetMetadata.decode(metadata.encode()) == metadata


def test_kafkas_limit_is_kept_and_missed_goes_first():
    fits = OffsetMetadata(2**62, 2**62, {f"source-{number:04d}": 1 for number in range(238)})
    assert 3850 < len(fits.encode()) <= MAX_LENGTH
    assert OffsetMetadata.decode(fits.encode()) == fits
    too_many = OffsetMetadata(2**62, 2**62, {f"source-{number:04d}": 1 for number in range(300)})
    assert OffsetMetadata.decode(too_many.encode()) == OffsetMetadata(2**62, 2**62, {})


@given(st.dictionaries(st.text(max_size=200), st.integers(), max_size=100))
def test_never_longer_than_kafka_takes(missed):
    assert len(OffsetMetadata(2**63 - 1, 2**63 - 1, missed).encode()) <= MAX_LENGTH


def test_unknown_fields_are_left_alone():
    assert OffsetMetadata.decode('{"v":1,"read_to":1,"catalogue":2,"x":[]}') == OffsetMetadata(1, 2, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no metadata"),
        ("", "no metadata"),
        ("written by another program", "no JSON"),
        ("[]", "no JSON object"),
        ('{"read_to":1,"catalogue":2}', "no v"),
        ('{"v":2,"read_to":1,"catalogue":2}', "version 2"),
        ('{"v":1,"catalogue":2}', "no read_to"),
        ('{"v":1,"read_to":1}', "no catalogue"),
        ('{"v":1,"read_to":-1,"catalogue":2}', "read_to should be"),
        ('{"v":1,"read_to":1,"catalogue":"2"}', "catalogue should be"),
        ('{"v":1,"read_to":1,"catalogue":2,"missed":[]}', "missed"),
        ('{"v":1,"read_to":1,"catalogue":2,"waiting":[]}', "waiting"),
        ('{"v":1,"read_to":9,"catalogue":2,"waiting":"3,"}', "no list of ranges"),
        ('{"v":1,"read_to":9,"catalogue":2,"waiting":"0"}', "no list of ranges"),
        ('{"v":1,"read_to":9,"catalogue":2,"waiting":"10"}', "no raw offsets"),
        ('{"v":1,"read_to":9,"catalogue":2,"waiting":"3-4"}', "no raw offsets"),
        ('{"v":1,"read_to":9000000000,"catalogue":2,"waiting":"8000000000-1"}', "no raw offsets"),
        ('{"v":1,"read_to":1,"catalogue":2,"missed":{"sb0":"2"}}', "sb0 should be"),
    ],
)
def test_what_is_not_ours_is_named(text, message):
    with pytest.raises(OffsetMetadataError, match=message) as error:
        OffsetMetadata.decode(text)
    assert error.value.reason is RejectReason.OFFSET_METADATA


@given(st.text(max_size=60) | st.dictionaries(st.text(max_size=9), st.integers()).map(json.dumps))
def test_any_text_raises_documented_errors_only(text):
    with pytest.raises(OffsetMetadataError):
        OffsetMetadata.decode(text)
