"""Exactly once: the grouper is killed at each step of a transaction, and a reader downstream looks."""

import time
from collections import Counter

import pytest

from schemas.timestamp import format_timestamp
from tests.support.grouping import GrouperProcess, grouping
from tests.support.groups_reader import read_all, read_entries, read_groups
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import timeout_s, wait_until

# (step, after how many images of the transaction)
STEPS = [
    ("before_begin", 0),
    ("after_image", 1),
    ("after_image", 2),
    ("after_entries", 0),
    ("after_send_offsets", 0),
]
KILLS = 3
MOST_LIVES = 15  # in which KILLS kills have to fall inside a commit
FAST_TAKE_OVER = {"session_timeout_s": 6}
COMMIT_RETURNED = "the commit returned\n"  # a line of crashing_grouper, of its transaction NTH


def assert_each_group_once(raw: RawTopic, seconds: int):
    """What was sent is what a read_committed reader gets: each timestamp once, whole, with its digests."""
    groups = read_groups(raw.bootstrap_servers, raw.names.groups)
    assert [group.timestamp for group in groups] == [format_timestamp(at(s)) for s in range(seconds)]
    for second, group in enumerate(groups):
        assert group.digests == {source: raw.sent[at(second), source] for source in raw.sources}
    entries = read_entries(raw.bootstrap_servers, raw.names.catalogue)
    assert [entry["timestamp"] for entry in entries] == [group.timestamp for group in groups]
    for entry, group in zip(entries, groups, strict=True):
        assert (entry["first_offset"], entry["last_offset"]) == (
            group.records[0].offset,
            group.records[-1].offset,
        )
    assert read_all(raw.bootstrap_servers, raw.names.rejects) == []


def wait_for_groups(raw: RawTopic, count: int):
    wait_until(
        lambda: len(read_groups(raw.bootstrap_servers, raw.names.groups)) >= count,
        timeout=90,
        message=f"{count} groups",
    )


def aborted_sources(raw: RawTopic) -> Counter[str]:
    """By source, the image records that only a read_uncommitted reader sees."""
    visible = {r.offset for r in read_all(raw.bootstrap_servers, raw.names.groups)}
    everything = read_all(raw.bootstrap_servers, raw.names.groups, committed=False)
    return Counter(r.headers["ce_subject"] for r in everything if r.offset not in visible)


def aborted_images(raw: RawTopic) -> int:
    """How many these are."""
    return aborted_sources(raw).total()


def assert_refused(zombie: GrouperProcess):
    """Fenced, it has left the consumer group, to join it anew as a grouper without partitions."""
    assert COMMIT_RETURNED not in zombie.lines
    # The words of SessionLostError, and of what librdkafka makes of the broker's refusal.
    assert "the transactional producer of partition 0 is lost" in zombie.rejoins[0]
    assert "fenced" in zombie.rejoins[0].lower()


@pytest.mark.parametrize(("step", "image"), STEPS, ids=[f"{s}-{k}" if k else s for s, k in STEPS])
def test_sigkill_at_each_step_three_times(raw, step, image):
    """Every life is killed in its first transaction; the next one takes over under the same static name."""
    static = {"group_instance_id": "grouper-0", **FAST_TAKE_OVER}
    for kill in range(KILLS):
        raw.send(at(kill))
        with GrouperProcess(raw, step, 1, "kill", image, **static) as grouper:
            grouper.wait_for_fault()
    raw.send(at(KILLS))
    with grouping(raw, **static):
        wait_for_groups(raw, KILLS + 1)
    assert_each_group_once(raw, KILLS + 1)
    aborted = aborted_images(raw)
    if step == "before_begin":
        assert aborted == 0
    elif step == "after_image":
        # The proof that the kill came inside a transaction: its images are there, aborted.
        assert aborted == KILLS * image
    else:
        # Each life has all that was not yet published: first one group, then two, then three.
        assert aborted == len(raw.sources) * sum(range(1, KILLS + 1))


def test_sigkill_inside_the_commit_three_times(raw):
    """Between the request to commit and its return; a commit that was faster than its kill does not count."""
    static = {"group_instance_id": "grouper-0", **FAST_TAKE_OVER}
    lives = inside = 0
    while inside < KILLS:
        assert lives < MOST_LIVES, f"only {inside} of {lives} kills fell inside a commit"
        raw.send(at(lives))
        with GrouperProcess(raw, "committing", 1, "kill", **static) as grouper:
            grouper.wait_for_fault()
        lives += 1
        inside += COMMIT_RETURNED not in grouper.lines
    raw.send(at(lives))
    with grouping(raw, **static):
        wait_for_groups(raw, lives + 1)
    assert_each_group_once(raw, lives + 1)
    # A commit under way ends either way; what is seen is whole in both.
    aborted = aborted_sources(raw)
    assert set(aborted) <= set(raw.sources)
    assert len({aborted[source] for source in raw.sources}) == 1, aborted


@pytest.mark.parametrize("step", ["after_entries", "after_send_offsets"])
def test_another_grouper_takes_over_with_the_dead_ones_transaction_open(raw, step):
    """No static name: the newcomer waits for the dead member's session, not for its transaction (30 s)."""
    raw.send(at(0))
    with GrouperProcess(raw, step, 1, "kill", transaction_timeout_s=120, **FAST_TAKE_OVER) as dead:
        dead.wait_for_fault()
        died_s = time.monotonic()
    raw.send(at(1))
    with grouping(raw, transaction_timeout_s=120, **FAST_TAKE_OVER):
        wait_for_groups(raw, 2)
    took_s = time.monotonic() - died_s
    assert_each_group_once(raw, 2)
    assert aborted_images(raw) == len(raw.sources)
    bound_s = timeout_s(FAST_TAKE_OVER["session_timeout_s"] + 5)
    assert took_s < bound_s, "readers waited for more than the dead grouper's session"


@pytest.mark.parametrize("step", ["after_entries", "after_send_offsets", "committing"])
def test_a_zombies_commit_after_take_over_is_refused(raw, step):
    """One that hangs with its transaction open, is taken over from, and wakes up, writes nothing visible."""
    raw.send(at(0))
    with GrouperProcess(raw, step, 1, "stop", **FAST_TAKE_OVER) as zombie:
        zombie.wait_for_fault()
        raw.send(at(1))
        with grouping(raw, **FAST_TAKE_OVER):
            wait_for_groups(raw, 2)
            zombie.resume()
            # The stop may have come behind the commit; test_unsure_ends.py lets the take-over come first.
            wait_until(lambda: zombie.rejoins or COMMIT_RETURNED in zombie.lines, timeout=90)
            if step != "committing" or COMMIT_RETURNED not in zombie.lines:
                assert_refused(zombie)
            zombie.wait_for_log("partitions assigned", count=2)
            raw.send(at(2))
            wait_for_groups(raw, 3)
        raw.send(at(3))
        wait_for_groups(raw, 4)
    assert_each_group_once(raw, 4)


def test_two_groupers_share_the_partitions_and_one_takes_all(kafka, topic_prefix):
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix, partitions=4).create()
    with grouping(raw, **FAST_TAKE_OVER) as here, GrouperProcess(raw, **FAST_TAKE_OVER) as there:
        there.wait_for_log("partitions assigned")
        wait_until(lambda: len(here._owned) == 2, timeout=60, message="two partitions each")
        for second in range(20):
            raw.send(at(second))
        wait_for_groups(raw, 20)
        there.kill()
        for second in range(20, 40):
            raw.send(at(second))
        wait_for_groups(raw, 40)
        assert len(here._owned) == 4
    groups = read_groups(raw.bootstrap_servers, raw.names.groups)
    assert sorted(g.timestamp for g in groups) == [format_timestamp(at(s)) for s in range(40)]
    # A group lies in its raw partition's number.
    raw_partition = {r.key: r.partition for r in read_all(raw.bootstrap_servers, raw.names.raw)}
    assert all(group.partition == raw_partition[group.timestamp] for group in groups)
    raw.close()


def test_sigterm_ends_a_grouper_cleanly(raw):
    raw.send(at(0))
    with GrouperProcess(raw) as grouper:
        wait_for_groups(raw, 1)
        assert grouper.terminate() == 0
    assert_each_group_once(raw, 1)


@pytest.mark.parametrize("second", [1, 3])
def test_a_broker_killed_in_the_middle_loses_nothing(own_kafka, topic_prefix, second):
    """SIGKILL of the broker and a restart, while the grouper runs: it goes on without help."""
    raw = RawTopic(own_kafka.bootstrap_servers, topic_prefix).create()
    with grouping(raw):
        for number in range(second):
            raw.send(at(number))
        own_kafka.kill()
        own_kafka.start()
        for number in range(second, second + 3):
            raw.send(at(number))
        wait_for_groups(raw, second + 3)
    assert_each_group_once(raw, second + 3)
    raw.close()
