"""Who may read: a wrong login and missing rights are errors that say so; the least rights are enough."""

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)
from pydantic import SecretStr

from consumer.errors import AccessError, AuthenticationError
from consumer.settings import ConsumerSettings
from runtime.acls import unnamed_group
from runtime.kafka import admin_client
from tests.support.group_topics import make_topics, seconds
from tests.support.published_groups import GroupPublisher
from tests.support.secured_kafka import secured_kafka
from tests.support.waiting import timeout_s

GROUP = "members"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with secured_kafka(tmp_path_factory.mktemp("secured-kafka"), authorizer=True) as kafka:
        yield kafka


@pytest.fixture
def administrator(broker, topic_prefix) -> ConsumerSettings:
    """Settings of somebody who may do everything; the topics are there."""
    return make_topics(broker.bootstrap_servers, topic_prefix)


def logged_in(administrator: ConsumerSettings, broker, password: str = "horn antenna") -> ConsumerSettings:  # noqa: S107 - of the test's own broker
    return administrator.model_copy(
        update={
            "bootstrap_servers": broker.sasl,
            "security_protocol": "sasl_plaintext",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "telescope",
            "sasl_password": SecretStr(password),
        }
    )


def allow(
    administrator: ConsumerSettings,
    kind: ResourceType,
    name: str,
    operation: AclOperation = AclOperation.READ,
) -> None:
    admin = admin_client(administrator)
    binding = AclBinding(
        kind,
        name,
        ResourcePatternType.LITERAL,
        "User:telescope",
        "*",
        operation,
        AclPermissionType.ALLOW,
    )
    for future in admin.create_acls([binding]).values():
        future.result(timeout_s(30))


def test_a_wrong_password(broker, administrator, open_stream):
    settings = logged_in(administrator, broker, "horn antena")
    with pytest.raises(AuthenticationError, match="TRAPLINE_SASL_") as caught:
        open_stream(settings)
    assert "antena" not in str(caught.value)
    with pytest.raises(AuthenticationError):
        next(open_stream(settings, group_id=GROUP))


def test_no_right_to_read_the_topic(broker, administrator, open_stream):
    with pytest.raises(AccessError, match=rf"READ on topic {administrator.topics.groups}"):
        open_stream(logged_in(administrator, broker))


def test_no_right_to_use_the_consumer_group(broker, administrator, open_stream):
    allow(administrator, ResourceType.TOPIC, administrator.topics.groups)
    with pytest.raises(AccessError, match="READ on consumer group others"):
        next(open_stream(logged_in(administrator, broker), group_id="others"))


def test_the_least_rights(broker, administrator, open_stream):
    """READ on groups; on the consumer group to have one; on the catalogue to start at a time or a number."""
    allow(administrator, ResourceType.TOPIC, administrator.topics.groups)
    allow(administrator, ResourceType.GROUP, GROUP)
    settings = logged_in(administrator, broker)
    GroupPublisher(administrator).run(3)
    with open_stream(settings, group_id=GROUP, max_groups=1) as stream:
        assert seconds(list(stream)) == [0]
    with open_stream(settings, group_id=GROUP, max_groups=2) as stream:
        assert seconds(list(stream)) == [1, 2]
    with pytest.raises(AccessError, match=rf"READ on topic {settings.topics.catalogue}"):
        open_stream(settings, start="last:1")
    allow(administrator, ResourceType.TOPIC, administrator.topics.catalogue)
    # Without a consumer group librdkafka asks for the coordinator of one all the same.
    allow(administrator, ResourceType.GROUP, unnamed_group(settings.topic_prefix), AclOperation.DESCRIBE)
    assert seconds(list(open_stream(settings, start="last:1", max_groups=1))) == [2]
