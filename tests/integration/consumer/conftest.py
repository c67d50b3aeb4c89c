"""Topics of a test's own, groups in them, and streams that end with the test."""

import socket
from collections.abc import Callable, Iterator

import pytest

from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from tests.support.group_topics import make_topics
from tests.support.kafka import Kafka
from tests.support.published_groups import GroupPublisher

OpenStream = Callable[..., GroupStream]


@pytest.fixture
def partitions() -> int:
    """Of each topic; a test that wants another number is parametrized with it."""
    return 1


@pytest.fixture
def settings(kafka: Kafka, topic_prefix: str, partitions: int) -> ConsumerSettings:
    """A reader's settings; the topics are there."""
    return make_topics(kafka.bootstrap_servers, topic_prefix, partitions)


@pytest.fixture
def publisher(settings: ConsumerSettings) -> GroupPublisher:
    """Writes groups into these topics."""
    return GroupPublisher(settings)


@pytest.fixture
def open_stream() -> Iterator[OpenStream]:
    """Opens streams, and closes them after the test."""
    streams: list[GroupStream] = []

    def opened(settings: ConsumerSettings, **options: object) -> GroupStream:
        stream = GroupStream(settings, **options)  # type: ignore[arg-type]
        streams.append(stream)
        return stream

    yield opened
    for stream in streams:
        stream.close()


@pytest.fixture
def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
