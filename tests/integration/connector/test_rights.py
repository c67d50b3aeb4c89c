"""A Kafka that asks who we are and what we may: the least rights are enough, and each lack is named."""

import pytest

from connector.errors import DeliveryError
from emulator.frame_server import FrameServer
from runtime.acls import Role, acls
from runtime.errors import AccessDeniedError, KafkaUnavailableError
from runtime.kafka import admin_client
from runtime.settings import TraplineSettings
from schemas.topics import TopicNames
from tests.support.connector import RunningConnector, by_source, make_topics, read_topic, source
from tests.support.frames import T0_US, make_frame
from tests.support.rights import binding, grant, revoke
from tests.support.secured_kafka import secured_kafka

FRAMES = [make_frame(T0_US + number * 1_000_000, seed=number) for number in range(4)]
LOGIN = {"security_protocol": "sasl_plaintext", "sasl_mechanism": "PLAIN", "sasl_username": "telescope"}
PASSWORD = "horn antenna"  # noqa: S105  of the test's own broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with secured_kafka(tmp_path_factory.mktemp("secured-kafka"), authorizer=True) as kafka:
        yield kafka


@pytest.fixture
def administrator(broker):
    return admin_client(TraplineSettings(bootstrap_servers=broker.bootstrap_servers))


def rights(names: TopicNames) -> dict[str, set]:
    """The connector's row of the table of least rights, by topic."""
    return {
        acl.name: {binding(acl, operation, "User:telescope") for operation in acl.operations}
        for acl in acls(Role.CONNECTOR, names.prefix)
    }


def connector(broker, prefix, *sources, password=PASSWORD):
    return RunningConnector(broker.sasl, prefix, *sources, **LOGIN, sasl_password=password)


def test_a_wrong_password(broker, topic_prefix):
    make_topics(broker.bootstrap_servers, topic_prefix)
    with connector(broker, topic_prefix, source("sb0", 1), password="horn antena") as running:  # noqa: S106
        running.wait_for_end()
    assert isinstance(running.error, KafkaUnavailableError)
    assert "TRAPLINE_SASL_" in str(running.error)
    assert "antena" not in str(running.error)


def test_the_least_rights_are_enough(broker, administrator, topic_prefix):
    names = make_topics(broker.bootstrap_servers, topic_prefix)
    for bindings in rights(names).values():
        grant(administrator, bindings)
    with (
        FrameServer([FRAMES[0], b"garbage", *FRAMES[1:]]) as server,
        connector(broker, topic_prefix, source("sb0", server.port)) as running,
    ):
        running.wait_for(raw=4, rejects_delivered=1)
    assert by_source(read_topic(broker.bootstrap_servers, names.raw)) == {"sb0": FRAMES}


@pytest.mark.parametrize("lacking", ["raw", "rejects"])
def test_a_right_that_is_missing_at_the_start(broker, administrator, topic_prefix, lacking):
    names = make_topics(broker.bootstrap_servers, topic_prefix)
    topic = getattr(names, lacking)
    for name, bindings in rights(names).items():
        if name != topic:
            grant(administrator, bindings)
    with connector(broker, topic_prefix, source("sb0", 1)) as running:
        running.wait_for_end()
    assert isinstance(running.error, AccessDeniedError)
    assert topic in str(running.error)
    assert "WRITE" in str(running.error)


def test_a_right_that_is_taken_away_while_it_runs(broker, administrator, topic_prefix):
    names = make_topics(broker.bootstrap_servers, topic_prefix)
    for bindings in rights(names).values():
        grant(administrator, bindings)
    with (
        FrameServer([FRAMES[0]]) as server,
        connector(broker, topic_prefix, source("sb0", server.port)) as running,
    ):
        running.wait_for(raw=1)
        revoke(administrator, rights(names)[names.raw])
        server.push(*FRAMES[1:])
        running.wait_for_end()
    assert isinstance(running.error, DeliveryError)
    assert f"WRITE on topic {names.raw}" in str(running.error)
    counts = running.service._counts["sb0"]
    assert counts.frames.total == 4
    assert counts.undelivered.total == 3
