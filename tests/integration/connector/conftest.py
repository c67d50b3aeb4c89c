import uuid

import pytest

from emulator.frame_server import FrameServer
from tests.support.connector import RunningConnector, delete_topic, make_topics, source
from tests.support.frames import T0_US, make_frame


@pytest.fixture(scope="session", autouse=True)
def orphan(kafka):
    """A connector whose topic is deleted while it runs.

    librdkafka takes half a minute until it believes that a topic is gone, so this begins before the first
    test, and the one that looks at it comes last.
    """
    sent = [make_frame(T0_US + number * 1_000_000, seed=number) for number in range(3)]
    names = make_topics(kafka.bootstrap_servers, f"orphan-{uuid.uuid4().hex[:8]}")
    with (
        FrameServer(sent[:1]) as server,
        RunningConnector(kafka.bootstrap_servers, names.prefix, source("sb0", server.port)) as connector,
    ):
        connector.wait_for(raw=1)
        delete_topic(kafka.bootstrap_servers, names.raw)
        server.push(*sent[1:])
        yield connector
