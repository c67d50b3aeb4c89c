import pytest

from schemas.errors import TopicNameError
from schemas.topics import RECORD_HEADROOM, TopicNames, topic_specs

MIB = 1 << 20


def specs(**options):
    return {spec.name.rpartition(".")[2]: spec for spec in topic_specs(TopicNames("aartfaac"), **options)}


def test_names():
    names = TopicNames("aartfaac")
    assert names.all() == ("aartfaac.raw", "aartfaac.groups", "aartfaac.catalogue", "aartfaac.rejects")
    assert names.all() == (names.raw, names.groups, names.catalogue, names.rejects)
    assert [spec.name for spec in topic_specs(names)] == list(names.all())


@pytest.mark.parametrize("prefix", ["a", "A-b_c.9", "x" * 239])
def test_prefixes_kafka_takes(prefix):
    assert max(len(name) for name in TopicNames(prefix).all()) <= 249


@pytest.mark.parametrize("prefix", ["", "x" * 240, "a b", "a/b", "a,b", "grün", "a\n", "a:b"])
def test_prefixes_kafka_refuses(prefix):
    with pytest.raises(TopicNameError, match="topic prefix"):
        TopicNames(prefix)


def test_all_have_as_many_partitions():
    assert {spec.partitions for spec in specs(partitions=3).values()} == {3}
    assert {spec.partitions for spec in specs().values()} == {1}


def test_nothing_acknowledged_is_given_up_for_a_leader_and_nothing_is_compacted():
    for spec in specs().values():
        assert spec.config["unclean.leader.election.enable"] == "false"
        assert spec.config["cleanup.policy"] == "delete"


@pytest.mark.parametrize("topic", ["raw", "groups", "rejects"])
def test_topics_by_arrival(topic):
    config = specs(max_frame_bytes=10 * MIB, retention_ms=1000, retention_bytes=2000)[topic].config
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert config["max.message.bytes"] == str(10 * MIB + RECORD_HEADROOM)
    assert config["retention.ms"] == "1000"
    assert config["retention.bytes"] == "2000"


def test_default_retention_is_by_time_and_by_bytes():
    config = specs()["raw"].config
    assert config["retention.ms"] == str(7 * 24 * 3600 * 1000)
    assert config["retention.bytes"] == str(20 * 10**9)
    assert config["max.message.bytes"] == str(65 * MIB)


def test_the_catalogue_is_an_index_by_observation_time():
    config = specs(retention_ms=1000, retention_bytes=2000)["catalogue"].config
    assert config["message.timestamp.type"] == "CreateTime"
    assert config["message.timestamp.before.max.ms"] == str(2**63 - 1)
    assert config["message.timestamp.after.max.ms"] == str(2**63 - 1)
    assert config["retention.ms"] == "-1"
    assert config["retention.bytes"] == str(10 * 1024 * MIB)
    assert int(config["max.message.bytes"]) >= MIB


def test_settings_are_texts_as_kafka_writes_them():
    for spec in specs().values():
        assert all(isinstance(value, str) for pair in spec.config.items() for value in pair)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("partitions", 0),
        ("max_frame_bytes", 0),
        ("max_frame_bytes", 2**31),
        ("retention_ms", -1),
        ("retention_bytes", -1),
        ("retention_bytes", 2**63),
        ("catalogue_retention_bytes", 0),
    ],
)
def test_impossible_figures_are_named(option, value):
    with pytest.raises(ValueError, match=option):
        specs(**{option: value})


def test_raw_may_be_of_another_prefix():
    names = TopicNames("trial", raw_prefix="night")
    assert names.all() == ("night.raw", "trial.groups", "trial.catalogue", "trial.rejects")
    with pytest.raises(TopicNameError, match="'a b'"):
        TopicNames("trial", raw_prefix="a b")
