"""`trapline verify --against`: groups made again from raw, held against the live ones."""

import json

import pytest

from tests.support.audited import audited
from tests.support.grouping import grouping
from tests.support.groups_reader import read_entries
from tests.support.raw_topic import RawTopic, at
from tests.support.regrouping import make_target, regroup, run_command
from tests.support.waiting import wait_until


def settled(raw):
    wait_until(lambda: not audited(raw).summary["in_progress"], timeout=60, message="everything handled")


def published(raw, count):
    wait_until(
        lambda: len(read_entries(raw.bootstrap_servers, raw.names.catalogue)) >= count,
        timeout=60,
        message=f"{count} entries",
    )


def verify(raw, target, *args):
    """Exit status, differences, and the comparison's counts."""
    done = run_command(
        "verify",
        "--json",
        "--against",
        raw.prefix,
        *args,
        bootstrap_servers=raw.bootstrap_servers,
        topic_prefix=target,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    assert lines[-1]["findings"] == {}, done.stdout
    return done.returncode, lines[:-1], lines[-1]["comparison"]


@pytest.mark.parametrize("partitions", [1, 3])
def test_the_same_rules_are_said_to_be_equal(kafka, topic_prefix, partitions):
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix, partitions=partitions).create()
    for second in range(12):
        raw.send(at(second), *(raw.sources if second % 4 else raw.sources[:2]))
        raw.send(at(second), "sb1")
        if second > 6:
            raw.send(at(second - 3), "sb2", remember=False)
    for second in range(12, 30):
        raw.send(at(second))
    with grouping(raw, late="repair"):
        settled(raw)
    entries = read_entries(raw.bootstrap_servers, raw.names.catalogue)
    assert {entry["closed_by"] for entry in entries} <= {"complete", "overtaken", "grace"}
    target = make_target(raw)
    regroup(raw, target, late="repair")
    status, differences, counts = verify(raw, target)
    assert (status, differences) == (0, [])
    assert counts["equal"] == len(entries)
    assert (counts["different"], counts["explained"]) == (0, {})
    raw.close()


def test_a_group_that_quiet_closed_live_is_named_apart(raw):
    with grouping(raw, grace_s=0.5, late="reject"):
        raw.send(at(0))
        raw.send(at(1), "sb0")
        published(raw, 2)
    # The windows that were late live: now they are in time.
    raw.send(at(1), "sb1", "sb2")
    raw.send(at(2))
    with grouping(raw, grace_s=0.5):
        settled(raw)
    target = make_target(raw)
    regroup(raw, target, grace_s=0.5)
    status, differences, counts = verify(raw, target)
    (difference,) = differences
    assert status == 0
    assert (difference["difference"], difference["explained_by"]) == ("members", "quiet")
    assert difference["timestamp"] == "2026-11-23T10:00:01.000000Z"
    assert sorted(difference["here"]["members"]) == ["sb0", "sb1", "sb2"]
    assert sorted(difference["there"]["members"]) == ["sb0"]
    assert (counts["equal"], counts["different"], counts["explained"]) == (2, 0, {"quiet": 1})


def test_other_rules_are_named_one_by_one_with_exit_status_1(raw):
    for second in range(3):
        raw.send(at(second), "sb0", "sb1")
        raw.send(at(second + 1), "sb2", remember=False)
    raw.send(at(3))
    with grouping(raw):
        settled(raw)
    target = make_target(raw)
    regroup(raw, target, sources="sb0=tcp://h:1,sb1=tcp://h:1")
    status, differences, counts = verify(raw, target)
    assert status == 1
    assert counts["different"] == len(differences) > 0
    assert {difference["difference"] for difference in differences} <= {"members", "expected"}
    assert all(difference["explained_by"] is None for difference in differences)


def test_groups_after_the_range_are_not_compared(raw):
    for second in range(3):
        raw.send(at(second))
    target = make_target(raw)
    regroup(raw, target)
    for second in range(3, 7):
        raw.send(at(second))
    with grouping(raw):
        settled(raw)
    status, differences, counts = verify(raw, target)
    assert (status, differences, counts["equal"]) == (0, [], 3)
    assert counts["not_compared"] == {"not_reached": 4, "raw_gone": 0}


def test_wrong_use_is_a_usage_error(raw):
    where = {"bootstrap_servers": raw.bootstrap_servers, "topic_prefix": raw.prefix}
    for args, words in (
        (("--against", raw.prefix), "say another one"),
        (("--against", "other", "--follow"), "goes without --follow"),
        (("--against", "a b"), "Kafka allows letters"),
    ):
        done = run_command("verify", *args, **where)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr


def test_topics_that_were_not_made_from_one_another_are_told(raw):
    other = RawTopic(raw.bootstrap_servers, f"{raw.prefix}.other", partitions=2).create()
    done = run_command(
        "verify",
        "--against",
        raw.prefix,
        bootstrap_servers=raw.bootstrap_servers,
        topic_prefix=other.prefix,
    )
    assert done.returncode == 1
    assert "they were not made from one another" in done.stderr
    other.close()
