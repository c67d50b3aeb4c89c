"""`trapline replay` as a process: what it writes, where it goes on, and how it ends."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import NewTopic

from consumer.cadence import Cadence
from consumer.group_range import group_range
from consumer.history import History
from consumer.replay_plan import plan_replay
from runtime.kafka import admin_client, raw_producer
from tests.interop.murmur2 import java_partition
from tests.support.group_topics import delete_images, make_topics, settle
from tests.support.groups_reader import read_all, read_entries, read_groups
from tests.support.published_groups import SECOND_US, SOURCES, START_US, GroupPublisher
from tests.support.waiting import timeout_s, wait_until

MARK = {"ce_replayof", "ce_replaytime"}
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start_replay(topic_prefix) -> Iterator[Start]:
    """Starts `trapline replay`, and kills it after the test."""
    started = []

    def start(bootstrap_servers: str, *options: object, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "trapline", "replay", *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "TRAPLINE_BOOTSTRAP_SERVERS": bootstrap_servers,
                "TRAPLINE_TOPIC_PREFIX": topic_prefix,
                **more,
            },
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def replay(kafka, start_replay):
    """Runs `trapline replay` to its end: exit status, standard output, stderr."""

    def run(*options: object, **more: str) -> tuple[int, str, str]:
        process = start_replay(kafka.bootstrap_servers, *options, **more)
        out, err = process.communicate(timeout=timeout_s(60))
        assert "Traceback" not in err
        return process.returncode, out, err

    return run


@pytest.fixture
def again(settings):
    """Topics of another prefix on the same Kafka."""
    return make_topics(settings.bootstrap_servers, f"{settings.topic_prefix}-again")


def make_topic(settings, name, partitions=1, **config):
    topic = NewTopic(name, num_partitions=partitions, config={"max.message.bytes": "70000000", **config})
    admin = admin_client(settings)
    admin.create_topics([topic])[name].result(timeout_s(30))
    return name


def groups_of(settings, topic=None):
    return read_groups(settings.bootstrap_servers, topic or settings.topics.groups)


def timestamps(groups):
    return [group.timestamp for group in groups]


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def test_lines_of_json_on_standard_output(publisher, settings, replay):
    publisher.run(2)
    publisher.publish(START_US + 2 * SECOND_US, sources=("sb0", "sb2"))
    settle(settings)
    status, out, err = replay("--speed", "max")
    assert status == 0, err
    found = lines(out)
    assert [line["timestamp"] for line in found] == timestamps(groups_of(settings))
    assert [line["missing"] for line in found] == [[], [], ["sb1"]]
    assert '"groups": 3' in err
    status, out, err = replay("--speed", "max", "--last", 2, "--sources", "sb1")
    assert [(line["timestamp"][17:19], line["sources"]) for line in lines(out)] == [
        ("00", ["sb1"]),
        ("01", ["sb1"]),
    ]


def test_a_prefix_gets_the_same_groups_marked_and_every_verb_works_on_it(publisher, settings, again, replay):
    publisher.run(3)
    publisher.publish(START_US + 3 * SECOND_US, sources=("sb2", "sb0"))
    publisher.publish(START_US, revision=2)
    settle(settings)
    status, out, err = replay("--speed", "max", "--to-prefix", again.topic_prefix)
    assert (status, out) == (0, ""), err
    settle(again)
    originals = read_all(settings.bootstrap_servers, settings.topics.groups)
    copies = read_all(settings.bootstrap_servers, again.topics.groups)
    assert [(copy.key, copy.value, copy.partition) for copy in copies] == [
        (original.key, original.value, original.partition) for original in originals
    ]
    times = set()
    for original, copy in zip(originals, copies, strict=True):
        assert {name: text for name, text in copy.headers.items() if name not in MARK} == original.headers
        assert copy.headers["ce_replayof"] == f"{settings.topics.groups}/0/{original.offset}"
        times.add(copy.headers["ce_replaytime"])
    assert len(times) == 1
    with History(settings) as history, History(again) as copied:
        for before, after in zip(history.groups(group_range()), copied.groups(group_range()), strict=True):
            assert after.group_id == before.group_id
            assert [image.fits for image in after.images] == [image.fits for image in before.images]
        entries = [record.entry() for record in copied.find(group_range())]
    assert [(entry.committed_offset, entry.read_to, entry.catalogue_from) for entry in entries] == [
        (0, 0, 0)
    ] * 5
    marks = read_all(settings.bootstrap_servers, again.topics.catalogue)
    assert all(mark.headers["ce_replayof"].startswith(f"{settings.topics.catalogue}/0/") for mark in marks)


def test_some_sources_are_whole_groups_of_their_own(publisher, settings, again, replay):
    publisher.run(1)
    publisher.publish(START_US + SECOND_US, sources=("sb0", "sb1"))
    settle(settings)
    status, _, err = replay("--speed", "max", "--sources", "sb2,sb1", "--to-prefix", again.topic_prefix)
    assert status == 0, err
    settle(again)
    whole, part = groups_of(again)
    assert (whole.sources, whole.missing) == (("sb1", "sb2"), ())
    assert (part.sources, part.missing) == (("sb1",), ("sb2",))
    assert part.records[0].headers["ce_groupexpected"] == "2"
    entries = read_entries(settings.bootstrap_servers, again.topics.catalogue)
    assert [(entry["present"], entry["missing"], entry["complete"]) for entry in entries] == [
        (["sb1", "sb2"], [], True),
        (["sb1"], ["sb2"], False),
    ]
    status, out, err = replay("--speed", "max", TRAPLINE_TOPIC_PREFIX=again.topic_prefix)
    assert [line["missing"] for line in lines(out)] == [[], ["sb2"]]


@pytest.mark.parametrize("partitions", [2])
def test_partitions_stay_where_there_are_as_many(publisher, settings, replay):
    for number in range(4):
        publisher.publish(START_US + number * SECOND_US, partition=number % 2)
    settle(settings)
    name = make_topic(settings, f"{settings.topic_prefix}-as-many", 2)
    assert replay("--speed", "max", "--to-topic", name)[0] == 0
    assert {group.timestamp: group.partition for group in groups_of(settings, name)} == {
        group.timestamp: group.partition for group in groups_of(settings)
    }
    name = make_topic(settings, f"{settings.topic_prefix}-more", 5)
    status, _, err = replay("--speed", "max", "--to-topic", name)
    assert status == 0
    assert "groups go by their key" in err
    copies = groups_of(settings, name)
    assert len(copies) == 4
    assert all(group.partition == java_partition(group.timestamp.encode(), 5) for group in copies)


def test_a_stream_that_runs_gets_a_second_replay_as_well(publisher, settings, again, replay, open_stream):
    publisher.run(2)
    settle(settings)
    stream = open_stream(again, start="beginning")
    for _ in range(2):
        assert replay("--speed", "max", "--to-prefix", again.topic_prefix)[0] == 0
        assert [next(stream).timestamp_us for _ in range(2)] == [START_US, START_US + SECOND_US]


def test_a_replay_of_a_replay_names_the_first_original(publisher, settings, again, replay):
    publisher.run(1)
    settle(settings)
    third = make_topic(settings, f"{settings.topic_prefix}-third")
    assert replay("--to-prefix", again.topic_prefix)[0] == 0
    settle(again)
    assert replay("--to-topic", third, TRAPLINE_TOPIC_PREFIX=again.topic_prefix)[0] == 0
    first, second = (groups_of(settings, topic)[0] for topic in (again.topics.groups, third))
    for one, other in zip(first.records, second.records, strict=True):
        assert one.headers["ce_replayof"] == other.headers["ce_replayof"]
        assert one.headers["ce_replaytime"] < other.headers["ce_replaytime"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_goes_on_after_a_signal_has_each_group_once(publisher, again, start_replay, replay, number):
    settings = publisher.settings
    publisher.run(12)
    settle(settings)
    options = ["--speed", "0.5", "--to-prefix", again.topic_prefix]
    process = start_replay(settings.bootstrap_servers, *options, "--limit", "11")
    wait_until(lambda: len(groups_of(again)) > 1, "two groups", 60)
    process.send_signal(number)
    out, err = process.communicate(timeout=timeout_s(60))
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    first = len(groups_of(again))
    assert first < 11
    (going_on,) = [line for line in err.splitlines() if "to go on" in line]
    status, _, err = replay(*shlex.split(going_on)[6:], "--max-gap", "0.1")
    assert status == 0, err
    assert (
        timestamps(groups_of(again)) == timestamps(groups_of(settings))[:11]
    )  # fails on one that is there twice


def test_lines_go_on_where_a_signal_came(publisher, settings, start_replay, replay):
    publisher.run(12)
    settle(settings)
    process = start_replay(settings.bootstrap_servers, "--speed", "0.5")
    first = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=timeout_s(60))
    assert process.returncode == 130
    (going_on,) = [line for line in err.splitlines() if "to go on" in line]
    status, rest, _ = replay(*shlex.split(going_on)[6:], "--max-gap", "0.1")
    assert status == 0
    seen = lines("".join(first) + out + rest)
    assert [line["timestamp"] for line in seen] == timestamps(groups_of(settings))


def test_a_replay_that_was_killed_leaves_no_torn_group(publisher, settings, again, start_replay, replay):
    for second in range(8):
        publisher.publish(START_US + second * SECOND_US, shape=(512, 512))
    settle(settings)
    options = ["--speed", "8", "--to-prefix", again.topic_prefix]
    process = start_replay(settings.bootstrap_servers, *options)
    wait_until(lambda: read_all(settings.bootstrap_servers, again.topics.groups), "an image", 60)
    process.kill()
    process.communicate()
    done = len(groups_of(again))
    status, _, err = replay(*options, "--speed", "max")
    assert status == 0, err
    settle(again)
    copies = read_all(settings.bootstrap_servers, again.topics.groups)
    assert len(copies) == (done + 8) * len(SOURCES)
    assert len(read_entries(settings.bootstrap_servers, again.topics.catalogue)) == done + 8


def test_a_signal_ends_it_also_where_the_broker_does_not_answer(own_kafka, topic_prefix, start_replay):
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    GroupPublisher(settings).run(12)
    settle(settings)
    options = {"TRAPLINE_BROKER_WAIT_S": "600", "TRAPLINE_READ_AHEAD_GROUPS": "1"}
    topic = make_topic(settings, f"{topic_prefix}-copy")
    process = start_replay(own_kafka.bootstrap_servers, "--speed", "0.5", "--to-topic", topic, **options)
    wait_until(lambda: groups_of(settings, topic), "a group", 60)
    own_kafka.pause()
    try:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=timeout_s(60))
    finally:
        own_kafka.resume()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "trapline: to go on: trapline replay --offset 0:" in err


def test_groups_are_not_early(publisher, settings, replay):
    publisher.run(4)
    settle(settings)
    status, out, err = replay("--speed", "2")
    assert status == 0, err
    # A line says how long ago the group was received; these were received when they were observed.
    written_s = [line["latency_s"] + second for second, line in enumerate(lines(out))]
    for number, at_s in enumerate(written_s):
        assert at_s - written_s[0] > number / 2 - 0.25  # the first one may be late, too


def test_what_would_be_replayed(publisher, settings, again, replay):
    published = publisher.run(3)
    publisher.publish(START_US + 3602 * SECOND_US, sources=("sb0",))
    settle(settings)
    delete_images(settings, published[1].entry.first_offset)
    status, out, err = replay("--dry-run", "--speed", "10", "--to-prefix", again.topic_prefix)
    assert status == 0, err
    assert "groups    3, 7 images, about 40.3 kB" in out
    assert "takes     6.1 s at speed 10; gaps longer than 60 s count as that long" in out
    assert "left out  1 groups whose images are gone" in out
    assert groups_of(again) == []
    status, out, err = replay("--dry-run", "--from", "2030-01-01")
    assert (status, out) == (3, "")


def test_of_images_only_the_sample_is_fetched(publisher, settings):
    publisher.run(4)
    settle(settings)
    reading = []
    with History(settings) as history:
        plan = plan_replay(
            history, group_range(), Cadence(), lambda _us: reading.append(len(history._images))
        )
    assert (plan.groups, plan.size_bytes > 0) == (4, True)
    assert reading == [0] * 4


def test_nothing_to_replay(settings, publisher, replay):
    status, out, err = replay()
    assert (status, out) == (3, "")
    assert "has no group yet" in err.splitlines()[-1]
    published = publisher.run(1)
    settle(settings)
    status, out, err = replay("--from", "2027-01-01")
    assert status == 3
    assert "its newest group is of 2026-11-23T10:00:00.000000Z" in err
    delete_images(settings, published[0].entry.last_offset + 1)
    status, out, err = replay("--speed", "max")
    assert status == 3
    assert "nothing to replay: the images of 1 groups" in err


def test_what_is_wrong_is_said_before_anything_is_connected(replay, unused_port):
    nobody = {"TRAPLINE_BOOTSTRAP_SERVERS": f"127.0.0.1:{unused_port}", "TRAPLINE_BROKER_WAIT_S": "1"}
    for options, words in (
        (["--end"], "a replay plays what is there"),
        (["--speed", "fast"], "is no speed"),
        (["--from", "soon"], "'soon' is no time"),
        (["--to-topic", "a", "--to-prefix", "b"], "--to-topic and --to-prefix exclude each other"),
        (["--to-bootstrap-servers", "a:1"], "goes with --to-topic or --to-prefix"),
        (["--to-topic", "a b"], "Kafka allows"),
        (["--to-topic", "a", "--to-config", "no-such.toml"], "no-such.toml: can't be read"),
        (["--to-topic", "a", "--to-bootstrap-servers", "nowhere"], "should be HOST:PORT"),
    ):
        status, _, err = replay(*options, **nobody)
        assert (status, words in err) == (2, True), err
    status, _, err = replay(**nobody)
    assert status == 1
    assert "TRAPLINE_BOOTSTRAP_SERVERS" in err.splitlines()[-1]


def test_no_topic_to_read(replay, topic_prefix):
    status, _, err = replay()
    assert status == 1
    assert f"topic {topic_prefix}.groups does not exist" in err.splitlines()[-1]


def test_where_a_replay_may_not_or_cannot_write(publisher, settings, again, replay):
    publisher.run(1)
    settle(settings)
    small = make_topic(settings, f"{settings.topic_prefix}-small", **{"max.message.bytes": "1000000"})
    compacted = make_topic(settings, f"{settings.topic_prefix}-compacted", **{"cleanup.policy": "compact"})
    for options, status, words in (
        (["--to-prefix", settings.topic_prefix], 2, "is the prefix that is read"),
        (["--to-topic", settings.topics.groups], 2, "is a topic of"),
        (["--to-topic", again.topics.groups], 2, f"say --to-prefix {again.topic_prefix}"),
        (["--to-topic", "no-such-topic"], 1, "no-such-topic, to be replayed to, does not exist"),
        (["--to-prefix", "no-such-prefix"], 1, "trapline topics create --topic-prefix no-such-prefix"),
        (["--to-topic", small], 1, "max.message.bytes: 1000000, should be at least"),
        (["--to-topic", compacted], 1, "cleanup.policy: compact, should be delete"),
    ):
        found, _, err = replay("--speed", "max", *options)
        assert (found, words in err) == (status, True), err
    assert replay("--dry-run", "--to-topic", small)[0] == 1


def test_topics_of_a_grouper_are_refused(publisher, settings, again, replay):
    publisher.run(1)
    settle(settings)
    producer = raw_producer(again, queue_bytes=1_000_000)
    producer.produce(again.topics.raw, b"a frame")
    assert producer.flush(timeout_s(30)) == 0
    status, _, err = replay("--to-prefix", again.topic_prefix)
    assert status == 2
    assert "so a grouper publishes to it" in err


def test_another_cluster_that_dies_in_the_middle(publisher, own_kafka, start_replay, replay, tmp_path):
    settings = publisher.settings
    topic_prefix = settings.topic_prefix
    publisher.run(12)
    settle(settings)
    config = tmp_path / "other.toml"
    config.write_text(f'bootstrap_servers = "{own_kafka.bootstrap_servers}"\n')
    there = make_topics(own_kafka.bootstrap_servers, topic_prefix)  # the same prefix, elsewhere
    options = ["--speed", "0.5", "--to-prefix", topic_prefix, "--to-config", config]
    process = start_replay(settings.bootstrap_servers, *options, TRAPLINE_BROKER_WAIT_S="3")
    wait_until(lambda: len(groups_of(there)) > 1, "two groups", 60)
    own_kafka.kill()
    _, err = process.communicate(timeout=timeout_s(120))
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "trapline: error:" in err.splitlines()[-1]
    (going_on,) = [line for line in err.splitlines() if "to go on" in line]
    own_kafka.start()
    status, _, more = replay(*shlex.split(going_on)[6:], "--max-gap", "0.1")
    assert status == 0, more
    if "not known" not in err:  # which of them is, it says
        assert timestamps(groups_of(there)) == timestamps(groups_of(settings))


def test_a_broker_that_dies_while_lines_are_printed(own_kafka, topic_prefix, start_replay):
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    publisher = GroupPublisher(settings)
    for second in range(12):
        publisher.publish(START_US + second * SECOND_US, sources=("sb0", "sb1"), shape=(1024, 2048))
    settle(settings)
    process = start_replay(
        own_kafka.bootstrap_servers,
        "--speed",
        "4",
        TRAPLINE_BROKER_WAIT_S="2",
        TRAPLINE_MAX_FRAME_BYTES="9000000",
        TRAPLINE_READ_AHEAD_GROUPS="1",
    )
    process.stdout.readline()
    own_kafka.kill()
    _, err = process.communicate(timeout=timeout_s(60))
    assert "Traceback" not in err
    if process.returncode:  # all was fetched already: then it ends well
        assert process.returncode == 1
        assert "trapline: to go on: trapline replay --offset 0:" in err
        assert "error" in err.splitlines()[-1]


def test_the_last_groups_stay_those_when_others_come_meanwhile(
    publisher, settings, topic_prefix, start_replay, replay
):
    """Kafka is named by options, not by the environment: they are part of what is told."""
    nowhere = {"TRAPLINE_BOOTSTRAP_SERVERS": "127.0.0.1:1", "TRAPLINE_TOPIC_PREFIX": "elsewhere"}
    options = ["--bootstrap-servers", settings.bootstrap_servers, "--topic-prefix", topic_prefix]
    published = publisher.run(12)
    settle(settings)
    delete_images(settings, published[4].entry.first_offset)  # of the last ten two are gone
    process = start_replay("", *options, "--last", "10", "--speed", "0.5", **nowhere)
    first = [process.stdout.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=timeout_s(60))
    assert process.returncode == 130, err
    publisher.run(5, first_us=START_US + 100 * SECOND_US)
    settle(settings)
    (going_on,) = [line for line in err.splitlines() if "to go on" in line]
    status, rest, err = replay(*shlex.split(going_on)[6:], "--speed", "max", **nowhere)
    assert status == 0, err
    seen = lines("".join(first) + out + rest)
    assert [line["timestamp"][17:19] for line in seen] == [f"{second:02}" for second in range(4, 12)]
