"""Topics of a test's own, groups in them, and streams that end with the test."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from tests.support.group_topics import make_topics
from tests.support.kafka import Kafka
from tests.support.published_groups import GroupPublisher
from tests.support.raw_topic import RawTopic
from tests.support.serving import Serve
from tests.support.waiting import timeout_s

Serves = Callable[..., Serve]
Replays = Callable[..., "subprocess.Popen[str]"]
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


@pytest.fixture
def start_replay(topic_prefix: str) -> Iterator[Replays]:
    """Starts `trapline replay`, and kills it after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(bootstrap_servers: str, *options: object, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "trapline", "replay", *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "TRAPLINE_BOOTSTRAP_SERVERS": bootstrap_servers,
                "TRAPLINE_TOPIC_PREFIX": topic_prefix,
                **more,
            },
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def replay(kafka: Kafka, start_replay: Replays) -> Callable[..., tuple[int, str, str]]:
    """Runs `trapline replay` to its end: exit status, standard output, stderr."""

    def run(*options: object, **more: str) -> tuple[int, str, str]:
        process = start_replay(kafka.bootstrap_servers, *options, **more)
        out, err = process.communicate(timeout=timeout_s(60))
        assert "Traceback" not in err
        return process.returncode, out, err

    return run


@pytest.fixture
def again(settings: ConsumerSettings) -> ConsumerSettings:
    """Topics of another prefix on the same Kafka."""
    return make_topics(settings.bootstrap_servers, f"{settings.topic_prefix}-again")


@pytest.fixture
def start(topic_prefix: str, tmp_path: Path) -> Iterator[Serves]:
    """Starts `trapline serve`, and kills it after the test."""
    started: list[Serve] = []

    def begin(bootstrap_servers: str, *options: object, prefix: str = topic_prefix, **more: str) -> Serve:
        started.append(Serve(bootstrap_servers, prefix, tmp_path, options, **more))
        return started[-1]

    yield begin
    for each in started:
        each.close()


@pytest.fixture
def raw(kafka: Kafka, topic_prefix: str) -> RawTopic:
    """Topics of this test's own."""
    return RawTopic(kafka.bootstrap_servers, topic_prefix).create()
