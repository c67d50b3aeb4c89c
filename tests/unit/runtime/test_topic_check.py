from dataclasses import replace

import pytest

from runtime.errors import TopicCheckError
from runtime.topic_check import Severity, TopicState, check_brokers, check_layout
from runtime.topics import require_good_topics
from schemas.topics import TopicNames, topic_specs

NAMES = TopicNames("t")
SPECS = topic_specs(NAMES, partitions=2)


@pytest.fixture
def states():
    """Topics as they should be."""
    return {
        spec.name: TopicState(spec.name, 2, 3, {**spec.config, "min.insync.replicas": "2"}) for spec in SPECS
    }


def found(states):
    return [(each.severity, each.topic, each.setting) for each in check_layout(NAMES, SPECS, states)]


def test_topics_as_they_should_be(states):
    assert found(states) == []


def test_larger_limits_and_other_retention_are_fine(states):
    for name in (NAMES.raw, NAMES.groups):
        config = {**states[name].config, "max.message.bytes": "900000000", "retention.ms": "1000"}
        states[name] = replace(states[name], config=config)
    assert found(states) == []


@pytest.mark.parametrize("name", NAMES.all())
def test_a_topic_that_is_not_there(states, name):
    del states[name]
    assert found(states) == [(Severity.ERROR, name, "topic")]


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        (NAMES.raw, "max.message.bytes", "1048588"),
        (NAMES.groups, "max.message.bytes", "1048588"),
        (NAMES.rejects, "max.message.bytes", "1048588"),
        (NAMES.raw, "message.timestamp.type", "CreateTime"),
        (NAMES.groups, "message.timestamp.type", "CreateTime"),
        (NAMES.catalogue, "message.timestamp.type", "LogAppendTime"),
        (NAMES.catalogue, "message.timestamp.before.max.ms", "1000"),
        (NAMES.catalogue, "message.timestamp.after.max.ms", "3600000"),
        (NAMES.catalogue, "retention.ms", "604800000"),
        (NAMES.raw, "retention.ms", "-1"),
        (NAMES.raw, "retention.bytes", "-1"),
        (NAMES.groups, "retention.ms", "-1"),
        (NAMES.groups, "retention.bytes", "-1"),
        (NAMES.raw, "cleanup.policy", "compact"),
        (NAMES.groups, "cleanup.policy", "compact,delete"),
        (NAMES.raw, "min.insync.replicas", "4"),
    ],
)
def test_each_wrong_setting_is_named_with_the_command_that_mends_it(states, name, setting, value):
    states[name] = replace(states[name], config={**states[name].config, setting: value})
    (finding,) = check_layout(NAMES, SPECS, states)
    assert (finding.severity, finding.topic, finding.setting) == (Severity.ERROR, name, setting)
    assert f"--entity-name {name} --add-config {setting}=" in finding.text
    with pytest.raises(TopicCheckError, match=setting):
        require_good_topics((finding,))


@pytest.mark.parametrize("name", [NAMES.groups, NAMES.catalogue])
def test_partitions_that_differ_from_raw(states, name):
    states[name] = replace(states[name], partitions=3)
    (finding,) = check_layout(NAMES, SPECS, states)
    assert (finding.topic, finding.setting) == (name, "partitions")
    assert "not added in place" in finding.text


def test_rejects_may_have_any_number_of_partitions(states):
    states[NAMES.rejects] = replace(states[NAMES.rejects], partitions=1)
    assert found(states) == []


@pytest.mark.parametrize(
    ("replicas", "config", "setting"),
    [
        (3, {"min.insync.replicas": "1"}, "min.insync.replicas"),
        (2, {"min.insync.replicas": "2"}, "min.insync.replicas"),
        (
            3,
            {"min.insync.replicas": "2", "unclean.leader.election.enable": "true"},
            "unclean.leader.election.enable",
        ),
    ],
)
def test_what_a_lost_broker_would_do_is_a_warning(states, replicas, config, setting):
    raw = states[NAMES.raw]
    states[NAMES.raw] = replace(raw, replicas=replicas, config={**raw.config, **config})
    (finding,) = check_layout(NAMES, SPECS, states)
    assert (finding.severity, finding.setting) == (Severity.WARNING, setting)
    require_good_topics((finding,))


def test_one_broker_needs_no_warning(states):
    states = {
        name: replace(state, replicas=1, config={**state.config, "min.insync.replicas": "1"})
        for name, state in states.items()
    }
    assert found(states) == []


def test_a_broker_s_limit_of_a_request():
    assert check_brokers({1: 104857600, 2: 104857600}, 64 * 1024**2) == ()
    (finding,) = check_brokers({1: 104857600, 2: 200_000_000}, 104857600)
    assert (finding.topic, finding.setting) == ("broker 1", "socket.request.max.bytes")
    assert "TRAPLINE_MAX_FRAME_BYTES" in finding.text
