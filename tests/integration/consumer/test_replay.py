"""`trapline replay` as a process: what it writes, when, and what it refuses."""

import json

import pytest

from consumer.cadence import Cadence
from consumer.group_range import group_range
from consumer.history import History
from consumer.replay_plan import plan_replay
from runtime.kafka import raw_producer
from tests.interop.murmur2 import java_partition
from tests.support.group_topics import delete_images, make_topic, settle
from tests.support.groups_reader import read_all, read_entries, read_groups
from tests.support.published_groups import SECOND_US, START_US
from tests.support.waiting import timeout_s

MARK = {"ce_replayof", "ce_replaytime"}


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
    alone = make_topic(settings, f"{settings.topic_prefix}-alone.raw")
    pair = make_topic(settings, f"{settings.topic_prefix}-pair.rejects")
    make_topic(settings, f"{settings.topic_prefix}-pair.catalogue")
    for options, status, words in (
        (["--to-prefix", settings.topic_prefix], 2, "is the prefix that is read"),
        (["--to-topic", settings.topics.groups], 2, "is a topic of"),
        (["--to-topic", again.topics.groups], 2, f"say --to-prefix {again.topic_prefix}"),
        (["--to-topic", again.topics.raw], 2, "expect no images in its raw"),
        (["--to-topic", again.topics.catalogue], 2, "expect no images in its catalogue"),
        (["--to-topic", pair], 2, f"belongs to the prefix {settings.topic_prefix}-pair (there is "),
        (["--to-topic", alone], 0, ""),
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
