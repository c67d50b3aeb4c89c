"""The broker of the session, a broker of a test's own, and names that keep tests apart."""

import re
import uuid
from collections.abc import Iterator

import pytest

from tests.support.kafka import Kafka, OwnKafka, session_kafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A real Kafka for the whole session. It is shared: a test uses topics under its `topic_prefix`."""
    with session_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="module")
def kafka_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnKafka]:
    """Behind `own_kafka`: each start of a JVM costs as much as many a test."""
    with OwnKafka(tmp_path_factory.mktemp("own-kafka")) as broker:
        yield broker


@pytest.fixture
def own_kafka(kafka_of_module: OwnKafka) -> OwnKafka:
    """An embedded Kafka that this test may do anything to: .kill(), .stop(), .restart(), .pause(), .resume().

    It is its module's, and runs when a test begins, whatever the one before has done to it; topics are what
    keeps them apart.
    """
    kafka_of_module.recover()
    return kafka_of_module


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """A topic prefix of this test alone, which says whose it is."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", request.node.name).strip("-")[:40]
    return f"{name}-{uuid.uuid4().hex[:8]}"
