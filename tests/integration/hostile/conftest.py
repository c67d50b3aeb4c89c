"""Topics of a test's own."""

import pytest

from tests.support.raw_topic import RawTopic


@pytest.fixture
def raw(kafka, topic_prefix):
    """The topics of this test, and windows for raw."""
    topic = RawTopic(kafka.bootstrap_servers, topic_prefix, sources=("sb0", "sb1")).create()
    yield topic
    topic.close()
