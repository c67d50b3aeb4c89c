"""Late windows, sources that come and go, and a Kafka that was away, on a real Kafka."""

import threading
import time

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import REGISTRY

from grouper.quiet import QuietWatch
from runtime.kafka import log_consumer
from schemas.timestamp import format_timestamp
from tests.integration.grouper.test_grouping import committed, wait_for_groups
from tests.support.audited import audited
from tests.support.grouping import GrouperProcess, grouping, settings_of
from tests.support.groups_reader import read_all, read_entries, read_groups
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import wait_until

REPAIR = {"late": "repair"}


def published(raw):
    """Timestamp, revision and sources of each group, in their order."""
    return [
        (group.timestamp, group.records[0].headers["ce_grouprevision"], group.sources)
        for group in read_groups(raw.bootstrap_servers, raw.names.groups)
    ]


def rejected(raw):
    return [
        (reject.headers["ce_reason"], reject.headers["ce_rawoffset"])
        for reject in read_all(raw.bootstrap_servers, raw.names.rejects)
    ]


def wait_for_read_to(raw, offset):
    wait_until(lambda: (committed(raw)[1] or {}).get("read_to") == offset, timeout=60)


def metric(name):
    return REGISTRY.get_sample_value(name) or 0.0


def test_a_late_window_makes_revision_2_with_all_members_and_once(raw):
    before = metric("trapline_grouper_repairs_total")
    with grouping(raw, **REPAIR):
        raw.send(at(0), "sb0", "sb1")
        raw.send(at(1))
        wait_for_groups(raw, 2)
        raw.send(at(0), "sb2")
        wait_for_groups(raw, 3)
        raw.send(at(0))  # all of it once more
        wait_for_read_to(raw, 9)
    with grouping(raw, **REPAIR):
        raw.send(at(0), "sb2")
        raw.send(at(2))
        wait_for_groups(raw, 4)
    first, second, third = (format_timestamp(at(n)) for n in range(3))
    assert published(raw) == [
        (first, "1", ("sb0", "sb1")),
        (second, "1", raw.sources),
        (first, "2", raw.sources),
        (third, "1", raw.sources),
    ]
    repaired = read_groups(raw.bootstrap_servers, raw.names.groups)[2]
    assert repaired.group_id == f"{first}/r2/o0"
    assert repaired.digests == {source: raw.sent[at(0), source] for source in raw.sources}
    entry = read_entries(raw.bootstrap_servers, raw.names.catalogue)[2]
    assert (entry["revision"], entry["complete"], entry["closed_by"]) == (2, True, "complete")
    assert [member["raw_offset"] for member in entry["members"]] == [0, 1, 5]
    assert metric("trapline_grouper_repairs_total") == before + 1
    assert rejected(raw) == []
    assert audited(raw).kinds == []


def test_a_late_window_may_wait_for_another_over_a_restart(raw):
    with grouping(raw, **REPAIR):
        raw.send(at(0), "sb0")
        raw.send(at(1))
        wait_for_groups(raw, 2)
        raw.send(at(0), "sb1")
        wait_for_read_to(raw, 5)
    offset, metadata = committed(raw)
    assert (offset, metadata["waiting"]) == (4, "1")
    waiting = audited(raw)
    assert (waiting.kinds, waiting.summary["in_progress"]) == ([], 1)
    with grouping(raw, **REPAIR):
        raw.send(at(0), "sb2")
        wait_for_groups(raw, 3)
    assert published(raw)[2] == (format_timestamp(at(0)), "2", raw.sources)
    done = audited(raw)
    assert (done.kinds, done.summary["repaired"]) == ([], 1)


@pytest.mark.parametrize("step", ["after_image", "after_entries", "after_send_offsets"])
def test_a_crash_while_a_revision_is_published_publishes_it_once(raw, step):
    static = {"group_instance_id": "grouper-0", "session_timeout_s": 6, **REPAIR}
    with grouping(raw, **static):
        raw.send(at(0), "sb0", "sb1")
        raw.send(at(1))
        wait_for_groups(raw, 2)
    raw.send(at(0), "sb2")
    with GrouperProcess(raw, step, 1, "kill", image=2 if step == "after_image" else 0, **static) as grouper:
        grouper.wait_for_fault()
    with grouping(raw, **static):
        raw.send(at(2))
        wait_for_groups(raw, 4)
    assert [(revision, sources) for _, revision, sources in published(raw)] == [
        ("1", ("sb0", "sb1")),
        ("1", raw.sources),
        ("2", raw.sources),
        ("1", raw.sources),
    ]
    assert rejected(raw) == []
    assert audited(raw).kinds == []


def test_what_raw_no_longer_holds_is_rejected_with_that_reason(kafka, raw):
    with grouping(raw, **REPAIR):
        raw.send(at(0), "sb0", "sb1")
        raw.send(at(1))
        wait_for_groups(raw, 2)
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        for future in admin.delete_records([TopicPartition(raw.names.raw, 0, 1)]).values():
            future.result(30)
        raw.send(at(0), "sb2")
        raw.send(at(2))
        wait_for_groups(raw, 3)
    assert [revision for _, revision, _ in published(raw)] == ["1", "1", "1"]
    assert rejected(raw) == [("raw_gone", "5")]


def test_a_source_taken_out_while_an_open_group_holds_its_window(raw):
    """Below read_to nothing is rejected a second time; that this one was not rejected the offset knows."""
    with grouping(raw, grace_s=600):
        raw.send(at(0), "sb0", "sb2")
        raw.send(at(0), "stranger", remember=False)
        wait_for_read_to(raw, 3)
    assert committed(raw)[0] == 0
    assert rejected(raw) == [("unknown_source", "2")]
    fewer = {"sources": "sb0=tcp://127.0.0.1:1,sb1=tcp://127.0.0.1:1"}
    with grouping(raw, grace_s=600, **fewer):
        raw.send(at(0), "sb1")
        wait_for_groups(raw, 1)
    assert published(raw) == [(format_timestamp(at(0)), "1", ("sb0", "sb1"))]
    assert rejected(raw) == [("unknown_source", "2"), ("unknown_source", "1")]
    with grouping(raw, grace_s=600):
        raw.send(at(1))
        wait_for_groups(raw, 2)
    assert len(rejected(raw)) == 2
    assert audited(raw).kinds == []


def test_auto_learns_its_sources_and_a_restart_knows_them(raw):
    auto = {"expected": "auto", "sources": "", "grace_s": 1.0}
    with grouping(raw, **auto):
        raw.send(at(0))
        wait_for_groups(raw, 1)  # nobody is known yet: by quiet
        raw.send(at(1))
        wait_for_groups(raw, 2)
    with grouping(raw, **auto):
        raw.send(at(2), "sb1", "sb0")
        raw.send(at(3))
        groups = wait_for_groups(raw, 4)
    assert [group.missing for group in groups] == [(), (), ("sb2",), ()]
    closed_by = [entry["closed_by"] for entry in read_entries(raw.bootstrap_servers, raw.names.catalogue)]
    assert closed_by == ["quiet", "complete", "overtaken", "complete"]
    assert audited(raw).kinds == []


class Due:
    """A partition whose groups have been quiet for long."""

    def __init__(self):
        self.there_since_s = []

    def quiet_due(self, _now_s, there_since_s):
        self.there_since_s.append(there_since_s)
        return True

    def close_quiet(self, *_times_s):
        raise AssertionError("closed without Kafka's word that nothing is unread")


def test_where_the_end_of_raw_cannot_be_asked_for_the_wait_starts_anew(raw):
    watch, state = QuietWatch(f"{raw.names.raw}-not-there"), Due()
    consumer = log_consumer(settings_of(raw), group_id=None)
    try:
        before_s = time.monotonic()
        watch.look(consumer, 0, state)
        wait_until(lambda: watch.look(consumer, 0, state) or len(state.there_since_s) > 1, timeout=30)
    finally:
        consumer.close()
    assert state.there_since_s[0] == float("-inf")
    assert state.there_since_s[1] >= before_s


def test_an_outage_longer_than_grace_costs_no_group_its_late_windows(own_kafka, topic_prefix):
    """What the connector holds meanwhile comes after one long step of log time."""
    raw = RawTopic(own_kafka.bootstrap_servers, topic_prefix).create()
    grace_s = 1.0
    with grouping(raw, grace_s=grace_s, session_timeout_s=30):
        raw.send(at(0))
        wait_for_groups(raw, 1)
        raw.send(at(1), "sb0")
        own_kafka.stop()
        rest = threading.Thread(target=raw.send, args=(at(1), "sb1", "sb2"))
        rest.start()
        stopped = threading.Event()
        assert not stopped.wait(grace_s + 2.0)  # the outage itself
        own_kafka.start()
        rest.join()
        groups = wait_for_groups(raw, 2)
    raw.close()
    assert groups[1].sources == raw.sources
