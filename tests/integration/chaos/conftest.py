"""Topics of a test's own."""

import pytest

from tests.support.hand_grouper import HandGrouper
from tests.support.raw_topic import RawTopic


@pytest.fixture
def raw(kafka, topic_prefix):
    """The topics of this test, and windows for raw."""
    topic = RawTopic(kafka.bootstrap_servers, topic_prefix).create()
    yield topic
    topic.close()


@pytest.fixture
def hand(raw):
    """A grouper by hand over this test's topics."""
    return HandGrouper(raw)
