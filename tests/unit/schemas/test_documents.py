"""The JSON Schemas and the AsyncAPI document say what the code does, no more and no less."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from schemas.catalogue import CatalogueEntry, ClosedBy, Member
from schemas.documents import JSON_SCHEMAS, asyncapi, json_schema
from schemas.errors import RecordHeaderError, RejectReason
from schemas.offset_metadata import OffsetMetadata, RegroupRun
from schemas.pixel_order import PixelOrder
from schemas.record_headers import CatalogueHeaders, ImageHeaders, RawHeaders, RejectHeaders, group_id
from schemas.replay_mark import ReplayMark
from schemas.timestamp import MAX_TIMESTAMP_US, timestamp_key
from schemas.topics import TopicNames, topic_specs

VALIDATORS = {name: Draft202012Validator(json_schema(name)) for name in JSON_SCHEMAS}
DOCUMENT: dict[str, Any] = yaml.safe_load(asyncapi())
DIGEST = "xxh3-128:" + "0123456789abcdef" * 2

times = st.integers(0, MAX_TIMESTAMP_US)
names = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
offsets = st.integers(0, 2**63 - 1)
revisions = st.integers(1, 1000)
digests = st.from_regex(r"xxh3-128:[0-9a-f]{32}", fullmatch=True)
frequencies = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
orders = st.sampled_from(PixelOrder)
group_ids = st.builds(group_id, times, revisions, offsets)
marks = st.none() | st.builds(ReplayMark, names, st.integers(0, 2**31 - 1), offsets, times)

HEADER_SETS = {
    "raw-headers": st.builds(RawHeaders, names, names, times, digests, times, orders),
    "image-headers": st.builds(
        ImageHeaders,
        prefix=names,
        source=names,
        timestamp_us=times,
        group_id=group_ids,
        index=st.integers(0, 10),
        size=st.integers(11, 20),
        expected=st.integers(0, 30),
        complete=st.booleans(),
        missing=st.lists(names, max_size=4).map(tuple),
        revision=revisions,
        receive_time_us=times,
        pixel_order=orders,
        digest=digests,
        raw_offset=offsets,
        frequency_hz=frequencies,
        replay=marks,
    ),
    "catalogue-headers": st.builds(CatalogueHeaders, names, times, group_ids, marks),
    "reject-headers": st.builds(
        RejectHeaders,
        prefix=names,
        stage=st.sampled_from(["connector", "grouper"]),
        source=st.none() | names,
        timestamp_us=st.none() | times,
        reason=st.sampled_from(RejectReason),
        detail=st.text(max_size=700),
        receive_time_us=times,
        total_bytes=offsets,
        truncated=st.booleans(),
        digest=st.none() | digests,
        raw_partition=st.none() | offsets,
        raw_offset=st.none() | offsets,
    ),
}
MARK = ReplayMark("aartfaac.groups", 0, 5, 6)
FULL = {
    "raw-headers": RawHeaders("aartfaac", "sb0", 0, DIGEST, 1, PixelOrder.FITS),
    "image-headers": ImageHeaders(
        prefix="aartfaac",
        source="sb0",
        timestamp_us=0,
        group_id=group_id(0, 1, 2),
        index=0,
        size=1,
        expected=1,
        complete=True,
        missing=(),
        revision=1,
        receive_time_us=3,
        pixel_order=PixelOrder.FITS,
        digest=DIGEST,
        raw_offset=2,
        frequency_hz=6.0e7,
        replay=MARK,
    ),
    "catalogue-headers": CatalogueHeaders("aartfaac", 0, group_id(0, 1, 2), MARK),
    "reject-headers": RejectHeaders(
        prefix="aartfaac",
        stage="grouper",
        source="sb0",
        timestamp_us=0,
        reason=RejectReason.LATE,
        detail="late",
        receive_time_us=1,
        total_bytes=2,
        truncated=False,
        digest=DIGEST,
        raw_partition=3,
        raw_offset=4,
    ),
}


def texts(headers):
    return {name: value.decode("utf-8") for name, value in headers.encode()}


@pytest.mark.parametrize("name", JSON_SCHEMAS)
def test_each_schema_is_one(name):
    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert all(field.get("description") for field in schema["properties"].values())


def test_an_unknown_schema_is_named():
    with pytest.raises(ValueError, match="no JSON Schema is called 'x'"):
        json_schema("x")


@pytest.mark.parametrize("name", HEADER_SETS)
@given(data=st.data())
def test_headers_the_code_writes_are_valid(name, data):
    VALIDATORS[name].validate(texts(data.draw(HEADER_SETS[name])))


@pytest.mark.parametrize("name", FULL)
def test_headers_are_the_same_set_in_code_and_schema(name):
    schema = json_schema(name)
    full = texts(FULL[name])
    assert full.keys() == schema["properties"].keys()
    assert schema["additionalProperties"] is False
    optional = schema["properties"].keys() - set(schema["required"])
    mark = {"ce_replayof", "ce_replaytime"}
    assert (
        optional
        == {
            "raw-headers": set(),
            "image-headers": mark,
            "catalogue-headers": mark,
            "reject-headers": {"ce_time", "ce_subject", "ce_digest", "ce_rawpartition", "ce_rawoffset"},
        }[name]
    )


@pytest.mark.parametrize("name", ["image-headers", "catalogue-headers"])
@pytest.mark.parametrize("half", ["ce_replayof", "ce_replaytime"])
def test_half_a_mark_of_a_replay_is_refused_by_schema_and_code(name, half):
    kept = [(key, value) for key, value in FULL[name].encode() if key != half]
    with pytest.raises(ValidationError):
        VALIDATORS[name].validate({key: value.decode() for key, value in kept})
    with pytest.raises(RecordHeaderError, match=half):
        type(FULL[name]).decode(kept)


@pytest.mark.parametrize("name", FULL)
def test_a_header_more_or_less_or_empty_is_invalid(name):
    validator = VALIDATORS[name]
    full = texts(FULL[name])
    validator.validate(full)
    with pytest.raises(ValidationError):
        validator.validate(full | {"ce_new": "x"})
    for header in json_schema(name)["required"]:
        with pytest.raises(ValidationError):
            validator.validate({key: value for key, value in full.items() if key != header})
        if header in {"ce_detail", "ce_groupmissing"}:
            continue
        with pytest.raises(ValidationError):
            validator.validate(full | {header: ""})


@pytest.mark.parametrize("name", FULL)
def test_what_a_schema_finds_valid_the_code_reads(name):
    """The other direction, for the least a schema asks for."""
    required = json_schema(name)["required"]
    least = [(key, value) for key, value in FULL[name].encode() if key in required]
    VALIDATORS[name].validate({key: value.decode() for key, value in least})
    type(FULL[name]).decode(least)


ENTRY = CatalogueEntry(
    timestamp_us=0,
    revision=1,
    group_id=group_id(0, 1, 2),
    complete=True,
    closed_by=ClosedBy.COMPLETE,
    expected=("sb0",),
    present=("sb0",),
    missing=(),
    members=(Member("sb0", 2, DIGEST, 6.0e7, 1),),
    first_offset=1,
    last_offset=1,
    committed_offset=3,
    read_to=3,
    catalogue_from=0,
)


@given(
    revision=revisions,
    complete=st.booleans(),
    closed_by=st.sampled_from(ClosedBy),
    expected=st.lists(names, max_size=5, unique=True).map(tuple),
    missing=st.lists(names, max_size=5, unique=True).map(tuple),
    members=st.lists(
        st.builds(Member, names, offsets, digests, frequencies, times),
        min_size=1,
        max_size=4,
        unique_by=lambda one: one.source,
    ).map(tuple),
    first_offset=offsets,
    read_to=offsets,
)
def test_catalogue_entries_the_code_writes_are_valid(members, **fields):
    entry = replace(ENTRY, members=members, present=tuple(one.source for one in members), **fields)
    VALIDATORS["catalogue-entry"].validate(json.loads(entry.to_json()))


@pytest.mark.parametrize("at", ["entry", "member"])
def test_a_field_more_or_less_is_invalid(at):
    validator = VALIDATORS["catalogue-entry"]
    whole = json.loads(ENTRY.to_json())
    validator.validate(whole)
    for name in whole if at == "entry" else whole["members"][0]:
        changed = json.loads(ENTRY.to_json())
        del (changed if at == "entry" else changed["members"][0])[name]
        with pytest.raises(ValidationError):
            validator.validate(changed)
    changed = json.loads(ENTRY.to_json())
    (changed if at == "entry" else changed["members"][0])["new"] = 1
    with pytest.raises(ValidationError):
        validator.validate(changed)


regroup_runs = st.builds(RegroupRun, offsets, st.dictionaries(st.text(max_size=20), st.text(max_size=20)))


@given(
    st.integers(200, 2**63 - 1),
    offsets,
    st.dictionaries(names, st.integers(0, 100), max_size=5),
    st.none() | st.sets(st.integers(1, 200), max_size=20),
    st.none() | regroup_runs,
)
def test_offset_metadata_the_code_writes_is_valid(read_to, catalogue_from, missed, waiting, regroup):
    below = None if waiting is None else frozenset(read_to - distance for distance in waiting)
    text = OffsetMetadata(read_to, catalogue_from, missed, below, regroup).encode()
    VALIDATORS["offset-metadata"].validate(json.loads(text))
    with pytest.raises(ValidationError):
        VALIDATORS["offset-metadata"].validate(json.loads(text) | {"new": 1})


def test_closed_sets_are_the_same_in_code_and_schema():
    assert json_schema("reject-headers")["properties"]["ce_reason"]["enum"] == [*RejectReason]
    assert json_schema("catalogue-entry")["properties"]["closed_by"]["enum"] == [*ClosedBy]
    for name in ("raw-headers", "image-headers"):
        assert json_schema(name)["properties"]["ce_pixelorder"]["enum"] == [*PixelOrder]


CHANNELS = {
    "raw": ("frame", "raw-headers", None),
    "groups": ("image", "image-headers", None),
    "catalogue": ("group", "catalogue-headers", "catalogue-entry"),
    "rejects": ("reject", "reject-headers", None),
}


def resolve(reference):
    node = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def references(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_asyncapi_version_and_every_reference():
    assert DOCUMENT["asyncapi"] == "3.0.0"
    for reference in references(DOCUMENT):
        if reference.startswith("#/"):
            assert resolve(reference)
        else:
            assert json_schema(reference.removeprefix("./").removesuffix(".schema.json"))


def test_asyncapi_has_the_four_topics():
    assert DOCUMENT["channels"].keys() == CHANNELS.keys()
    addresses = [
        channel["address"].replace("{prefix}", "aartfaac") for channel in DOCUMENT["channels"].values()
    ]
    assert tuple(addresses) == TopicNames("aartfaac").all()
    assert DOCUMENT["components"]["parameters"]["prefix"]["default"] == "aartfaac"


@pytest.mark.parametrize("topic", CHANNELS)
def test_asyncapi_messages(topic):
    message_name, headers, payload = CHANNELS[topic]
    (reference,) = (message["$ref"] for message in DOCUMENT["channels"][topic]["messages"].values())
    assert reference == f"#/components/messages/{message_name}"
    message = resolve(reference)
    assert message["headers"] == {"$ref": f"./{headers}.schema.json"}
    properties = json_schema(headers)["properties"]
    assert message["name"] == properties["ce_type"]["const"]
    assert message["contentType"] == properties["content-type"]["const"]
    if payload is not None:
        assert message["payload"] == {"$ref": f"./{payload}.schema.json"}
    pattern = message["bindings"]["kafka"]["key"]["pattern"]
    assert re.fullmatch(pattern, timestamp_key(1_795_428_000_000_000).decode())
    assert not re.fullmatch(pattern, "2026-11-23T10:00:00Z")


def test_asyncapi_topic_settings_are_those_the_topics_get():
    for spec, (topic, channel) in zip(
        topic_specs(TopicNames("aartfaac")), DOCUMENT["channels"].items(), strict=True
    ):
        assert spec.name.endswith(f".{topic}")
        binding = channel["bindings"]["kafka"]
        assert binding["partitions"] == spec.partitions
        written = {name: as_kafka_writes(value) for name, value in binding["topicConfiguration"].items()}
        assert written == spec.config


def as_kafka_writes(value):
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)


def test_asyncapi_operations_name_who_writes_what():
    written = {
        (operation["action"], operation["channel"]["$ref"].rpartition("/")[2])
        for operation in DOCUMENT["operations"].values()
    }
    assert written == {
        ("send", "raw"), ("receive", "raw"), ("send", "groups"), ("send", "catalogue"), ("send", "rejects"),
    }  # fmt: skip
    for operation in DOCUMENT["operations"].values():
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])
