"""Topics on a real Kafka: made, made again, and each planted wrong setting found."""

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from runtime import kafka as clients
from runtime import kafka_clients, topics
from runtime.errors import KafkaUnavailableError, MissingTopicError, SettingsError, TopicCheckError
from runtime.settings import load_settings
from runtime.topic_check import Severity
from runtime.topic_settings import TopicsSettings
from runtime.topics import check_topics, create_topics, require_good_topics
from schemas.offset_metadata import OffsetMetadata
from tests.support.waiting import timeout_s, wait_until
from trapline import cli


@pytest.fixture
def settings(kafka, topic_prefix):
    return TopicsSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=topic_prefix, max_frame_bytes=8 * 1024**2
    )


@pytest.fixture
def admin(settings):
    return clients.admin_client(settings)


def committed(admin, settings):
    raw = settings.topics.raw
    numbers = admin.list_topics(raw, timeout=timeout_s(30)).topics[raw].partitions
    consumer = clients.log_consumer(settings, group_id=settings.consumer_group)
    try:
        found = consumer.committed([TopicPartition(raw, each) for each in numbers], timeout=timeout_s(30))
    finally:
        consumer.close()
    return {(each.topic, each.partition): (each.offset, each.metadata) for each in found if each.offset >= 0}


def alter(admin, topic, setting, value):
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(timeout_s(30))


def produce(settings, topic, key, partition=0):
    producer = clients.raw_producer(settings, queue_bytes=64 * 1024**2)
    errors = []
    producer.produce(
        topic, b"value", key, partition=partition, on_delivery=lambda error, _: errors.append(error)
    )
    assert producer.flush(timeout_s(30)) == 0
    assert errors == [None]


def text_of(outcomes):
    return [(outcome.name.rsplit(".", 1)[-1], outcome.text) for outcome in outcomes]


def test_create_then_create_again(settings, admin):
    first = text_of(create_topics(settings, admin))
    assert first == [
        ("raw", "created, 1 partitions"),
        ("groups", "created, 1 partitions"),
        ("catalogue", "created, 1 partitions"),
        ("rejects", "created, 1 partitions"),
        ("grouper", f"starts at the beginning of {settings.topics.raw}, partitions 0"),
    ]
    assert check_topics(settings, admin) == ()
    again = text_of(create_topics(settings, admin))
    assert again == [
        ("raw", "exists"),
        ("groups", "exists"),
        ("catalogue", "exists"),
        ("rejects", "exists"),
        ("grouper", "goes on where it is, partitions 0"),
    ]


def test_partitions_and_first_offsets(settings, admin):
    settings = settings.model_copy(update={"partitions": 3})
    create_topics(settings, admin)
    assert clients.require_topic(admin, settings.topics.catalogue) == 3
    metadata = OffsetMetadata(read_to=0, catalogue_from=0).encode()
    assert committed(admin, settings) == {
        (settings.topics.raw, partition): (0, metadata) for partition in range(3)
    }


def test_the_first_offset_is_what_raw_still_holds(settings, admin):
    create_topics(settings.model_copy(update={"grouper_group_id": "another"}), admin)
    raw = TopicPartition(settings.topics.raw, 0)
    for number in range(3):
        produce(settings, raw.topic, f"{number}".encode())
    deleted = admin.delete_records([TopicPartition(raw.topic, 0, 2)])
    for future in deleted.values():
        future.result(timeout_s(30))
    create_topics(settings, admin)
    ((offset, metadata),) = committed(admin, settings).values()
    assert offset == 2
    assert OffsetMetadata.decode(metadata).read_to == 2


def test_a_grouper_s_place_is_left_alone(settings, admin):
    create_topics(settings, admin)
    raw = settings.topics.raw
    for number in range(3):
        produce(settings, raw, f"{number}".encode())
    mine = ConsumerGroupTopicPartitions(settings.consumer_group, [TopicPartition(raw, 0, 2, metadata="mine")])
    admin.alter_consumer_group_offsets([mine])[settings.consumer_group].result(timeout_s(30))
    create_topics(settings, admin)
    assert committed(admin, settings) == {(raw, 0): (2, "mine")}


def test_lost_offsets_are_left_to_the_catalogue(settings, admin):
    """The beginning would have everything grouped a second time."""
    settings = settings.model_copy(update={"partitions": 2})
    create_topics(settings.model_copy(update={"grouper_group_id": "another"}), admin)
    produce(settings, settings.topics.catalogue, b"key", partition=1)
    outcomes = text_of(create_topics(settings, admin))
    assert ("grouper", f"starts at the beginning of {settings.topics.raw}, partitions 0") in outcomes
    assert (
        "grouper",
        "finds its place from the catalogue, which holds groups, partitions 1",
    ) in outcomes
    assert set(committed(admin, settings)) == {(settings.topics.raw, 0)}


def test_check_finds_each_planted_wrong_setting(settings, admin):
    create_topics(settings, admin)
    names = settings.topics
    wrong = [
        (names.raw, "max.message.bytes", "1048588"),
        (names.raw, "message.timestamp.type", "CreateTime"),
        (names.raw, "retention.bytes", "-1"),
        (names.raw, "cleanup.policy", "compact"),
        (names.groups, "max.message.bytes", "1048588"),
        (names.groups, "retention.ms", "-1"),
        (names.catalogue, "message.timestamp.type", "LogAppendTime"),
        (names.catalogue, "message.timestamp.after.max.ms", "3600000"),
        (names.catalogue, "message.timestamp.before.max.ms", "3600000"),
        (names.catalogue, "retention.ms", "604800000"),
        (names.rejects, "max.message.bytes", "1048588"),
    ]
    for topic, setting, value in wrong:
        alter(admin, topic, setting, value)
    expected = sorted((topic, setting) for topic, setting, _ in wrong)
    findings = wait_until(
        lambda: (found := check_topics(settings, admin)) and len(found) >= len(wrong) and found,
        timeout=30,
        message=lambda: f"found only {check_topics(settings, admin)}",
    )
    assert sorted((finding.topic, finding.setting) for finding in findings) == expected
    assert all(finding.severity is Severity.ERROR for finding in findings)
    with pytest.raises(TopicCheckError, match=r"11 settings are wrong") as caught:
        require_good_topics(findings)
    for topic, setting, _ in wrong:
        assert f"{topic}: {setting}: " in str(caught.value)


def test_the_commands_in_the_findings_mend_them(settings, admin):
    create_topics(settings, admin)
    alter(admin, settings.topics.raw, "max.message.bytes", "1048588")
    (finding,) = wait_until(lambda: check_topics(settings, admin), timeout=30)
    setting, _, value = finding.text.rpartition("--add-config ")[2].partition("=")
    alter(admin, finding.topic, setting, value)
    wait_until(lambda: check_topics(settings, admin) == (), timeout=30)


def test_check_finds_partitions_that_differ_and_missing_topics(settings, admin):
    create_topics(settings.model_copy(update={"partitions": 2}), admin)
    names = settings.topics
    admin.delete_topics([names.groups])[names.groups].result(timeout_s(30))
    wait_until(lambda: clients.partition_count(admin, names.groups) is None, timeout=30)
    assert [(each.topic, each.setting) for each in check_topics(settings, admin)] == [(names.groups, "topic")]
    config = {"max.message.bytes": "10000000", "message.timestamp.type": "LogAppendTime"}
    bounded = {**config, "retention.ms": "1000000", "retention.bytes": "1000000"}
    wrong = NewTopic(names.groups, num_partitions=3, replication_factor=1, config=bounded)
    admin.create_topics([wrong])[names.groups].result(timeout_s(30))
    (finding,) = wait_until(
        lambda: (found := check_topics(settings, admin)) and found[0].setting != "topic" and found, timeout=30
    )
    assert (finding.topic, finding.setting) == (names.groups, "partitions")
    assert "3, but" in finding.text


def test_a_frame_beyond_the_broker_s_limit_is_found(settings, admin):
    huge = settings.model_copy(update={"max_frame_bytes": 400 * 1024**2})
    create_topics(huge, admin)
    (finding,) = check_topics(huge, admin)
    assert finding.setting == "socket.request.max.bytes"
    assert finding.topic.startswith("broker ")


def test_more_replicas_than_brokers(settings, admin):
    with pytest.raises(KafkaUnavailableError, match=r"fewer brokers .*--replication-factor"):
        create_topics(settings.model_copy(update={"replication_factor": 30}), admin)


@pytest.mark.parametrize("last_resort_s", [5.0, -0.5], ids=["the request's time-out", "the last resort"])
def test_a_kafka_that_stands_still_while_it_makes_a_topic(
    own_kafka, topic_prefix, monkeypatch, last_resort_s
):
    settings = TopicsSettings(bootstrap_servers=own_kafka.bootstrap_servers, topic_prefix=topic_prefix)
    asked = clients.KafkaAdmin.create_topics

    def create(*args, **options):
        own_kafka.pause()
        return asked(*args, **options)

    monkeypatch.setattr(clients.KafkaAdmin, "create_topics", create)
    monkeypatch.setattr(topics, "_REQUEST_S", 1.0)
    monkeypatch.setattr(kafka_clients, "_LAST_RESORT_S", last_resort_s)
    try:
        with pytest.raises(KafkaUnavailableError) as caught:
            create_topics(settings)
    finally:
        own_kafka.resume()
    said = str(caught.value)
    assert said.startswith(f"{settings.topics.raw}: Kafka does not answer (_TIMED_OUT")
    assert "TRAPLINE_BOOTSTRAP_SERVERS" in said
    assert "run `trapline topics create` again" in said
    monkeypatch.undo()
    create_topics(settings)  # what the words say
    assert check_topics(settings) == ()


def test_missing_topics_are_named_with_the_command_that_makes_them(settings, admin):
    raw = settings.topics.raw
    with pytest.raises(MissingTopicError, match=f"{raw} does not exist; `trapline topics create`"):
        clients.require_topic(admin, raw)
    assert clients.partition_count(admin, settings.topics.raw) is None


def test_the_command_line(settings, capsys, monkeypatch):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", settings.bootstrap_servers)
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFIX", settings.topic_prefix)
    assert cli.run(["topics", "check"]) == 1
    captured = capsys.readouterr()
    assert "4 settings are wrong" in captured.err
    assert "`trapline topics create` makes it" in captured.err
    assert cli.run(["topics", "create", "--max-frame-bytes", "1MiB"]) == 0
    assert f"{settings.topics.raw}: created" in capsys.readouterr().out
    assert cli.run(["topics", "check", "--max-frame-bytes", "1MiB"]) == 0
    assert "are as they should be" in capsys.readouterr().out
    assert cli.run(["topics", "check"]) == 1  # the default's larger frames would be refused
    assert f"{settings.topics.groups}: max.message.bytes" in capsys.readouterr().err


def test_settings_are_checked_before_kafka_is_asked():
    with pytest.raises(SettingsError):
        load_settings(TopicsSettings, overrides={"partitions": 0}, known=())


def test_another_number_of_partitions_than_there_are_is_not_passed_over(settings, admin):
    create_topics(settings, admin)
    assert check_topics(settings, admin) == ()
    asked = settings.model_copy(update={"partitions": 3})
    (finding,) = check_topics(asked, admin)
    assert (finding.topic, finding.setting) == (settings.topics.raw, "partitions")
    assert "1, and 3 were asked for" in finding.text
