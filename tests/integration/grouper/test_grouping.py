"""The grouper on a real Kafka: what a foreign reader finds in groups, catalogue and rejects."""

import json

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)
from prometheus_client import REGISTRY

from grouper.errors import GrouperError
from runtime.errors import MissingTopicError
from schemas.frame import HEADER_SIZE
from schemas.timestamp import format_timestamp
from schemas.window import decode_window
from tests.support.grouping import grouping
from tests.support.groups_reader import read_all, read_entries, read_groups
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import wait_until


def metric(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


def committed(raw, partition=0):
    """The committed offset and its metadata, as any client reads them."""
    consumer = Consumer({"bootstrap.servers": raw.bootstrap_servers, "group.id": f"{raw.prefix}.grouper"})
    try:
        (found,) = consumer.committed([TopicPartition(raw.names.raw, partition)], timeout=30)
    finally:
        consumer.close()
    return found.offset, json.loads(found.metadata) if found.metadata else None


def wait_for_groups(raw, count):
    def enough():
        groups = read_groups(raw.bootstrap_servers, raw.names.groups)
        return groups if len(groups) >= count else None

    return wait_until(enough, timeout=60, message=f"{count} groups")


def test_groups_hold_what_was_sent_to_the_byte_and_pixel(raw):
    with grouping(raw):
        for second in range(4):
            raw.send(at(second))
        groups = wait_for_groups(raw, 4)
    assert [group.timestamp for group in groups] == [format_timestamp(at(second)) for second in range(4)]
    for second, group in enumerate(groups):
        assert group.sources == raw.sources
        assert group.digests == {source: raw.sent[at(second), source] for source in raw.sources}
        for record in group.records:
            window = decode_window(raw.frame(at(second), record.headers["ce_subject"]))
            assert np.array_equal(record.pixels(), window.pixels)
            assert record.headers["ce_groupcomplete"] == "true"
            assert record.headers["ce_groupmissing"] == ""


def test_the_catalogue_says_where_each_group_lies(raw):
    with grouping(raw):
        raw.send(at(0))
        raw.send(at(1))
        groups = wait_for_groups(raw, 2)
    entries = read_entries(raw.bootstrap_servers, raw.names.catalogue)
    assert [entry["timestamp"] for entry in entries] == [group.timestamp for group in groups]
    for entry, group in zip(entries, groups, strict=True):
        assert entry["closed_by"] == "complete"
        assert entry["first_offset"] == group.records[0].offset
        assert entry["last_offset"] == group.records[-1].offset
        assert [member["digest"] for member in entry["members"]] == list(group.digests.values())


def test_a_group_of_1970_s_first_millisecond_stands_first_in_the_index_by_time(kafka, raw):
    """A record time of 0 would mean "now" to librdkafka."""
    with grouping(raw):
        raw.send(5)
        raw.send(at(0))
        wait_for_groups(raw, 2)
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": f"{raw.prefix}.unnamed"})
    try:
        asked = [TopicPartition(raw.names.catalogue, 0, time_ms) for time_ms in (0, 2)]
        found = [consumer.offsets_for_times([each], timeout=30)[0].offset for each in asked]
    finally:
        consumer.close()
    assert found[0] == 0
    assert found[1] > 0


def test_the_committed_offset_stays_at_the_first_record_of_an_open_group(raw):
    with grouping(raw, grace_s=60):
        raw.send(at(0))
        raw.send(at(1), "sb0", "sb1")
        raw.send(at(2), "sb0")
        wait_until(lambda: committed(raw)[0] == 3, timeout=30)
        wait_until(lambda: committed(raw)[1]["read_to"] == 6, timeout=30)
    assert committed(raw)[0] == 3


def test_incomplete_groups_are_published_with_what_they_lack(raw):
    with grouping(raw):
        raw.send(at(0), "sb0", "sb1")
        raw.send(at(1))
        groups = wait_for_groups(raw, 2)
    assert groups[0].sources == ("sb0", "sb1")
    assert groups[0].missing == ("sb2",)
    assert [e["closed_by"] for e in read_entries(raw.bootstrap_servers, raw.names.catalogue)] == [
        "overtaken",
        "complete",
    ]


def test_a_stream_that_stops_is_closed_by_quiet(raw):
    with grouping(raw, grace_s=0.5):
        raw.send(at(0), "sb0")
        wait_for_groups(raw, 1)
    (entry,) = read_entries(raw.bootstrap_servers, raw.names.catalogue)
    assert entry["closed_by"] == "quiet"


def test_repeats_conflicts_late_and_unknown_windows(raw):
    before = {
        v: metric("trapline_grouper_windows_total", verdict=v) for v in ("duplicate", "conflict", "late")
    }
    with grouping(raw):
        raw.send(at(0), "sb0", "sb1")
        raw.send(at(1))
        wait_for_groups(raw, 2)
        raw.send(at(0), "sb0")  # the same bytes again
        raw.send(at(0), "sb1", seed=7, remember=False)  # other bytes
        raw.send(at(0), "sb2", remember=False)  # too late
        raw.send(at(3), "stranger", remember=False)
        raw.send(at(2))
        groups = wait_for_groups(raw, 3)

        def rejected():
            rejects = read_all(raw.bootstrap_servers, raw.names.rejects)
            return rejects if len(rejects) >= 3 else None

        rejects = wait_until(rejected, timeout=30)
    assert len(groups) == 3
    assert [(r.headers["ce_reason"], r.headers["ce_subject"]) for r in rejects] == [
        ("conflict", "sb1"),
        ("late", "sb2"),
        ("unknown_source", "stranger"),
    ]
    assert rejects[1].value == raw.frame(at(0), "sb2")
    assert rejects[1].headers["ce_rawoffset"] == "7"
    after = {v: metric("trapline_grouper_windows_total", verdict=v) for v in before}
    assert {v: after[v] - before[v] for v in before} == {"duplicate": 1, "conflict": 1, "late": 1}


def test_unusable_records_are_rejected_and_the_rest_goes_on(raw):
    before = metric("trapline_grouper_windows_total", verdict="unusable")
    good = raw.frame(at(0), "sb0")
    with grouping(raw):
        raw.put(b"no timestamp", b"no frame", [("ce_type", b"something else")])
        raw.put(None, None, None)
        raw.send(at(0), "sb0")
        record = read_all(raw.bootstrap_servers, raw.names.raw)[-1]
        headers = [(name, value.encode()) for name, value in record.headers.items()]
        raw.put(record.key.encode(), good[: HEADER_SIZE + 100], headers)  # a duplicate by its digest: dropped
        other = [(n, b"sb1" if n == "ce_subject" else v) for n, v in headers]
        raw.put(record.key.encode(), good[: HEADER_SIZE + 100], other)  # a member by its headers, and torn
        raw.send(at(0), "sb1", "sb2")
        (group,) = wait_for_groups(raw, 1)
        rejects = wait_until(
            lambda: (
                (found := read_all(raw.bootstrap_servers, raw.names.rejects)) and len(found) == 3 and found
            ),
            timeout=30,
        )
    assert group.sources == raw.sources
    assert [reject.headers["ce_rawoffset"] for reject in rejects] == ["0", "1", "4"]
    assert metric("trapline_grouper_windows_total", verdict="unusable") == before + 3


def test_a_record_of_more_headers_than_can_be_counted_is_rejected_and_the_rest_goes_on(raw):
    """librdkafka hands out at most 100,000 headers of a record, and none where there are more."""
    with grouping(raw):
        for count in (100_000, 100_001):
            raw.put(b"many", b"x", [("h", b"")] * count)
        raw.send(at(0))
        wait_for_groups(raw, 1)
        rejects = wait_until(
            lambda: (
                (found := read_all(raw.bootstrap_servers, raw.names.rejects)) and len(found) == 2 and found
            ),
            timeout=30,
        )
    assert [reject.headers["ce_reason"] for reject in rejects] == ["record_headers"] * 2
    assert [reject.headers["ce_rawoffset"] for reject in rejects] == ["0", "1"]


def test_a_restart_forgets_nothing(raw):
    with grouping(raw):
        raw.send(at(0))
        raw.send(at(1), "sb0", "sb1")
        wait_for_groups(raw, 1)
        wait_until(lambda: (committed(raw)[1] or {}).get("read_to") == 5, timeout=30)
    raw.send(at(0))  # all of it once more, while nobody looks
    raw.send(at(1), "sb2")
    duplicates = metric("trapline_grouper_windows_total", verdict="duplicate")
    with grouping(raw):
        groups = wait_for_groups(raw, 2)
        wait_until(lambda: committed(raw)[0] == 9, timeout=30)
    assert [(g.timestamp, g.sources) for g in groups] == [
        (format_timestamp(at(0)), raw.sources),
        (format_timestamp(at(1)), raw.sources),
    ]
    assert metric("trapline_grouper_windows_total", verdict="duplicate") == duplicates + 3
    assert read_all(raw.bootstrap_servers, raw.names.rejects) == []


def test_a_missing_topic_is_a_clear_error(kafka, topic_prefix):
    nowhere = RawTopic(kafka.bootstrap_servers, topic_prefix)
    with pytest.raises(MissingTopicError, match="trapline topics create"), grouping(nowhere) as service:
        wait_until(lambda: service.errors, timeout=30)


def test_topics_with_other_numbers_of_partitions_are_refused(kafka, raw):
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.create_partitions([NewPartitions(raw.names.raw, 2)]).values():
        future.result(30)
    with pytest.raises(GrouperError, match="different numbers of partitions"), grouping(raw) as service:
        wait_until(lambda: service.errors, timeout=30)


def set_topic(kafka, topic, name, value):
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


def test_a_record_larger_than_the_topic_takes_stops_the_grouper_with_the_settings_name(kafka, raw):
    def lower_and_send():
        with grouping(raw) as service:
            wait_until(lambda: service._owned, timeout=60)
            set_topic(kafka, raw.names.groups, "max.message.bytes", "5000")
            raw.send(at(0), shape=(64, 64))
            wait_until(lambda: service.errors, timeout=60)

    with pytest.raises(GrouperError, match=r"max\.message\.bytes"):
        lower_and_send()
    # Nothing is lost: with the limit mended the same window goes through.
    set_topic(kafka, raw.names.groups, "max.message.bytes", "70000000")
    with grouping(raw):
        wait_for_groups(raw, 1)


def test_retention_that_overtook_the_grouper_is_counted_and_it_goes_on(kafka, raw):
    with grouping(raw):
        raw.send(at(0))
        wait_for_groups(raw, 1)
    raw.send(at(1))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    partition = TopicPartition(raw.names.raw, 0, 6)
    for future in admin.delete_records([partition]).values():
        future.result(30)
    lost = metric("trapline_grouper_lost_records_total")
    with grouping(raw):
        raw.send(at(2))
        groups = wait_for_groups(raw, 2)
    assert [group.timestamp for group in groups] == [format_timestamp(at(0)), format_timestamp(at(2))]
    assert metric("trapline_grouper_lost_records_total") == lost + 3


def test_a_catalogue_that_cannot_be_read_to_its_end_is_an_error_that_names_the_place(raw, monkeypatch):
    """Another writer's open transaction holds the catalogue back: grouping on would group twice."""
    monkeypatch.setattr("grouper.catalogue_log.READ_DEADLINE_S", 3.0)
    raw.send(at(0))
    with grouping(raw):
        wait_for_groups(raw, 1)
    foreign = Producer(
        {
            "bootstrap.servers": raw.bootstrap_servers,
            "transactional.id": f"{raw.prefix}-foreign",
            "log_level": 0,
        }
    )
    foreign.init_transactions(30)
    foreign.begin_transaction()
    foreign.produce(raw.names.catalogue, value=b"{}", key=b"x")
    foreign.flush(30)
    with (
        pytest.raises(GrouperError, match=r"can be read only to offset 2 of 3.*find-hanging"),
        grouping(raw) as service,
    ):
        wait_until(lambda: service.errors, timeout=60)
    foreign.abort_transaction(30)
