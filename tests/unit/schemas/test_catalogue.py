import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import CatalogueEntry, ClosedBy, Member, record_time_ms
from schemas.errors import CatalogueError, RejectReason
from schemas.record_headers import group_id
from schemas.timestamp import MAX_TIMESTAMP_US
from tests.support.frames import T0_US

DIGEST = "xxh3-128:" + "0123456789abcdef" * 2
ENTRY = CatalogueEntry(
    timestamp_us=T0_US,
    revision=1,
    group_id=group_id(T0_US, 1, 40),
    complete=False,
    closed_by=ClosedBy.OVERTAKEN,
    expected=("sb0", "sb1", "sb2"),
    present=("sb0", "sb2"),
    missing=("sb1",),
    members=(
        Member("sb0", 41, DIGEST, 6.0e7, T0_US + 100),
        Member("sb2", 40, DIGEST, 6.1e7, T0_US + 200),
    ),
    first_offset=10,
    last_offset=12,
    committed_offset=39,
    read_to=45,
    catalogue_from=7,
)


def changed(**fields):
    entry = json.loads(ENTRY.to_json())
    entry.update(fields)
    return json.dumps(entry).encode()


def member(**fields):
    entry = json.loads(ENTRY.to_json())
    entry["members"][1].update(fields)
    return json.dumps(entry).encode()


def without(name):
    entry = json.loads(ENTRY.to_json())
    del entry[name]
    return json.dumps(entry).encode()


def test_the_json():
    assert json.loads(ENTRY.to_json()) == {
        "v": 1,
        "timestamp": "2026-11-23T10:00:00.000000Z",
        "revision": 1,
        "group_id": "2026-11-23T10:00:00.000000Z/r1/o40",
        "complete": False,
        "closed_by": "overtaken",
        "expected": ["sb0", "sb1", "sb2"],
        "present": ["sb0", "sb2"],
        "missing": ["sb1"],
        "members": [
            {
                "source": "sb0",
                "raw_offset": 41,
                "digest": DIGEST,
                "frequency_hz": 6.0e7,
                "receive_time": "2026-11-23T10:00:00.000100Z",
            },
            {
                "source": "sb2",
                "raw_offset": 40,
                "digest": DIGEST,
                "frequency_hz": 6.1e7,
                "receive_time": "2026-11-23T10:00:00.000200Z",
            },
        ],
        "first_offset": 10,
        "last_offset": 12,
        "committed": 39,
        "read_to": 45,
        "catalogue": 7,
    }


def test_size():
    six = replace(
        ENTRY,
        expected=tuple(f"sb{n}" for n in range(6)),
        present=tuple(f"sb{n}" for n in range(6)),
        members=tuple(Member(f"sb{n}", 10**9 + n, DIGEST, 6.0e7, T0_US) for n in range(6)),
        missing=(),
    )
    assert len(six.to_json()) < 1500  # the design says about 1 KB


def test_reads_back():
    assert CatalogueEntry.from_json(ENTRY.to_json()) == ENTRY


def test_unknown_fields_are_left_alone():
    assert CatalogueEntry.from_json(changed(later="x")) == ENTRY
    assert CatalogueEntry.from_json(member(later="x")) == ENTRY


@pytest.mark.parametrize("name", json.loads(ENTRY.to_json()))
def test_each_missing_field_is_named(name):
    with pytest.raises(CatalogueError, match=name) as error:
        CatalogueEntry.from_json(without(name))
    assert error.value.reason is RejectReason.CATALOGUE_ENTRY


WRONG = {
    "no value": (None, "no value"),
    "empty": (b"", "no JSON"),
    "not UTF-8": (b"\xff", "no JSON"),
    "cut off": (ENTRY.to_json()[:-5], "no JSON"),
    "nested without end": (b"[" * 100_000, "no JSON"),
    "a number of many digits": (b"9" * 10_000, "no JSON"),
    "a list": (b"[]", "no JSON object"),
    "null": (b"null", "no JSON object"),
    "a later version": (changed(v=2), "version 2"),
    "version as text": (changed(v="1"), "v should be"),
    "timestamp": (changed(timestamp="2026-11-23T10:00:00Z"), "timestamp"),
    "timestamp as number": (changed(timestamp=5), "timestamp should be a string"),
    "revision": (changed(revision=1.5), "revision should be"),
    "revision true": (changed(revision=True), "revision should be"),
    "offset negative": (changed(first_offset=-1), "first_offset should be"),
    "offset huge": (changed(last_offset=2**63), "last_offset should be"),
    "complete": (changed(complete=1), "complete should be true or false"),
    "closed_by": (changed(closed_by="boredom"), "closed_by is 'boredom'"),
    "expected": (changed(expected="sb0"), "expected should be a list"),
    "expected numbers": (changed(expected=[1]), "expected should be a list of strings"),
    "present": (changed(present=["sb2", "sb0"]), "present and members"),
    "members": (changed(members={}), "members should be a list"),
    "no members": (changed(members=[], present=[]), "members is empty"),
    "members of numbers": (changed(members=[1]), r"members\[0\]"),
    "member without offset": (member(raw_offset=None), r"members\[1\]: raw_offset"),
    "member with digest": (member(digest="md5:00"), r"members\[1\]: 'md5:00' is no digest"),
    "member with frequency": (member(frequency_hz="6e7"), r"members\[1\]: frequency_hz"),
    "member with frequency NaN": (member(frequency_hz=float("nan")), "frequency_hz should be a finite"),
    "member with frequency inf": (member(frequency_hz=float("inf")), "frequency_hz should be a finite"),
    "member with frequency of 400 digits": (member(frequency_hz=10**400), "frequency_hz should be a finite"),
    "member with time": (member(receive_time="now"), r"members\[1\]: receive_time"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_named(name):
    value, message = WRONG[name]
    with pytest.raises(CatalogueError, match=message) as error:
        CatalogueEntry.from_json(value)
    assert len(str(error.value)) < 300


names = st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True)
times = st.integers(0, MAX_TIMESTAMP_US)
offsets = st.integers(0, 2**63 - 1)
members = st.builds(
    Member,
    names,
    offsets,
    st.from_regex(r"xxh3-128:[0-9a-f]{32}", fullmatch=True),
    st.floats(min_value=1e-3, max_value=1e15),
    times,
)


@st.composite
def entries(draw):
    inside = tuple(draw(st.lists(members, min_size=1, max_size=6)))
    return CatalogueEntry(
        timestamp_us=draw(times),
        revision=draw(st.integers(1, 100)),
        group_id=draw(st.builds(group_id, times, st.integers(1, 9), offsets)),
        complete=draw(st.booleans()),
        closed_by=draw(st.sampled_from(ClosedBy)),
        expected=tuple(draw(st.lists(names, max_size=6))),
        present=tuple(one.source for one in inside),
        missing=tuple(draw(st.lists(names, max_size=6))),
        members=inside,
        first_offset=draw(offsets),
        last_offset=draw(offsets),
        committed_offset=draw(offsets),
        read_to=draw(offsets),
        catalogue_from=draw(offsets),
    )


@pytest.mark.parametrize(("timestamp_us", "time_ms"), [(0, 1), (999, 1), (1000, 1), (2999, 2)])
def test_a_record_s_time_is_never_what_kafka_s_clients_take_for_now(timestamp_us, time_ms):
    assert record_time_ms(timestamp_us) == time_ms


@given(entries())
def test_any_entry_reads_back(entry):
    assert CatalogueEntry.from_json(entry.to_json()) == entry


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(ENTRY.to_json()))), json_values)
def test_any_json_raises_documented_errors_only(name, value):
    try:
        CatalogueEntry.from_json(changed(**{name: value}))
    except CatalogueError as error:
        assert error.reason is RejectReason.CATALOGUE_ENTRY  # noqa: PT017 - most of them are refused
