"""Groups made again from raw: the same with the same rules, others with others, each once whatever dies."""

import re
import signal
import subprocess
import sys

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from grouper.errors import GrouperError, NothingToRegroupError
from runtime.errors import MissingTopicError, SettingsError, TopicCheckError
from runtime.kafka import admin_client, true_end_offsets
from schemas.timestamp import format_timestamp
from schemas.topics import TopicNames
from tests.integration.grouper.test_grouping import set_topic
from tests.support.audited import audited
from tests.support.grouping import grouping, settings_of
from tests.support.groups_reader import read_all, read_entries, read_groups
from tests.support.raw_topic import RawTopic, at
from tests.support.regrouping import (
    environment,
    make_target,
    regroup,
    regroup_overrides,
    regroup_process,
    run_command,
)
from tests.support.waiting import timeout_s, wait_until

GRACE = {"grace_s": 1}


def settled(raw):
    """Wait until the live grouper has nothing in progress."""
    wait_until(lambda: not audited(raw).summary["in_progress"], timeout=60, message="everything handled")


def stream(raw, first=0):
    """Ten seconds of repeats, conflicts, late windows, strangers, and a source that falls silent.

    What a test adds behind it closes all of it by rules that look at the data.
    """
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
    raw.send(at(first + 10))  # complete, and overtakes what lacks a source
    raw.flush()


def compared(raw, prefix):
    """All that a reader sees of the groups, but offsets in them."""
    groups = read_groups(raw.bootstrap_servers, f"{prefix}.groups")
    return sorted(
        (group.timestamp, group.group_id, group.missing, tuple(group.digests.items()), group.partition)
        for group in groups
    )


def rejected(raw, prefix):
    """The raw records that are in rejects, and why."""
    return sorted(
        (record.partition, int(record.headers["ce_rawoffset"]), record.headers["ce_reason"])
        for record in read_all(raw.bootstrap_servers, f"{prefix}.rejects")
    )


@pytest.mark.parametrize("late", ["reject", "repair"])
def test_the_same_rules_make_the_same_groups(raw, late):
    stream(raw)
    stream(raw, 20)
    with grouping(raw, late=late, **GRACE):
        settled(raw)
    target = make_target(raw)
    result = regroup(raw, target, late=late, **GRACE)
    live = compared(raw, raw.prefix)
    assert compared(raw, target) == live
    assert rejected(raw, target) == rejected(raw, raw.prefix)
    assert result.finished
    assert result.done == result.total == len(read_all(raw.bootstrap_servers, raw.names.raw))
    assert (result.groups + result.repaired, result.cut, result.beyond) == (len(live), 0, 0)
    assert (result.repaired > 0) == (late == "repair")
    found = audited(raw, topic_prefix=target, raw_prefix=raw.prefix)
    assert found.findings == ()
    assert found.summary["in_progress"] == 0
    assert found.summary["windows"] == result.total
    # The live groupers' position is where it was, and nothing went into their topics.
    assert compared(raw, raw.prefix) == live
    assert audited(raw).findings == ()


def test_several_partitions(kafka, topic_prefix):
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix, partitions=3).create()
    for second in range(12):
        raw.send(at(second))
        raw.send(at(second), "sb1")
    with grouping(raw):
        settled(raw)
    target = make_target(raw)
    assert regroup(raw, target).groups == 12
    assert compared(raw, target) == compared(raw, raw.prefix)
    assert len({group.partition for group in read_groups(raw.bootstrap_servers, f"{target}.groups")}) > 1
    raw.close()


def test_other_rules_make_other_groups(raw):
    for second in range(4):
        raw.send(at(second), "sb0", "sb1")
    with grouping(raw, **GRACE):
        settled(raw)
    fewer = make_target(raw, "two")
    regroup(raw, fewer, sources="sb0=tcp://h:1,sb1=tcp://h:1", **GRACE)
    entries = read_entries(raw.bootstrap_servers, f"{fewer}.catalogue")
    assert [entry["closed_by"] for entry in entries] == ["complete"] * 4
    assert all(entry["complete"] for entry in entries)
    assert not any(entry["complete"] for entry in read_entries(raw.bootstrap_servers, raw.names.catalogue))
    one = make_target(raw, "one")
    result = regroup(raw, one, sources="sb1=tcp://h:1", **GRACE)
    assert (result.groups, result.rejects) == (4, 4)
    assert {reason for _, _, reason in rejected(raw, one)} == {"unknown_source"}


def test_what_the_end_of_raw_leaves_open_is_closed_as_quiet(raw):
    raw.send(at(0))
    raw.send(at(1), "sb0")
    target = make_target(raw)
    result = regroup(raw, target, grace_s=0.5)
    assert (result.groups, result.incomplete, result.cut) == (2, 1, 0)
    entries = read_entries(raw.bootstrap_servers, f"{target}.catalogue")
    assert [entry["closed_by"] for entry in entries] == ["complete", "quiet"]


def test_where_raw_goes_on_the_groups_at_the_end_stay_out(raw):
    target = make_target(raw)
    raw.send(at(0))
    raw.send(at(1), "sb0")
    stopped = 0

    def go_on(step, _images):
        nonlocal stopped
        if step == "before_begin" and not stopped:
            stopped = 1
            raw.send(at(1), "sb1", "sb2")

    result = regroup(raw, target, on_step=go_on, grace_s=60)
    assert result.finished
    assert (result.groups, result.cut) == (1, 1)
    assert [entry["timestamp"] for entry in read_entries(raw.bootstrap_servers, f"{target}.catalogue")] == [
        format_timestamp(at(0))
    ]
    again = regroup(raw, target, grace_s=60)  # the range stays what it was
    assert (again.groups, again.cut, again.beyond, again.total) == (0, 1, 2, 4)
    assert audited(raw, topic_prefix=target, raw_prefix=raw.prefix).findings == ()


@pytest.mark.parametrize("step", ["before_begin", "after_entries", "after_send_offsets", "committing"])
def test_killed_at_a_step_the_same_command_goes_on_exactly_once(raw, step):
    stream(raw)
    stream(raw, 20)
    small = {"transaction_max_groups": 2, "late": "repair", **GRACE}
    with grouping(raw, **small):
        settled(raw)
    target = make_target(raw)
    settings = environment(regroup_overrides(raw, target, transaction_timeout_s=10, **small))
    # The first transaction is the claim, which has no entries.
    for nth in (2 if step == "after_entries" else 1, 3):
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.crashing_regroup", step, str(nth)],
            capture_output=True,
            text=True,
            timeout=timeout_s(60),
            check=False,
            env=settings,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert "acting: kill" in done.stdout
    result = regroup(raw, target, transaction_timeout_s=10, **small)
    assert result.finished
    assert compared(raw, target) == compared(raw, raw.prefix)
    assert rejected(raw, target) == rejected(raw, raw.prefix)
    assert audited(raw, topic_prefix=target, raw_prefix=raw.prefix).findings == ()
    assert regroup(raw, target, **small).groups == 0


def test_ctrl_c_says_how_to_go_on(raw):
    for second in range(400):
        raw.send(at(second), shape=(64, 64))
    target = make_target(raw)
    knobs = {"transaction_max_groups": 1, "fetch_buffer_bytes": 1024**2}
    process = regroup_process(raw, target, **knobs)
    admin = admin_client(settings_of(raw))
    catalogue = f"{target}.catalogue"
    wait_until(lambda: true_end_offsets(admin, catalogue, [0])[0] > 4, "the first groups", timeout=60)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=timeout_s(60))
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "The same command goes on where this one stopped" in err
    assert err.splitlines()[-1] == "trapline: to go on: trapline regroup"  # the environment said all else
    assert "of 1200 records" in out
    again = run_command("regroup", **regroup_overrides(raw, target, **knobs))
    assert again.returncode == 0, again.stderr
    assert f"{raw.prefix}.raw -> {target}: 1200 of 1200 records" in again.stdout
    groups = read_groups(raw.bootstrap_servers, f"{target}.groups")
    assert [group.timestamp for group in groups] == [format_timestamp(at(second)) for second in range(400)]


def test_a_target_that_would_refuse_records_is_named_before_anything_is_written(kafka, raw):
    raw.send(at(0))
    target = make_target(raw)
    groups = TopicNames(target).groups
    set_topic(kafka, groups, "max.message.bytes", "5000")
    text = rf"{re.escape(groups)}: max\.message\.bytes: 5000, should be at least 68157440"
    with pytest.raises(TopicCheckError, match=text):
        regroup(raw, target)


def test_raw_that_retention_cut_is_read_from_its_oldest_record(kafka, raw):
    for second in range(4):
        raw.send(at(second))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(raw.names.raw, 0, 4)]).values():
        future.result(timeout_s(30))
    target = make_target(raw)
    result = regroup(raw, target)
    assert (result.total, result.groups, result.incomplete) == (8, 3, 1)
    assert audited(raw, topic_prefix=target, raw_prefix=raw.prefix).findings == ()


def test_an_empty_raw_is_said(raw):
    target = make_target(raw)
    with pytest.raises(NothingToRegroupError, match=r"\.raw holds no record"):
        regroup(raw, target)
    raw.send(at(0))  # and nothing was claimed
    assert regroup(raw, target).groups == 1


def test_topics_that_are_not_there_are_named_with_what_makes_them(raw):
    raw.send(at(0))
    with pytest.raises(
        MissingTopicError, match=r"nowhere\.groups does not exist; `trapline topics create --t"
    ):
        regroup(raw, f"{raw.prefix}.nowhere")
    missing = RawTopic(raw.bootstrap_servers, f"{raw.prefix}.gone")
    with pytest.raises(MissingTopicError, match=r"gone\.raw does not exist"):
        regroup(missing, make_target(raw))


def test_another_number_of_partitions_is_refused(raw):
    raw.send(at(0))
    other = RawTopic(raw.bootstrap_servers, raw.prefix, partitions=2)
    with pytest.raises(GrouperError, match=r"different numbers of partitions.*--partitions 1"):
        regroup(raw, make_target(other))


def test_the_live_groups_are_never_a_target(raw):
    raw.send(at(0))
    with pytest.raises(SettingsError, match="where the live groups are"):
        regroup(raw, raw.prefix)
    with grouping(raw):
        settled(raw)
    other = RawTopic(raw.bootstrap_servers, f"{raw.prefix}.other").create()
    other.send(at(5))
    with pytest.raises(GrouperError, match=r"is not empty, and not of this regrouping"):
        regroup(other, raw.prefix)
    assert len(read_groups(raw.bootstrap_servers, TopicNames(raw.prefix).groups)) == 1
    other.close()


def test_other_rules_do_not_go_on_with_a_regrouping(raw):
    raw.send(at(0))
    target = make_target(raw)
    regroup(raw, target)
    with pytest.raises(
        GrouperError, match=r"made with other rules \(grace_s was 5 and is 20; late was reject"
    ):
        regroup(raw, target, grace_s=20, late="repair")
    assert regroup(raw, target).groups == 0


def test_a_second_run_takes_over_and_the_first_one_says_so(raw):
    for second in range(6):
        raw.send(at(second))
    target = make_target(raw)
    runs = []

    def second_run(step, _images):
        if step == "before_begin" and len(runs) == 1:
            runs.append("started")
            runs.append(regroup(raw, target))
        elif step == "before_begin" and not runs:
            runs.append("claim")

    with pytest.raises(GrouperError, match=r"another `trapline regroup` writes to"):
        regroup(raw, target, on_step=second_run, transaction_max_groups=1)
    groups = read_groups(raw.bootstrap_servers, f"{target}.groups")
    assert [group.timestamp for group in groups] == [format_timestamp(at(second)) for second in range(6)]
