"""Two replays to one topic: the later one ends the earlier one, and what that had not committed is undone."""

import pytest

from consumer.destination import Destination
from consumer.errors import PublishError
from consumer.group_range import group_range
from consumer.history import History
from consumer.replay import PastGroup
from consumer.republisher import Republisher
from schemas.timestamp import format_timestamp
from tests.support.group_topics import make_topic, settle
from tests.support.groups_reader import read_all, read_groups
from tests.support.published_groups import SOURCES
from tests.support.waiting import timeout_s, wait_until

GROUPS = 12


@pytest.fixture
def topic(publisher, settings):
    """To be replayed to; there are groups to replay."""
    publisher.run(GROUPS)
    settle(settings)
    return make_topic(settings, f"{settings.topic_prefix}-copy")


def test_the_earlier_one_ends_with_1_and_writes_nothing_any_more(settings, topic, start_replay, replay):
    where = settings.bootstrap_servers
    earlier = start_replay(where, "--speed", "0.5", "--to-topic", topic)
    wait_until(lambda: read_groups(where, topic), "a group of the earlier one", 60)
    status, _, err = replay("--speed", "max", "--to-topic", topic)
    assert status == 0, err
    out, err = earlier.communicate(timeout=timeout_s(60))
    assert (earlier.returncode, out) == (1, "")
    assert "Traceback" not in err
    assert f"{topic}: another replay to this topic has begun, and this one ends" in err.splitlines()[-1]
    assert "trapline: to go on: trapline replay --offset 0:" in err
    began = [record.headers["ce_replaytime"] for record in read_all(where, topic)]
    earliest, latest = min(began), max(began)
    of_earlier = began.count(earliest)
    assert 0 < of_earlier < GROUPS * len(SOURCES)
    assert of_earlier % len(SOURCES) == 0
    assert began == [earliest] * of_earlier + [latest] * (GROUPS * len(SOURCES))


def test_what_the_earlier_one_has_not_committed_is_undone(settings, topic):
    destination = Destination.of_topic(settings, topic)
    options = {"keeps_partition": True, "wait_s": timeout_s(30)}
    with History(settings) as history:
        first, second, third = (
            PastGroup(record, history.read(record)) for record in history.find(group_range(limit=3))
        )

    class Overtaken(Republisher):
        """When its second transaction is about to be committed, another replay begins."""

        def _commit(self, groups):
            if groups == [second]:
                Republisher(destination, settings.topics, **options).take([third])
            return super()._commit(groups)

    earlier = Overtaken(destination, settings.topics, **options)
    earlier.take([first])
    with pytest.raises(PublishError, match="another replay to this topic has begun, and this one ends"):
        earlier.take([second])
    assert earlier.doubt is None
    assert [group.timestamp for group in read_groups(settings.bootstrap_servers, topic)] == [
        format_timestamp(past.record.timestamp_us) for past in (first, third)
    ]
