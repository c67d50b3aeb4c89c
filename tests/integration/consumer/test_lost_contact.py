"""A client of Kafka's that hears nothing any more is replaced; no group is lost or handed out twice."""

import pytest

import runtime.contact
from tests.support.group_topics import committed, make_topics, seconds
from tests.support.published_groups import SECOND_US, START_US, GroupPublisher
from tests.support.waiting import wait_until


@pytest.mark.parametrize("group_id", [None, "members"])
def test_a_stream_goes_on_with_another_client(own_kafka, topic_prefix, open_stream, monkeypatch, group_id):
    monkeypatch.setattr(runtime.contact, "PATIENCE_S", 1.0)
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    GroupPublisher(settings).run(4)
    stream = open_stream(settings, group_id=group_id, start="beginning")
    handed = [next(stream), next(stream)]
    first = stream._fetcher._consumer
    own_kafka.kill()
    wait_until(lambda: stream._fetcher._consumer is not first, "another client", 60)
    own_kafka.start()
    GroupPublisher(settings, raw_offset=1000).run(2, first_us=START_US + 4 * SECOND_US)
    handed += [next(stream) for _ in range(4)]
    assert seconds(handed) == list(range(6))
    if group_id is not None:
        stream.commit()
        assert committed(settings, group_id) == handed[-1].last_offset + 1


def test_a_stream_to_which_nothing_comes_keeps_its_client(publisher, settings, open_stream, monkeypatch):
    """Kafka answers, so there is nothing to mend."""
    monkeypatch.setattr(runtime.contact, "PATIENCE_S", 0.2)
    publisher.run(1)
    stream = open_stream(settings, start="beginning")
    next(stream)
    first, contact = stream._fetcher._consumer, stream._fetcher._contact
    heard_s = contact._heard_s
    wait_until(lambda: contact._heard_s > heard_s + 1, "several questions")
    assert stream._fetcher._consumer is first
