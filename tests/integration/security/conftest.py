"""One broker with an authorizer for all of this folder: a start takes seconds."""

import pytest

from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from tests.support.secured_kafka import secured_kafka
from tests.support.secured_roles import SecuredRoles


@pytest.fixture(scope="package")
def roles(tmp_path_factory):
    """The roles, on a Kafka that refuses what is not granted."""
    with secured_kafka(tmp_path_factory.mktemp("secured-kafka"), authorizer=True) as kafka:
        secured = SecuredRoles.make(kafka)
        yield secured
        secured.forget()


@pytest.fixture(scope="package")
def make_topics(roles):
    """Makes the topics of a prefix, as the administrator."""

    def make(prefix: str) -> str:
        create_topics(
            TopicsSettings(bootstrap_servers=roles.kafka.bootstrap_servers, topic_prefix=prefix), roles.admin
        )
        return prefix

    return make
