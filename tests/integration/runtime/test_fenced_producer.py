"""A producer that another one has fenced says so by a KafkaException, whatever waits in its queues."""

import time

import pytest
from confluent_kafka import KafkaException

from runtime import kafka as clients
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from tests.support.waiting import timeout_s


@pytest.mark.parametrize("serve", ["flush", "poll", "produce"])
def test_fenced_amid_its_delivery_reports(kafka, topic_prefix, serve):
    settings = TopicsSettings(bootstrap_servers=kafka.bootstrap_servers, topic_prefix=topic_prefix)
    create_topics(settings)
    first = clients.transactional_producer(settings, topic_prefix)
    first.init_transactions(timeout_s(30))
    second = clients.transactional_producer(settings, topic_prefix)
    second.init_transactions(timeout_s(30))
    reports = []
    first.begin_transaction()

    def produce():
        first.produce(
            settings.topics.raw, b"late", on_delivery=lambda error, _message: reports.append(error.code())
        )

    def publish():
        for _ in range(100):
            produce()
        for _ in range(round(timeout_s(30))):
            if serve == "produce":  # on and on, and nobody calls for the reports
                time.sleep(1)
                produce()
            else:
                getattr(first, serve)(1.0)

    with pytest.raises(KafkaException) as raised:
        publish()
    assert raised.value.args[0].fatal(), raised.value
