"""A grouper that hears nothing of Kafka any more goes on with another client; each group is out once."""

import runtime.contact
from grouper import metrics
from runtime.contact import Contact
from tests.integration.grouper.test_exactly_once import assert_each_group_once, wait_for_groups
from tests.support.grouping import grouping
from tests.support.metrics import Change
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import wait_until


def test_it_joins_anew_until_kafka_is_heard_again(own_kafka, topic_prefix, monkeypatch):
    monkeypatch.setattr(runtime.contact, "PATIENCE_S", 1.0)
    raw = RawTopic(own_kafka.bootstrap_servers, topic_prefix).create()
    with Change(metrics.REJOINS) as rejoins, grouping(raw):
        raw.send(at(0))
        wait_for_groups(raw, 1)
        own_kafka.pause()
        try:
            wait_until(lambda: rejoins.by >= 2, "the second client", 90)
        finally:
            own_kafka.resume()
        raw.send(at(1))
        wait_for_groups(raw, 2)
    assert_each_group_once(raw, 2)
    raw.close()


def test_it_keeps_its_client_where_nothing_comes(raw, monkeypatch):
    """Kafka answers, so there is nothing to mend."""
    monkeypatch.setattr(runtime.contact, "PATIENCE_S", 0.1)
    asked = []
    is_lost = Contact.is_lost

    def watched(contact):
        asked.append(is_lost(contact))
        return asked[-1]

    monkeypatch.setattr(Contact, "is_lost", watched)
    with Change(metrics.REJOINS) as rejoins, grouping(raw) as service:
        wait_until(lambda: service._owned, "the partition", 60)
        wait_until(lambda: len(asked) > 20, "a while of silence", 60)
        raw.send(at(0))
        wait_for_groups(raw, 1)
    assert rejoins.by == 0
    assert not any(asked)
