"""The auditor over a real grouper: a messy stream gives no finding, and the command says so."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import REGISTRY

from audit.errors import AuditError
from schemas.errors import RejectReason
from tests.support.audited import audited
from tests.support.grouping import GrouperProcess, grouping
from tests.support.groups_reader import read_all
from tests.support.hand_grouper import HandGrouper
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import timeout_s, wait_until
from trapline.embedded.ports import HOST, free_port


def settled(raw, **more):
    """An audit after which nothing is in progress: every group it saw, it saw the entry of too."""

    def done():
        audit = audited(raw, **more)
        found = audit.summary
        handled = not found["in_progress"] and found["groups"] == sum(found["closed_by"].values())
        return audit if audit.findings or handled else None

    return wait_until(done, timeout=60, message="everything handled")


def mess(raw, first):
    """Ten seconds of repeats, conflicts, late windows, strangers, and a source that falls silent."""
    for second in range(first, first + 10):
        everyone = raw.sources if second % 10 < 4 else raw.sources[:2]
        raw.send(at(second), *everyone)
        raw.send(at(second), everyone[0])
        if second % 3 == 0:
            raw.send(at(second), "sb1", seed=9, remember=False)
        if second % 4 == 1:
            raw.send(at(second), "stranger", remember=False)
        if second % 10 == 6:
            raw.send(at(second - 1), "sb2", remember=False)  # closes the group before it
        if second % 10 == 8:
            raw.send(at(second - 4), "sb2", remember=False)  # which it is late for
    raw.put(b"no time", b"no frame", [("ce_type", b"other")])
    raw.flush()


def test_a_messy_stream_over_restarts_gives_no_finding(raw):
    knobs = {
        "grace_s": 1,
        "transaction_max_groups": 3,
        "transaction_timeout_s": 10,
        "group_instance_id": "grouper-0",
    }
    for life, step in enumerate(("after_entries", "after_send_offsets", "committing")):
        mess(raw, 10 * life)
        with GrouperProcess(raw, step, 2, "kill", **knobs) as grouper:
            grouper.wait_for_fault()
    # The last life's transaction may be open: what it hides is waited for, and nothing is wrong.
    assert audited(raw).findings == ()
    with grouping(raw, **knobs):
        audit = settled(raw)
    assert audit.findings == ()
    found = audit.summary
    assert found["windows"] == len(read_all(raw.bootstrap_servers, raw.names.raw))
    assert found["members"] + found["duplicates"] + found["rejected"] == found["windows"]
    assert found["duplicates"] == 30
    assert {"late", "conflict", "unknown_source", "record_headers"} <= set(found["rejects"])
    assert found["groups"] == 30
    assert found["sources"]["sb2"]["missing_images"] >= 10
    assert found["sources"]["sb0"]["gaps"] == 0


def test_several_partitions_are_audited_each_in_its_own_books(kafka, topic_prefix):
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix, partitions=3).create()
    with grouping(raw):
        for second in range(12):
            raw.send(at(second))
            raw.send(at(second), "sb1")
        audit = settled(raw)
    raw.close()
    assert audit.findings == ()
    assert (audit.summary["members"], audit.summary["duplicates"]) == (36, 12)
    assert sum(partition["read_to"] > 0 for partition in audit.summary["partitions"]) > 1
    assert audit.summary["sources"]["sb0"]["gaps"] == 0


def test_open_groups_and_unread_windows_are_in_progress(raw):
    with grouping(raw, grace_s=60):
        raw.send(at(0))
        raw.send(at(1), "sb0")
        wait_until(lambda: audited(raw).summary["partitions"][0]["read_to"] == 4, timeout=30)
    raw.send(at(2))
    audit = audited(raw)
    assert audit.findings == ()
    assert audit.summary["in_progress"] == 4
    assert audit.summary["partitions"][0]["open_windows"] == 1


def test_what_retention_took_is_said_and_no_finding(kafka, raw):
    with grouping(raw):
        for second in range(4):
            raw.send(at(second))
        settled(raw)
    groups = read_all(raw.bootstrap_servers, raw.names.groups)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    cut = [TopicPartition(raw.names.raw, 0, 4), TopicPartition(raw.names.groups, 0, groups[1].offset)]
    for future in admin.delete_records(cut).values():
        future.result(30)
    audit = audited(raw)
    assert audit.findings == ()
    assert audit.summary["windows"] == 8
    assert audit.summary["groups"] == 3
    assert audit.summary["gone_by_retention"] == {"members_not_compared": 1, "other": 2}


def test_groups_closed_by_a_clock_are_listed(raw):
    with grouping(raw, grace_s=0.5):
        raw.send(at(0), "sb0")
        audit = settled(raw)
    assert audit.findings == ()
    assert audit.summary["closed_by_clock_or_memory"] == [
        {"partition": 0, "timestamp": "2026-11-23T10:00:00.000000Z", "closed_by": "quiet"}
    ]


def test_a_transaction_that_stays_open_is_an_error_that_names_the_place(raw, hand):
    raw.send(at(0))
    hand.publish(0)
    hand.commit()
    hand.leave_open(raw.names.catalogue)
    with pytest.raises(AuditError, match=r"can be read only to offset 2 of 3.*find-hanging"):
        audited(raw, audit_stall_s=2)


def test_findings_and_records_are_counted(raw, hand):
    series = {
        "trapline_audit_findings_total": {"kind": "reject_without_raw"},
        "trapline_audit_records_total": {"topic": "raw"},
        "trapline_audit_bytes_total": {"topic": "groups"},
    }

    def counts():
        return [REGISTRY.get_sample_value(name, labels) or 0 for name, labels in series.items()]

    before = counts()
    raw.send(at(0))
    hand.publish(0)
    hand.reject(7, RejectReason.LATE)
    hand.commit()
    audited(raw)
    findings, records, size = (now - then for now, then in zip(counts(), before, strict=True))
    assert (findings, records) == (1, 3)
    assert size == sum(len(record.value) for record in read_all(raw.bootstrap_servers, raw.names.groups))


def verify(raw, *args):
    return [
        sys.executable,
        "-m",
        "trapline",
        "verify",
        "--bootstrap-servers",
        raw.bootstrap_servers,
        "--topic-prefix",
        raw.prefix,
        *args,
    ]


def test_the_command_ends_with_0_1_and_2(raw, hand):
    raw.send(at(0))
    hand.publish(0)
    hand.commit()
    clean = subprocess.run(verify(raw), capture_output=True, text=True, timeout=60, check=False)
    assert clean.returncode == 0, clean.stderr
    assert clean.stdout.splitlines()[-1] == "findings: none"
    hand.reject(7, RejectReason.LATE)
    wrong = subprocess.run(verify(raw, "--json"), capture_output=True, text=True, timeout=60, check=False)
    assert wrong.returncode == 1, wrong.stderr
    finding, summary = map(json.loads, wrong.stdout.splitlines())
    assert finding["finding"] == "reject_without_raw"
    assert summary["findings"] == {"reject_without_raw": 1}
    assert summary["finished"]
    usage = subprocess.run(verify(raw, "--no-such"), capture_output=True, text=True, timeout=60, check=False)
    assert usage.returncode == 2


def test_gaps_of_a_source_are_a_reason_to_fail_where_that_is_asked_for(raw, hand):
    def status(*options):
        done = subprocess.run(verify(raw, *options), capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.splitlines()[-1] == "findings: none", done.stderr
        return done.returncode, "gap" in done.stdout + done.stderr

    for second in range(2):
        raw.send(at(second))
        hand.publish(second)
    hand.commit()
    assert status("--fail-on-gaps") == (0, False)
    raw.send(at(2), "sb0", "sb1")
    hand.publish(2, ["sb0", "sb1"])
    raw.send(at(3))
    hand.publish(3)
    hand.commit()
    assert status() == (0, True)
    assert status("--fail-on-gaps") == (1, True)


@contextlib.contextmanager
def following(raw, *args, **environment):
    """`trapline verify --follow`, its lines as they come; what it says on stderr is in `process.said`."""
    process = subprocess.Popen(
        verify(raw, "--follow", "--json", "--audit-interval-s", "0.1", *args),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TRAPLINE_LOG_LEVEL": "error", **environment},
    )
    lines: list[dict] = []
    process.said = []

    def read(stream, take):
        with stream:
            for line in stream:
                take(line)

    readers = [
        threading.Thread(target=read, args=(process.stdout, lambda line: lines.append(json.loads(line)))),
        threading.Thread(target=read, args=(process.stderr, process.said.append)),
    ]
    for reader in readers:
        reader.start()
    try:
        yield process, lines
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for reader in readers:
            reader.join()


def raw_records_audited(port):
    """What /metrics says; 0 while nothing answers there."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=timeout_s(5)) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    found = re.search(r'^trapline_audit_records_total\{topic="raw"\} (\S+)$', text, re.MULTILINE)
    return float(found.group(1))


def test_follow_beside_a_live_grouper_finds_nothing_until_something_is_wrong(raw):
    port = free_port()
    sent = 60 * (len(raw.sources) + 1)
    with (
        following(raw, "--http-port", str(port)) as (process, lines),
        grouping(raw, transaction_max_groups=2),
    ):
        for second in range(60):
            raw.send(at(second))
            raw.send(at(second), "sb1")
        settled(raw)
        # Nothing but /metrics says how far it has come while it finds nothing.
        wait_until(lambda: raw_records_audited(port) == sent, timeout=60)
        assert lines == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout_s(30)) == 0
        wait_until(lambda: lines, timeout=10)
    (summary,) = lines
    assert summary["findings"] == {}
    assert summary["windows"] == sent


def test_follow_ends_where_a_transaction_stays_open(raw, hand):
    raw.send(at(0))
    hand.publish(0)
    hand.commit()
    hand.leave_open(raw.names.catalogue)
    with following(raw, "--audit-stall-s", "2") as (process, lines):
        assert process.wait(timeout_s(60)) == 1
    assert lines == []
    assert "find-hanging" in process.said[-1]


def test_follow_ends_where_a_topic_is_gone(raw, hand):
    raw.send(at(0))
    hand.publish(0)
    hand.commit()
    port = free_port()
    with following(raw, "--http-port", str(port)) as (process, lines):
        wait_until(lambda: raw_records_audited(port) == 3, timeout=60)
        admin = AdminClient({"bootstrap.servers": raw.bootstrap_servers})
        admin.delete_topics([raw.names.rejects])[raw.names.rejects].result(timeout_s(30))
        assert process.wait(timeout_s(120)) == 1
    assert lines == []
    assert f"topic {raw.names.rejects} does not exist" in process.said[-1]


def test_follow_goes_on_after_kafka_was_away(own_kafka, topic_prefix):
    """For longer than it waits for the end of a transaction."""
    raw = RawTopic(own_kafka.bootstrap_servers, topic_prefix).create()
    hand = HandGrouper(raw)
    raw.send(at(0))
    hand.publish(0)
    hand.commit()
    port = free_port()
    with following(raw, "--http-port", str(port), "--audit-stall-s", "0.5", TRAPLINE_LOG_LEVEL="warning") as (
        process,
        lines,
    ):
        wait_until(lambda: raw_records_audited(port) == 3, timeout=60)
        own_kafka.kill()
        wait_until(lambda: any("waiting for Kafka" in line for line in process.said), timeout=90)
        own_kafka.start()
        raw.send(at(1))
        hand.commit(6)
        wait_until(lambda: len(lines) == 3, timeout=90, message=lambda: str(lines))
        assert {line["finding"] for line in lines} == {"committed_too_far"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout_s(30)) == 1
    raw.close()


def test_follow_prints_a_finding_as_it_appears(raw, hand):
    raw.send(at(0))
    hand.publish(0)
    hand.commit()
    with following(raw) as (process, lines):
        raw.send(at(1))
        hand.commit(6)
        wait_until(lambda: len(lines) == 3, timeout=30, message=lambda: str(lines))
        assert {line["finding"] for line in lines} == {"committed_too_far"}
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout_s(30)) == 1
        wait_until(lambda: len(lines) == 4, timeout=10)
    assert lines[-1]["findings"] == {"committed_too_far": 3}
