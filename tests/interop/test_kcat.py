"""kcat reads the four topics: what a consumer sees that has none of our code."""

import json
import os
import pty
import re
import shlex
from collections import defaultdict
from pathlib import Path

import jsonschema
import pytest

from runtime.settings import TraplineSettings, load_settings
from schemas.timestamp import format_timestamp
from tests.interop.foreign_tools import must_run
from tests.interop.pictures import NAMES
from tests.support.grouping import GrouperProcess, grouping
from tests.support.groups_reader import read_all, read_entries
from tests.support.published_groups import GroupPublisher
from tests.support.raw_topic import START_US, at
from tests.support.waiting import wait_until

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]


def schema(name):
    """A validator of a JSON Schema as it lies in the repository."""
    text = json.loads((ROOT / "schemas" / "json" / f"{name}.schema.json").read_text())
    return jsonschema.Draft202012Validator(text)


def wait_for_entries(raw, count):
    wait_until(
        lambda: len(read_entries(raw.bootstrap_servers, raw.names.catalogue)) >= count,
        f"{count} groups",
        timeout=90,
    )


def assert_exactly(raw, records, seconds):
    """Each second's group once, whole, in order, with the digests of what was sent."""
    by_group = defaultdict(list)
    for record in records:
        by_group[record.headers["ce_groupid"]].append(record)
    groups = list(by_group.values())
    assert [group[0].key for group in groups] == [format_timestamp(at(second)) for second in seconds]
    for second, group in zip(seconds, groups, strict=True):
        assert {record.key for record in group} == {group[0].key}
        assert [record.headers["ce_groupindex"] for record in group] == ["0", "1", "2"]
        assert {record.headers["ce_groupsize"] for record in group} == {"3"}
        assert {record.headers["ce_subject"]: record.headers["ce_digest"] for record in group} == {
            source: raw.sent[at(second), source] for source in raw.sources
        }


def test_read_committed_shows_the_committed_groups_and_nothing_else(raw, kcat):
    """A grouper killed inside a transaction, and another producer's aborted and open ones, lie between."""
    groups = raw.names.groups
    static = {"group_instance_id": "grouper-0", "session_timeout_s": 6}
    raw.send(at(0))
    with GrouperProcess(raw, "after_image", 1, "kill", 2, **static) as grouper:
        grouper.wait_for_fault()
    settings = load_settings(
        TraplineSettings,
        overrides={"bootstrap_servers": raw.bootstrap_servers, "topic_prefix": raw.prefix},
        known=[],
    )
    foreign = GroupPublisher(settings, name="foreign")
    with grouping(raw, **static):
        raw.send(at(1))
        wait_for_entries(raw, 2)
        foreign.publish(at(50), abort=True)
        raw.send(at(2))
        wait_for_entries(raw, 3)
    assert_exactly(raw, kcat.records(groups), range(3))
    # The proof that they lay there: two images of the killed grouper, three of the other producer.
    seen = {record.offset for record in kcat.records(groups)}
    hidden = [r for r in kcat.records(groups, "read_uncommitted") if r.offset not in seen]
    assert [(record.key, record.headers["ce_groupindex"]) for record in hidden] == [
        *((format_timestamp(at(0)), index) for index in "01"),
        *((format_timestamp(at(50)), index) for index in "012"),
    ]
    assert hidden[0].offset < min(seen) < hidden[2].offset < max(seen)

    commit = foreign.open(at(60))
    assert len(kcat.records(groups, "read_uncommitted")) == len(seen) + len(hidden) + 3
    assert {record.offset for record in kcat.records(groups)} == seen
    commit()
    assert len(kcat.records(groups)) == len(seen) + 3


def test_keys_and_headers_are_text_as_the_schema_says(published):
    records = sorted(published.records.values(), key=lambda record: record.offset)
    assert [record.headers["ce_subject"] for record in records] == list(NAMES)
    check = schema("image-headers")
    for index, record in enumerate(records):
        check.validate(record.headers)
        assert record.key == format_timestamp(START_US)
        assert record.headers["ce_time"] == record.key
        assert record.headers["ce_groupindex"] == str(index)
        assert record.headers["ce_groupsize"] == record.headers["ce_groupexpected"] == str(len(NAMES))
        assert record.headers["ce_groupcomplete"] == "true"
        picture = published.pictures[record.headers["ce_subject"]]
        assert record.headers["ce_pixelorder"] == picture.pixel_order.value
        assert float(record.headers["ce_frequency"]) == picture.cards.get("RESTFREQ", 6.0e7)


def test_values_written_to_disk_are_the_records_values_to_the_byte(published, kafka):
    records = read_all(kafka.bootstrap_servers, published.names.groups)  # confluent-kafka's word for it
    values = {record.headers["ce_subject"]: record.value for record in records}
    assert {source: file.read_bytes() for source, file in published.files.items()} == values
    assert {source: record.value for source, record in published.records.items()} == values


def test_raw_holds_the_frames_verbatim(published, kcat):
    records = kcat.records(published.names.raw)
    check = schema("raw-headers")
    for record in records:
        check.validate(record.headers)
    values = {record.headers["ce_subject"]: record.value for record in records}
    assert values == {source: picture.frame for source, picture in published.pictures.items()}


def test_the_catalogue_is_lines_of_json(published, kcat):
    (line,) = kcat.consume(published.names.catalogue, "-X", "isolation.level=read_committed").splitlines()
    entry = json.loads(line)
    schema("catalogue-entry").validate(entry)
    offsets = {source: record.offset for source, record in published.records.items()}
    assert entry["timestamp"] == format_timestamp(START_US)
    assert entry["present"] == [member["source"] for member in entry["members"]] == list(NAMES)
    assert (entry["first_offset"], entry["last_offset"]) == (min(offsets.values()), max(offsets.values()))
    for member in entry["members"]:
        assert member["digest"] == published.records[member["source"]].headers["ce_digest"]
    # kcat's own JSON, with the headers as fields.
    (line,) = kcat.consume(
        published.names.catalogue, "-X", "isolation.level=read_committed", "-J"
    ).splitlines()
    envelope = json.loads(line)
    names = envelope["headers"][::2]
    schema("catalogue-headers").validate(dict(zip(names, envelope["headers"][1::2], strict=True)))
    assert json.loads(envelope["payload"]) == entry


def test_the_catalogue_can_be_asked_by_observation_time(published, kcat):
    """Its records bear the groups' timestamps, so -o s@ (milliseconds) is a search by time."""
    timestamp_ms = START_US // 1000
    options = ("-X", "isolation.level=read_committed", "-f", "%k\n", "-o")
    topic = published.names.catalogue
    assert kcat.consume(topic, *options, f"s@{timestamp_ms}").decode().split() == [format_timestamp(START_US)]
    assert kcat.consume(topic, *options, f"s@{timestamp_ms + 1}") == b""


def test_rejects_say_why(raw, kcat):
    with grouping(raw):
        raw.send(at(0), "sb0", "sb1")
        raw.send(at(1))
        wait_for_entries(raw, 2)
        raw.send(at(0), "sb1", seed=7, remember=False)  # other bytes than before
        raw.send(at(0), "sb2", remember=False)  # too late
        raw.send(at(3), "stranger", remember=False)
        raw.put(b"no timestamp", b"no frame", [("ce_type", b"something else")])
        raw.put(None, None, None)
        raw.flush()
        wait_until(
            lambda: len(read_all(raw.bootstrap_servers, raw.names.rejects)) >= 5, "5 rejects", timeout=60
        )
    rejects = kcat.records(raw.names.rejects)
    check = schema("reject-headers")
    for record in rejects:
        check.validate(record.headers)
        assert record.headers["ce_detail"]
    assert [
        (r.headers["ce_reason"], r.headers.get("ce_subject"), r.headers["ce_rawoffset"]) for r in rejects
    ] == [
        ("conflict", "sb1", "5"),
        ("late", "sb2", "6"),
        ("unknown_source", "stranger", "7"),
        ("record_headers", None, "8"),
        ("record_headers", None, "9"),
    ]
    assert rejects[1].value == raw.frame(at(0), "sb2")
    assert rejects[3].value == b"no frame"


def test_the_readmes_command_works_in_a_terminal(published, kafka):
    (line,) = re.findall(r"^\$ (kcat .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    words = shlex.split(
        line.replace("localhost:9092", kafka.bootstrap_servers).replace("aartfaac", published.names.prefix)
    )
    assert words[0] == "kcat"
    leader, terminal = pty.openpty()
    try:
        output = must_run("kcat", *words[1:], "-e", feed=terminal)
    finally:
        os.close(leader)
        os.close(terminal)
    assert output.count(b"content-type=application/fits") == len(NAMES)
