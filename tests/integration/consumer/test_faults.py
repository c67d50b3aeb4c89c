"""Kafka dies and comes back, or was never there."""

import threading
import time

import pytest

from consumer.errors import BrokerUnreachableError, TopicMissingError
from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from runtime.errors import KafkaUnavailableError, MissingTopicError
from runtime.settings import load_settings
from schemas.errors import TraplineError
from tests.support.group_topics import committed, make_topics, seconds
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
    member.close()
    assert time.monotonic() < began_s + timeout_s(20)
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
