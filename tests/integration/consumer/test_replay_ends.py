"""`trapline replay` that is stopped, killed, or loses its Kafka: how it ends, and where it goes on."""

import re
import shlex
import signal

import pytest

from tests.integration.consumer.test_replay import groups_of, lines, timestamps
from tests.support.group_topics import delete_images, make_topic, make_topics, settle
from tests.support.groups_reader import read_all, read_entries
from tests.support.published_groups import SECOND_US, SOURCES, START_US, GroupPublisher
from tests.support.waiting import timeout_s, wait_until


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
    copies = timestamps(groups_of(there))
    assert sorted(set(copies)) == timestamps(groups_of(settings))
    twice = {timestamp for timestamp in copies if copies.count(timestamp) > 1}
    if "not known" in err:  # whether those are there; it names them, and who goes on has them perhaps twice
        (in_doubt,) = re.findall(r"whether the last \d+ groups, (\S+) to (\S+), were published", err)
        assert all(in_doubt[0] <= timestamp <= in_doubt[1] for timestamp in twice)
    else:
        assert not twice


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
    assert process.returncode == 1, err  # of 192 MB at most some 100 were fetched by then
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
