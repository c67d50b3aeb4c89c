"""Topics with groups for tests of the consumer: made, looked at, and shortened."""

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import NewTopic

from consumer.group import Group
from consumer.settings import ConsumerSettings
from runtime.kafka import admin_client, log_consumer, true_end_offset
from runtime.settings import load_settings
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from tests.support.published_groups import SECOND_US, START_US
from tests.support.waiting import timeout_s, wait_until


def make_topics(bootstrap_servers: str, prefix: str, partitions: int = 1) -> ConsumerSettings:
    """Create the topics; return a reader's settings."""
    where = {"bootstrap_servers": bootstrap_servers, "topic_prefix": prefix}
    create_topics(load_settings(TopicsSettings, overrides={**where, "partitions": partitions}, known=[]))
    quick = {"reader_session_timeout_s": 6.0, "broker_wait_s": timeout_s(10.0)}
    return load_settings(ConsumerSettings, overrides={**where, **quick}, known=[])


def make_topic(settings: ConsumerSettings, name: str, partitions: int = 1, **config: str) -> str:
    """Create a topic of any name that a replay can write to; return its name."""
    topic = NewTopic(name, num_partitions=partitions, config={"max.message.bytes": "70000000", **config})
    admin = admin_client(settings)
    admin.create_topics([topic])[name].result(timeout_s(30))
    return name


def settle(settings: ConsumerSettings) -> None:
    """Wait until what was committed can be read: a commit returns before its markers are in the topics."""
    consumer = log_consumer(settings, group_id=None)
    try:
        for topic in (settings.topics.groups, settings.topics.catalogue):
            for partition in consumer.list_topics(topic).topics[topic].partitions:
                where = TopicPartition(topic, partition)
                wait_until(
                    lambda where=where: (
                        consumer.get_watermark_offsets(where, timeout_s(10), cached=False)[1]
                        == true_end_offset(consumer, where)
                    ),
                    f"the markers in {topic}",
                )
    finally:
        consumer.close()


def delete_images(settings: ConsumerSettings, before: int, partition: int = 0) -> None:
    """Do what retention does: delete the images at offsets before this one."""
    _delete(settings, TopicPartition(settings.topics.groups, partition, before))


def delete_entries(settings: ConsumerSettings, before: int, partition: int = 0) -> None:
    """The same with the entries of the catalogue."""
    _delete(settings, TopicPartition(settings.topics.catalogue, partition, before))


def _delete(settings: ConsumerSettings, where: TopicPartition) -> None:
    admin = admin_client(settings)  # its answers come only while it is there
    (done,) = admin.delete_records([where]).values()
    done.result(timeout_s(30))


def committed(settings: ConsumerSettings, group_id: str, partition: int = 0) -> int | None:
    """The position that Kafka keeps for a consumer group in the groups topic; None: none."""
    where = TopicPartition(settings.topics.groups, partition)
    asked = ConsumerGroupTopicPartitions(group_id, [where])
    admin = admin_client(settings)
    answer = admin.list_consumer_group_offsets([asked])[group_id].result(timeout_s(30))
    (found,) = answer.topic_partitions
    return found.offset if found.offset >= 0 else None


def seconds(groups: list[Group]) -> list[int]:
    """Which seconds of the run the groups are of."""
    return [(group.timestamp_us - START_US) // SECOND_US for group in groups]
