"""A Kafka that was away is no stream that has stopped."""

import time

from confluent_kafka import KafkaError

from grouper.quiet import QuietWatch


class Asked:
    """A partition that only remembers what it was asked; it is never due, so Kafka is not asked."""

    def __init__(self):
        self.there_since_s = []

    def quiet_due(self, _now_s, there_since_s):
        self.there_since_s.append(there_since_s)
        return False


def test_the_wait_counts_from_the_last_report_that_all_brokers_are_down():
    watch, state = QuietWatch("raw"), Asked()
    watch.look(None, 0, state)
    before_s = time.monotonic()
    watch.on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    watch.look(None, 0, state)
    assert state.there_since_s[0] == float("-inf")
    assert before_s <= state.there_since_s[1] <= time.monotonic()


def test_one_broker_of_several_that_is_down_says_nothing():
    watch, state = QuietWatch("raw"), Asked()
    watch.on_error(KafkaError(KafkaError._TRANSPORT))
    watch.look(None, 0, state)
    assert state.there_since_s == [float("-inf")]
