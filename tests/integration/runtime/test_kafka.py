"""The clients on a real Kafka: what they promise is what it does."""

import json

import pytest
from confluent_kafka import KafkaError, TopicPartition, murmur2

from runtime import kafka as clients
from runtime.kafka_probe import KafkaProbe
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from tests.support.waiting import timeout_s, wait_until

MIB = 1024**2


@pytest.fixture
def settings(kafka, topic_prefix):
    settings = TopicsSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=topic_prefix,
        max_frame_bytes=8 * MIB,
        partitions=3,
    )
    create_topics(settings)
    return settings


@pytest.fixture
def admin(settings):
    return clients.admin_client(settings)


def read(consumer, count):
    messages = []

    def enough():
        message = consumer.poll(0.1)
        if message is not None:
            assert message.error() is None, message.error()
            messages.append(message)
        return len(messages) >= count

    wait_until(enough, timeout=30, message=lambda: f"{len(messages)} of {count} records came")
    return messages


def assign(consumer, topic, partitions, offset=0):
    consumer.assign([TopicPartition(topic, partition, offset) for partition in partitions])


def test_keys_lie_where_java_s_clients_would_put_them(settings):
    producer = clients.raw_producer(settings, queue_bytes=MIB)
    keys = [f"2026-11-23T10:00:{second:02}.000000Z".encode() for second in range(20)]
    placed = {}
    for key in keys:
        producer.produce(
            settings.topics.raw,
            b"frame",
            key,
            on_delivery=lambda error, message: placed.update({message.key(): (error, message.partition())}),
        )
    assert producer.flush(timeout_s(30)) == 0
    assert placed == {key: (None, murmur2(key, 3)) for key in keys}
    assert len({partition for _, partition in placed.values()}) == 3


def test_the_largest_frame_goes_in_and_comes_out(settings):
    frame = bytes(settings.max_frame_bytes)
    producer = clients.raw_producer(settings, queue_bytes=16 * MIB)
    errors = []
    producer.produce(
        settings.topics.raw, frame, b"key", partition=0, on_delivery=lambda error, _: errors.append(error)
    )
    assert producer.flush(timeout_s(30)) == 0
    assert errors == [None]
    consumer = clients.log_consumer(settings, group_id=None)
    assign(consumer, settings.topics.raw, [0])
    (message,) = read(consumer, 1)
    assert message.value() == frame
    consumer.close()


def test_a_record_larger_than_one_fetch_comes_alone(kafka, topic_prefix):
    settings = TopicsSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=topic_prefix, max_frame_bytes=40 * MIB
    )
    create_topics(settings)
    producer = clients.raw_producer(settings, queue_bytes=128 * MIB)
    sizes = [10, 40 * MIB, 10 * MIB, 30 * MIB, 10]
    for size in sizes:
        producer.produce(settings.topics.raw, bytes(size), b"key", partition=0)
    assert producer.flush(timeout_s(60)) == 0
    consumer = clients.log_consumer(settings, group_id=None, queue_bytes=MIB)
    assign(consumer, settings.topics.raw, [0])
    assert [len(message.value()) for message in read(consumer, len(sizes))] == sizes
    consumer.close()


def test_the_queue_is_bounded_and_nothing_in_it_is_dropped(settings):
    producer = clients.raw_producer(settings, queue_bytes=MIB)
    refused = 0
    errors = []
    for number in range(40):
        while True:
            try:
                producer.produce(
                    settings.topics.raw,
                    bytes(256 * 1024),
                    f"{number}".encode(),
                    on_delivery=lambda error, _: errors.append(error),
                )
            except BufferError:
                refused += 1
                producer.poll(timeout_s(1))
            else:
                break
    assert producer.flush(timeout_s(30)) == 0
    assert refused > 0
    assert errors == [None] * 40


def test_the_true_end_passes_an_open_transaction(settings, admin):
    groups = settings.topics.groups
    producer = clients.transactional_producer(settings, f"{settings.topic_prefix}-group-0")
    producer.init_transactions(timeout_s(30))
    producer.begin_transaction()
    for number in range(2):
        producer.produce(groups, b"image", f"{number}".encode(), partition=0)
    assert producer.flush(timeout_s(30)) == 0

    consumer = clients.log_consumer(settings, group_id=None)
    assign(consumer, groups, [0])
    assert clients.true_end_offsets(admin, groups, range(3)) == {0: 2, 1: 0, 2: 0}
    assert clients.true_end_offset(consumer, TopicPartition(groups, 0)) == 2
    assert consumer.get_watermark_offsets(TopicPartition(groups, 0), timeout=timeout_s(30)) == (0, 0)

    producer.commit_transaction(timeout_s(30))
    assert len(read(consumer, 2)) == 2
    assert clients.true_end_offset(consumer, TopicPartition(groups, 0)) == 3  # the marker
    assert clients.begin_offsets(admin, groups, [0]) == {0: 0}
    consumer.close()


def test_isolation(settings):
    groups = settings.topics.groups
    producer = clients.transactional_producer(settings, f"{settings.topic_prefix}-group-0")
    producer.init_transactions(timeout_s(30))
    for value, end in ((b"aborted", producer.abort_transaction), (b"committed", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(groups, value, b"key", partition=0)
        assert producer.flush(timeout_s(30)) == 0
        end(timeout_s(30))
    for isolation, expected in (
        ("read_committed", [b"committed"]),
        ("read_uncommitted", [b"aborted", b"committed"]),
    ):
        consumer = clients.log_consumer(settings, group_id=None, isolation_level=isolation)
        assign(consumer, groups, [0])
        assert [message.value() for message in read(consumer, len(expected))] == expected
        consumer.close()


def test_a_new_assignment_is_paused_nowhere(settings):
    """librdkafka keeps a partition paused, also one that was out of the assignment meanwhile."""
    raw = settings.topics.raw
    producer = clients.raw_producer(settings, queue_bytes=MIB)
    producer.produce(raw, b"frame", b"key", partition=0)
    assert producer.flush(timeout_s(30)) == 0
    consumer = clients.log_consumer(settings, group_id=None)
    assign(consumer, raw, [0])
    read(consumer, 1)
    consumer.pause([TopicPartition(raw, 0)])
    for partitions in ([], [1], [0, 1]):
        assign(consumer, raw, partitions)
    assert [message.value() for message in read(consumer, 1)] == [b"frame"]
    consumer.close()


def test_a_position_that_is_gone_is_an_error_event(settings):
    consumer = clients.log_consumer(settings, group_id=None)
    assign(consumer, settings.topics.raw, [0], offset=100)
    error = wait_until(lambda: (message := consumer.poll(0.1)) and message.error(), timeout=30)
    assert error.code() == KafkaError._AUTO_OFFSET_RESET
    consumer.close()


def test_the_end_of_a_partition_is_an_event_on_request(settings):
    consumer = clients.log_consumer(settings, group_id=None, enable_partition_eof=True)
    assign(consumer, settings.topics.raw, [0])
    message = wait_until(lambda: consumer.poll(0.1), timeout=30)
    assert message.error().code() == KafkaError._PARTITION_EOF
    assert message.offset() == 0
    consumer.close()


def test_nothing_is_committed_by_itself(settings):
    producer = clients.raw_producer(settings, queue_bytes=MIB)
    producer.produce(settings.topics.groups, b"image", b"key", partition=0)
    producer.flush(timeout_s(30))
    group = f"{settings.topic_prefix}.reader"
    consumer = clients.log_consumer(settings, group_id=group, auto_offset_reset="earliest")
    consumer.subscribe([settings.topics.groups])
    read(consumer, 1)
    consumer.close()
    consumer = clients.log_consumer(settings, group_id=group)
    (position,) = consumer.committed([TopicPartition(settings.topics.groups, 0)], timeout=timeout_s(30))
    assert position.offset < 0
    consumer.close()


def test_statistics(settings):
    seen = []
    producer = clients.raw_producer(settings, queue_bytes=MIB, on_stats=seen.append, stats_interval_s=0.1)
    wait_until(lambda: producer.poll(0.1) and seen, timeout=30)
    assert seen[0]["msg_size_max"] == MIB
    json.dumps(seen[0])


def test_the_probe_says_when_kafka_goes(settings):
    assert KafkaProbe(settings).problem() is None
    gone = settings.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    assert "does not answer" in (KafkaProbe(gone).problem() or "")


def test_the_end_of_a_topic_after_its_leader_was_elected_anew(own_kafka, topic_prefix):
    """An admin client that knew the leader from before is refused until it asks for metadata again."""
    settings = TopicsSettings(bootstrap_servers=own_kafka.bootstrap_servers, topic_prefix=topic_prefix)
    create_topics(settings)
    raw = settings.topics.raw
    producer = clients.raw_producer(settings, queue_bytes=MIB)
    admin = clients.admin_client(settings)
    for end in (1, 2):
        producer.produce(raw, b"frame", b"key", partition=0)
        assert producer.flush(timeout_s(60)) == 0
        assert clients.true_end_offset(admin, TopicPartition(raw, 0), timeout_s(30)) == end
        own_kafka.kill()
        own_kafka.start()
