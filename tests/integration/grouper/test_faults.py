"""What goes wrong around the grouper: it goes on by itself, or stops and says what helps."""

import re
import threading
import time

import psutil
import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

import grouper.ownership
import runtime.written_topics
from grouper.errors import GrouperError, SessionLostError, TransactionAbortedError
from grouper.service import GrouperService
from grouper.session import Session
from grouper.steps import Step
from runtime.errors import TopicCheckError
from runtime.health import Heartbeat
from runtime.shutdown import Shutdown
from schemas.timestamp import format_timestamp
from schemas.topics import RECORD_HEADROOM
from tests.integration.grouper.test_grouping import committed, metric, set_topic, wait_for_groups
from tests.support.foreign_headers import put_with_headers
from tests.support.grouping import grouping, settings_of
from tests.support.groups_reader import read_all
from tests.support.raw_topic import RawTopic, at
from tests.support.told import Told
from tests.support.waiting import timeout_s, wait_until


def rejects_of(raw):
    return [r.headers["ce_reason"] for r in read_all(raw.bootstrap_servers, raw.names.rejects)]


def test_a_broker_that_dies_during_a_recovery_is_waited_for(own_kafka, topic_prefix, monkeypatch):
    raw = RawTopic(own_kafka.bootstrap_servers, topic_prefix).create()
    raw.send(at(0))
    rejoins = metric("trapline_grouper_rejoins_total")
    recover = grouper.ownership.recover
    killed = threading.Event()

    def kill_first(*args, **kwargs):
        if not killed.is_set():
            own_kafka.kill()
            killed.set()
        return recover(*args, **kwargs)

    monkeypatch.setattr(grouper.ownership, "recover", kill_first)
    with grouping(raw) as service:
        assert killed.wait(timeout_s(60))
        # A broker that is back at once answers within the recovery's own time-outs.
        wait_until(lambda: service.errors or metric("trapline_grouper_rejoins_total") > rejoins, timeout=90)
        own_kafka.start()
        wait_until(lambda: service.errors or service._owned, timeout=90)
        assert not service.errors
        wait_for_groups(raw, 1)
    raw.close()


def test_a_stop_while_kafka_hangs_in_a_commit_is_bounded(own_kafka, topic_prefix):
    raw = RawTopic(own_kafka.bootstrap_servers, topic_prefix).create()
    paused = threading.Event()

    def pause_in_commit(step, _images):
        if step is Step.COMMITTING and not paused.is_set():
            own_kafka.pause()
            paused.set()

    service = GrouperService(settings_of(raw), Heartbeat(), on_step=pause_in_commit)
    shutdown = Shutdown()
    thread = threading.Thread(target=service.run, args=(shutdown,), name="grouper")
    thread.start()
    try:
        raw.send(at(0))
        assert paused.wait(timeout_s(60))
        shutdown.request()
        thread.join(timeout_s(45))
        assert not thread.is_alive()
    finally:
        own_kafka.resume()
        thread.join(timeout_s(60))
    raw.close()


def test_while_transactions_abort_nothing_more_is_taken_in(raw):
    """Else a Kafka that refuses for hours fills the memory."""
    aborts = 0

    def fail(step, _images):
        nonlocal aborts
        if step is Step.AFTER_ENTRIES and aborts < 20:
            aborts += 1
            raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT, "a record timed out"))

    raw.send(at(0))
    most = 0
    with grouping(raw, on_step=fail) as service:
        wait_until(lambda: aborts, timeout=30)
        for second in range(1, 20):
            raw.send(at(second))

        def over():
            nonlocal most
            most = max([most, *(len(owned.state._pending) for owned in list(service._owned.values()))])
            return aborts == 20

        wait_until(over, timeout=60)
        groups = wait_for_groups(raw, 20)
    assert len(groups) == 20
    assert most <= 2  # the one that failed, and one closed before the partition was held back


@pytest.mark.parametrize(
    ("topic", "setting", "values"),
    [
        ("groups", "max.message.bytes", ("5000", "at least 68157440")),
        ("catalogue", "max.message.bytes", ("5000", "at least 2097152")),
        ("rejects", "max.message.bytes", ("5000", "at least 68157440")),
        ("catalogue", "message.timestamp.after.max.ms", ("3600000", f"at least {2**63 - 1}")),
        ("groups", "message.timestamp.type", ("CreateTime", "LogAppendTime")),
    ],
)
def test_a_topic_that_would_refuse_records_stops_it_before_it_reads_any(kafka, raw, topic, setting, values):
    name, (value, needed) = getattr(raw.names, topic), values
    set_topic(kafka, name, setting, value)
    text = rf"{re.escape(f'{name}: {setting}: {value}, should be {needed}: ')}.*--add-config {setting}="
    with pytest.raises(TopicCheckError, match=text), grouping(raw) as service:
        wait_until(lambda: service.errors, timeout=60)
    assert service._assignment == 0


def test_what_no_record_is_refused_for_is_a_warning(kafka, raw, monkeypatch):
    told = Told()
    monkeypatch.setattr(runtime.written_topics, "log", told)
    set_topic(kafka, raw.names.groups, "retention.bytes", "-1")
    raw.send(at(0))
    with grouping(raw):
        wait_for_groups(raw, 1)
    assert (raw.names.groups, "retention.bytes") in told.warnings


def group_until_refused(kafka, raw, change, *timestamps_us):
    """Change a topic's setting after the first group, send these windows, and raise what the grouper says."""
    with grouping(raw) as service:
        raw.send(at(0))
        wait_for_groups(raw, 1)
        set_topic(kafka, *change)
        for timestamp_us in timestamps_us:
            raw.send(timestamp_us, shape=(64, 64))
        wait_until(lambda: service.errors, timeout=60)


def test_a_cause_that_comes_back_is_named_also_where_a_later_record_meets_it(kafka, raw):
    """The transaction is in error while it is still being filled: produce's own error says nothing."""
    text = rf"{re.escape(raw.names.groups)} refuses a record .*needs max\.message\.bytes=68157440: "
    change = raw.names.groups, "max.message.bytes", "5000"
    with pytest.raises(GrouperError, match=text):
        group_until_refused(kafka, raw, change, *map(at, range(1, 100)))


def test_a_catalogue_that_refuses_observation_times_is_named(kafka, raw):
    text = (
        rf"{re.escape(raw.names.catalogue)} refuses a record .*needs message\.timestamp\.type=CreateTime, "
        rf"message\.timestamp\.before\.max\.ms=\d+, message\.timestamp\.after\.max\.ms={2**63 - 1}: "
    )
    change = raw.names.catalogue, "message.timestamp.after.max.ms", "3600000"
    with pytest.raises(GrouperError, match=text):
        group_until_refused(kafka, raw, change, time.time_ns() // 1000 + 30 * 86_400_000_000)


def test_a_frame_larger_than_this_grouper_may_send_is_named_with_its_size(raw):
    """The connector was allowed more. The topics are not to blame."""
    raw.send(at(0), shape=(1024, 512))
    with (
        pytest.raises(
            GrouperError, match=rf"\d{{7}} bytes for {re.escape(raw.names.groups)}.*MAX_FRAME_BYTES"
        ),
        grouping(raw, max_frame_bytes=64 * 1024) as service,
    ):
        wait_until(lambda: service.errors, timeout=60)


def test_an_offset_beyond_the_end_of_raw_is_an_error(kafka, raw):
    """Set by hand, or raw made anew: else the grouper would pass over what comes next."""
    raw.send(at(0))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    offsets = [TopicPartition(raw.names.raw, 0, 1000)]
    request = ConsumerGroupTopicPartitions(f"{raw.prefix}.grouper", offsets)
    for future in admin.alter_consumer_group_offsets([request]).values():
        future.result(timeout_s(30))
    with pytest.raises(GrouperError, match=r"ends at offset 3, .* read it to 1000"), grouping(raw) as service:
        wait_until(lambda: service.errors, timeout=60)


def test_a_static_name_used_twice_is_named(raw):
    def use_twice():
        with grouping(raw, group_instance_id="one") as first:
            wait_until(lambda: first._owned, timeout=60)
            with grouping(raw, group_instance_id="one"):
                wait_until(lambda: first.errors, timeout=60)

    with pytest.raises(GrouperError, match="give each its own TRAPLINE_GROUP_INSTANCE_ID"):
        use_twice()


def test_a_header_whose_name_is_no_utf8_is_rejected_and_the_rest_goes_on(raw):
    put_with_headers(raw.bootstrap_servers, raw.names.raw, b"key", b"value", [(b"\xff\xfe", b"1")])
    raw.send(at(0))
    with grouping(raw):
        wait_for_groups(raw, 1)
    assert rejects_of(raw) == ["record_headers"]


def test_a_record_too_large_to_be_rejected_whole_is_cut(raw):
    raw.put(b"k" * 2000, b"x" * (64 * 1024**2 + RECORD_HEADROOM - 3000), None)
    raw.send(at(0))
    with grouping(raw):
        wait_for_groups(raw, 1)
    (reject,) = read_all(raw.bootstrap_servers, raw.names.rejects)
    assert reject.headers["ce_truncated"] == "true"
    assert len(reject.value) == 64 * 1024**2
    assert reject.key == ""


def test_retention_that_took_a_member_of_an_open_group_is_counted_and_recorded(kafka, raw):
    with grouping(raw, grace_s=60):
        raw.send(at(0))
        raw.send(at(1), "sb0", "sb1")
        wait_until(lambda: (committed(raw)[1] or {}).get("read_to") == 5, timeout=30)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(raw.names.raw, 0, 4)]).values():
        future.result(timeout_s(30))
    lost = metric("trapline_grouper_lost_records_total")
    with grouping(raw, grace_s=60):
        raw.send(at(1), "sb2")
        raw.send(at(2))
        groups = wait_for_groups(raw, 3)
        wait_until(lambda: rejects_of(raw), timeout=30)
    assert [group.sources for group in groups] == [raw.sources, ("sb1", "sb2"), raw.sources]
    assert metric("trapline_grouper_lost_records_total") == lost + 1
    assert rejects_of(raw) == ["raw_gap"]


def test_a_grouper_that_is_overtaken_by_retention_while_it_is_held_back_goes_on(kafka, raw):
    """Its transactions abort, so it takes nothing in; then the record at its position is gone."""
    failing = threading.Event()
    failing.set()

    def fail(step, _images):
        if step is Step.AFTER_ENTRIES and failing.is_set():
            raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT, "a record timed out"))

    lost = metric("trapline_grouper_lost_records_total")
    rejoins = metric("trapline_grouper_rejoins_total")
    with grouping(raw, on_step=fail) as service:
        raw.send(at(0))
        wait_until(lambda: any(owned.held_back for owned in list(service._owned.values())), timeout=60)
        for second in range(1, 6):
            raw.send(at(second))
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        for future in admin.delete_records([TopicPartition(raw.names.raw, 0, 10)]).values():
            future.result(timeout_s(30))
        failing.clear()
        # Of second 3 one window is gone: its group is what is left, once the next one overtakes it.
        groups = wait_for_groups(raw, 4)
        wait_until(lambda: rejects_of(raw), timeout=30)
    assert [group.timestamp for group in groups] == [format_timestamp(at(second)) for second in (0, 3, 4, 5)]
    assert [len(group.records) for group in groups] == [3, 2, 3, 3]
    assert metric("trapline_grouper_lost_records_total") == lost + 7
    assert metric("trapline_grouper_rejoins_total") == rejoins + 1
    assert rejects_of(raw) == ["raw_gap"]
    (gap,) = read_all(raw.bootstrap_servers, raw.names.rejects)
    assert "3" in gap.headers["ce_detail"]
    assert "9" in gap.headers["ce_detail"]


def test_joining_anew_leaves_no_producer_behind(raw):
    """A producer has four threads; its callback refers back to its session."""
    fenced = KafkaError(KafkaError._FENCED, "made up")
    threads = []
    with grouping(raw) as service:
        turn = service._turn
        lose = threading.Event()

        def turn_or_lose(*args):
            if lose.is_set():
                lose.clear()
                raise SessionLostError(0, fenced)
            turn(*args)

        service._turn = turn_or_lose
        for _ in range(6):
            before = service._assignment
            wait_until(lambda: service._owned, timeout=30)
            lose.set()
            wait_until(lambda was=before: service._assignment > was and service._owned, timeout=30)
            threads.append(psutil.Process().num_threads())
    assert max(threads) - threads[0] < 8, threads


def test_a_partition_that_was_held_back_is_read_again_after_a_rebalance(raw, monkeypatch):
    """librdkafka keeps a partition paused over a rebalance, and the new owner is the same consumer."""
    publish = Session.publish
    refusing = threading.Event()
    refusing.set()

    def publish_or_abort(session, *args):
        if refusing.is_set():
            raise TransactionAbortedError(0, KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "made up"))
        return publish(session, *args)

    monkeypatch.setattr(Session, "publish", publish_or_abort)
    other = Consumer(
        {
            "bootstrap.servers": raw.bootstrap_servers,
            "group.id": f"{raw.prefix}.grouper",
            "partition.assignment.strategy": "range",
        }
    )
    with grouping(raw) as service:
        raw.send(at(0))
        wait_until(
            lambda: service._owned and service._owned[0].held_back, "the partition to be held back", 60
        )
        before = service._assignment
        try:
            other.subscribe([raw.names.raw])
            wait_until(lambda: other.poll(0) or service._assignment > before, "the rebalance", 60)
            refusing.clear()
        finally:
            other.close()
        raw.send(at(1))
        wait_for_groups(raw, 2)
