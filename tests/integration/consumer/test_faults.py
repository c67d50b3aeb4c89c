"""Kafka dies and comes back, or was never there."""

import os
import subprocess
import sys
import threading
import time

import pytest

from consumer.errors import BrokerUnreachableError, GapError, TopicMissingError
from consumer.metrics import COMMITS_FAILED
from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from runtime.errors import KafkaUnavailableError, MissingTopicError
from runtime.kafka import admin_client
from runtime.settings import load_settings
from schemas.errors import TraplineError
from tests.support.group_topics import committed, make_topics, seconds
from tests.support.metrics import Change
from tests.support.published_groups import SECOND_US, START_US, GroupPublisher
from tests.support.waiting import timeout_s, wait_until


class Reading:
    """A thread that iterates over a stream."""

    def __init__(self, stream: GroupStream) -> None:
        self.groups = []
        self.error = None
        self._stream = stream
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            for group in self._stream:
                self.groups.append(group)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def end(self) -> None:
        self._stream.close()
        self._thread.join(timeout_s(30))
        assert not self._thread.is_alive()


@pytest.mark.parametrize("partitions", [2])
def test_a_broker_that_is_killed_and_restarted_is_waited_for(
    own_kafka, topic_prefix, partitions, open_stream
):
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix, partitions)
    publisher = GroupPublisher(settings)
    for second in range(6):
        publisher.publish(START_US + second * SECOND_US, partition=second % 2)
    blocked = Reading(open_stream(settings, start="beginning"))
    member = open_stream(settings, group_id="members", merge="timestamp")
    try:
        handed = [next(member) for _ in range(2)]
        wait_until(lambda: len(blocked.groups) == 6, "the groups before the kill")
        for crash in range(2):
            own_kafka.kill()
            if crash == 0:
                handed.append(next(member))  # read ahead: there is no need of a broker
            time.sleep(1)  # not in sync with anything: clients meet the dead broker in whatever they do
            own_kafka.start()
            again = GroupPublisher(settings, raw_offset=1000 * (crash + 1))
            for second in range(6 + 4 * crash, 10 + 4 * crash):
                again.publish(START_US + second * SECOND_US, partition=second % 2)
        handed += [next(member) for _ in range(14 - len(handed))]
        wait_until(lambda: len(blocked.groups) >= 14, "the groups after the kills")
        # Nothing is lost, nothing comes twice, and each partition keeps its order.
        assert seconds(handed) == list(range(14))
        assert sorted(seconds(blocked.groups)) == list(range(14))
        member.commit()
        ends = {group.partition: group.last_offset + 1 for group in handed}
        for partition, end in ends.items():
            wait_until(lambda p=partition, e=end: committed(settings, "members", p) == e, "the commits")
        assert blocked.error is None
    finally:
        blocked.end()


def test_a_member_that_was_given_up_goes_on_without_loss(own_kafka, topic_prefix, open_stream):
    """The broker stands still for longer than the session: to it, the member may be dead."""
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    publisher = GroupPublisher(settings)
    publisher.run(4)
    stream = open_stream(settings, group_id="members")
    handed = [next(stream), next(stream)]
    own_kafka.pause()
    try:
        handed.append(next(stream))  # what is due now cannot be committed
        stand_still_s = time.monotonic() + 8.0
        wait_until(lambda: time.monotonic() > stand_still_s, "the session to end", timeout=20)
    finally:
        own_kafka.resume()
    publisher.run(2, first_us=START_US + 4 * SECOND_US)
    handed += [next(stream) for _ in range(3)]
    assert seconds(handed) == list(range(6))
    stream.commit()
    assert committed(settings, "members") == handed[-1].last_offset + 1


def test_a_topic_that_is_made_anew_is_an_error_or_begins_anew(own_kafka, topic_prefix, open_stream):
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    GroupPublisher(settings).run(4)
    strict = open_stream(settings, start="beginning")
    lenient = open_stream(settings, group_id="members", on_gap="skip")
    for stream in (strict, lenient):
        assert seconds([next(stream) for _ in range(4)]) == [0, 1, 2, 3]
    admin = admin_client(settings)
    for deleted in admin.delete_topics(list(settings.topics.all())).values():
        deleted.result(timeout_s(30))
    make_topics(own_kafka.bootstrap_servers, topic_prefix)
    GroupPublisher(settings, name="another").run(2, first_us=START_US + 50 * SECOND_US)
    with pytest.raises(GapError, match="the topic was made anew"):
        next(strict)
    assert seconds([next(lenient), next(lenient)]) == [50, 51]
    lenient.commit()
    assert committed(settings, "members") == 7


def test_a_stream_can_be_closed_while_the_broker_is_away(own_kafka, topic_prefix, open_stream):
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    GroupPublisher(settings).run(3)
    member = open_stream(settings, group_id="members")
    reader = open_stream(settings, start="beginning")
    assert seconds([next(member), next(reader)]) == [0, 0]
    own_kafka.kill()
    next(member)  # its commit meets no broker
    began_s = time.monotonic()
    reader.close()
    assert time.monotonic() < began_s + timeout_s(3)
    with Change(COMMITS_FAILED) as failed:
        member.close()
    assert time.monotonic() < began_s + timeout_s(20)
    assert failed.by >= 1
    assert list(member) == []


def test_no_broker_is_an_error_after_a_while(topic_prefix, unused_port):
    settings = load_settings(
        ConsumerSettings,
        overrides={
            "bootstrap_servers": f"127.0.0.1:{unused_port}",
            "topic_prefix": topic_prefix,
            "broker_wait_s": 1.0,
        },
        known=[],
    )
    with pytest.raises(BrokerUnreachableError, match="TRAPLINE_BOOTSTRAP_SERVERS") as caught:
        GroupStream(settings)
    assert isinstance(caught.value, KafkaUnavailableError)
    with GroupStream(settings, group_id="members") as stream, pytest.raises(BrokerUnreachableError):
        next(stream)


@pytest.mark.parametrize("group_id", [None, "members"])
def test_a_missing_topic_is_an_error_that_names_it(kafka, topic_prefix, group_id):
    settings = load_settings(
        ConsumerSettings,
        overrides={"bootstrap_servers": kafka.bootstrap_servers, "topic_prefix": topic_prefix},
        known=[],
    )
    with pytest.raises(TopicMissingError, match=rf"{topic_prefix}\.groups does not exist") as caught:
        next(GroupStream(settings, group_id=group_id))
    assert isinstance(caught.value, MissingTopicError)
    assert isinstance(caught.value, TraplineError)


def test_an_idle_timeout_is_an_error_where_kafka_is_away(own_kafka, topic_prefix, open_stream):
    """Else nobody could tell a stream that has ended from one that was cut."""
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    GroupPublisher(settings).run(2)
    stream = open_stream(settings, start="beginning", idle_timeout_s=1.0)
    assert seconds([next(stream), next(stream)]) == [0, 1]
    own_kafka.kill()
    with pytest.raises(BrokerUnreachableError, match="no group for 1 s: Kafka does not answer"):
        next(stream)
    with pytest.raises(StopIteration):
        next(stream)


def test_closing_from_another_thread_ends_the_iteration(settings, publisher, open_stream):
    publisher.run(2)
    reading = Reading(open_stream(settings, start="beginning"))
    wait_until(lambda: len(reading.groups) == 2, "both groups")
    reading.end()
    assert reading.error is None


def test_finite_reading_by_time(settings, publisher, open_stream):
    publisher.run(2)
    began_s = time.monotonic()
    assert seconds(list(open_stream(settings, start="beginning", timeout_s=1.5))) == [0, 1]
    assert 1.5 <= time.monotonic() - began_s < 1.5 + timeout_s(5)
    assert list(open_stream(settings, start="beginning", max_groups=0)) == []


def test_a_stream_that_nobody_holds_any_more_ends_its_thread(settings, publisher):
    publisher.run(2)
    for group in GroupStream(settings, start="beginning"):
        assert seconds([group]) == [0]
        break
    del group
    wait_until(
        lambda: not [thread for thread in threading.enumerate() if thread.name == "trapline-groups"],
        "the reading thread to end",
    )


_FORKS = """
import os, sys
from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from runtime.settings import load_settings

with GroupStream(load_settings(ConsumerSettings, known=[]), start="beginning") as stream:
    print(next(stream).timestamp.second)
    child = os.fork()
    if child == 0:
        stream.close()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print(next(stream).timestamp.second)
"""


def test_a_forked_child_leaves_the_stream_to_its_parent(settings, publisher):
    """TraP forks workers; what they inherit must neither hang nor close anything."""
    publisher.run(2)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORKS],
        capture_output=True,
        text=True,
        timeout=timeout_s(60),
        check=False,
        env={
            **os.environ,
            "TRAPLINE_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "TRAPLINE_TOPIC_PREFIX": settings.topic_prefix,
        },
    )
    assert done.stdout.split() == ["0", "0", "1"], done.stderr
