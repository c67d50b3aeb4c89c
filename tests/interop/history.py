"""A groups topic with all that a consumer must live with, and what is to be found in it.

Three partitions. Between the groups lie aborted ones: one, two in a row of one producer, one of another
producer, one larger than what a client fetches at once. One group lost its first image to retention, one
lacks its middle. The last group of each partition is a good one: who found all has been past the rest.
"""

from dataclasses import dataclass

from consumer.group import Group
from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from tests.support.group_topics import delete_images, make_topics
from tests.support.published_groups import GroupPublisher, Published
from tests.support.raw_topic import at
from tests.support.waiting import timeout_s

PARTITIONS = 3
LARGE = (1536, 1536)  # NAXIS2, NAXIS1: 9 MiB an image; librdkafka, Java and KafkaJS fetch 1 MiB by default


@dataclass(frozen=True)
class History:
    """Groups in Kafka.

    Attributes:
        settings: where they are.
        groups: what our own reader finds, by group id.
        cut: the ids of the groups that are not whole any more.
    """

    settings: ConsumerSettings
    groups: dict[str, Group]
    cut: set[str]


def publish_history(bootstrap_servers: str, prefix: str) -> History:
    """Write it, and read it with our own reader."""
    settings = make_topics(bootstrap_servers, prefix, PARTITIONS)
    whole: list[Published] = []
    cut: list[Published] = []
    _aborted_and_incomplete(GroupPublisher(settings, name="0"), whole)
    _cut(GroupPublisher(settings, name="1"), whole, cut)
    _large(GroupPublisher(settings, name="2"), whole)
    delete_images(settings, cut[0].entry.first_offset + 1, partition=cut[0].partition)
    ours = GroupStream(
        settings, start="beginning", revisions="all", max_groups=len(whole), timeout_s=timeout_s(60)
    )
    with ours as stream:
        groups = {group.group_id: group for group in stream}
    assert set(groups) == {each.entry.group_id for each in whole}
    return History(settings, groups, {each.entry.group_id for each in cut})


def _aborted_and_incomplete(publisher: GroupPublisher, whole: list[Published]) -> None:
    whole.append(publisher.publish(at(0)))
    publisher.publish(at(900), abort=True)
    whole.append(publisher.publish(at(1), sources=("sb0", "sb2")))
    publisher.publish(at(901), abort=True)
    publisher.publish(at(902), abort=True)
    GroupPublisher(publisher.settings, name="another").publish(at(903), abort=True)
    whole.append(publisher.publish(at(2)))
    whole.append(publisher.publish(at(3), sources=("sb2",)))
    publisher.publish(at(904), abort=True)
    whole.append(publisher.publish(at(4)))


def _cut(publisher: GroupPublisher, whole: list[Published], cut: list[Published]) -> None:
    def publish(second: int, **more) -> Published:
        return publisher.publish(at(second), partition=1, **more)

    cut.append(publish(10))
    whole.append(publish(11, sources=("sb0", "sb1")))
    cut.append(publish(12, leave_out=(1,)))
    whole.append(publish(11, revision=2))  # what was missing came late
    whole.append(publish(13, sources=("sb1",)))
    whole.append(publish(14))


def _large(publisher: GroupPublisher, whole: list[Published]) -> None:
    def publish(second: int, **more) -> Published:
        return publisher.publish(at(second), partition=2, **more)

    whole.append(publish(20, sources=("sb0", "sb1"), shape=LARGE))
    publish(920, shape=LARGE, abort=True)
    whole.append(publish(21, shape=LARGE))
    whole.append(publish(22))
