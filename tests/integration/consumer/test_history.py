"""Groups of the past: found by observation time, and read where their images are left."""

from contextlib import closing

import pytest
from confluent_kafka import KafkaException

from consumer.catalogue import Catalogue, catalogue_consumer
from consumer.errors import StartError, TopicMissingError
from consumer.group_range import group_range
from consumer.history import History, find_groups, read_groups
from consumer.metrics import IMAGES_GONE
from consumer.settings import ConsumerSettings
from runtime.settings import load_settings
from tests.support.group_topics import delete_entries, delete_images, seconds, settle
from tests.support.metrics import Change
from tests.support.published_groups import SECOND_US, START_US, GroupPublisher, frequency_hz


def at(second):
    return START_US + second * SECOND_US


def time_of(second):
    return f"2026-11-23T10:00:{second:02}Z"


@pytest.fixture
def publisher(settings):
    """Whose groups can be read as soon as they are published."""
    return SettledPublisher(settings)


class SettledPublisher(GroupPublisher):
    def publish(self, *args, **group):
        published = super().publish(*args, **group)
        settle(self.settings)
        return published


def found(settings, **said):
    return [
        (each.timestamp_us - START_US) // SECOND_US for each in find_groups(settings, group_range(**said))
    ]


def test_bounds_of_observation_time(settings, publisher):
    publisher.run(6)
    assert found(settings) == [0, 1, 2, 3, 4, 5]
    assert found(settings, from_=time_of(2), to=time_of(4)) == [2, 3]
    assert found(settings, from_="2026-11-23T10:00:02.000001Z") == [3, 4, 5]
    assert found(settings, to="2026-11-23T10:00:02.000001Z") == [0, 1, 2]
    assert found(settings, from_=time_of(6)) == []
    assert found(settings, last=2) == [4, 5]
    assert found(settings, last=2, to=time_of(3)) == [1, 2]
    assert found(settings, limit=2) == [0, 1]
    assert found(settings, end=True) == []


def test_the_images_come_with_them(settings, publisher):
    publisher.run(4)
    publisher.publish(at(4), sources=("sb1",))
    groups = list(read_groups(settings, group_range(from_=time_of(2))))
    assert seconds(groups) == [2, 3, 4]
    assert [group.sources for group in groups] == [("sb2", "sb1", "sb0")] * 2 + [("sb1",)]
    assert groups[0].images[0].frequency_hz == frequency_hz("sb2")
    assert seconds(list(read_groups(settings, group_range(limit=3)))) == [0, 1, 2]


def test_times_that_go_back_and_runs_that_overlap(settings, publisher):
    for second in (10, 11, 2, 12, 3, 30, 1):
        publisher.publish(at(second))
    assert found(settings, from_=time_of(2), to=time_of(12)) == [10, 11, 2, 3]
    assert found(settings, to=time_of(3)) == [2, 1]
    assert found(settings, last=2, to=time_of(12)) == [3, 1]
    assert seconds(list(read_groups(settings, group_range(to=time_of(3))))) == [2, 1]


def test_every_revision_is_a_group_of_history(settings, publisher):
    publisher.publish(at(0), sources=("sb0",))
    publisher.run(1, first_us=at(1))
    publisher.publish(at(0), revision=2)
    groups = list(read_groups(settings, group_range()))
    assert [(group.revision, len(group.images)) for group in groups] == [(1, 1), (1, 3), (2, 3)]


def test_sources_and_completeness(settings, publisher):
    publisher.publish(at(0))
    publisher.publish(at(1), sources=("sb0", "sb1"))
    publisher.publish(at(2), sources=("sb2",))
    assert found(settings, complete_only=True) == [0]
    assert found(settings, sources="sb0,sb1") == [0, 1]
    assert found(settings, sources="sb2,sb1", complete_only=True) == [0]
    assert found(settings, sources="sb2", last=1) == [2]
    (first, second) = read_groups(settings, group_range(sources="sb0,sb7"))
    assert (first.sources, first.missing, first.expected, first.complete) == (("sb0",), ("sb7",), 2, False)
    assert second.sources == ("sb0",)


@pytest.mark.parametrize("partitions", [3])
def test_partitions_are_merged_by_time(settings, publisher):
    for second, partition in enumerate([0, 1, 0, 2, 0, 0, 1, 1]):
        publisher.publish(at(second), partition=partition)
    assert found(settings) == list(range(8))
    assert found(settings, last=4) == [4, 5, 6, 7]
    assert found(settings, offset=["0:0", "1:4"]) == [0, 2, 4, 5, 6, 7]
    assert seconds(list(read_groups(settings, group_range(from_=time_of(3), limit=3)))) == [3, 4, 5]


def test_a_place_in_kafka(settings, publisher):
    groups = publisher.run(5)
    third = groups[2].entry
    assert found(settings, offset={0: third.first_offset}) == [2, 3, 4]
    assert found(settings, offset={0: third.first_offset + 1}) == [3, 4]
    assert found(settings, offset={0: third.first_offset}, from_=time_of(4)) == [4]
    assert found(settings, offset={0: groups[4].entry.last_offset + 1}) == []
    with pytest.raises(StartError, match="offset 99 is not in partition 0"):
        found(settings, offset="0:99")
    with pytest.raises(StartError, match="has no partition 4: it has 1"):
        found(settings, offset="4:0")


def test_groups_whose_images_are_gone_are_counted_and_no_error(settings, publisher):
    groups = publisher.run(6)
    delete_images(settings, groups[3].entry.first_offset + 1)
    with Change(IMAGES_GONE) as counted, History(settings) as history:
        assert seconds(list(history.groups(group_range(from_=time_of(1))))) == [4, 5]
        assert (history.gone.groups, history.gone.first_us, history.gone.last_us) == (3, at(1), at(3))
        assert "the images of 3 groups, 2026-11-23T10:00:01.000000Z to 2026-11-23T10:00:03" in str(
            history.gone
        )
        assert len(list(history.find(group_range()))) == 6
    assert counted.by == 3


def test_images_that_go_while_they_are_read(settings, publisher):
    groups = publisher.run(6)
    with History(settings) as history:
        records = list(history.find(group_range()))
        assert history.read(records[0]) is not None
        delete_images(settings, groups[4].entry.first_offset)
        assert seconds([history.read(records[4]), history.read(records[5])]) == [4, 5]
        assert history.read(records[1]) is None
        assert history.gone.groups == 1


def test_groups_in_any_order(settings, publisher):
    publisher.run(5)
    with History(settings) as history:
        records = list(history.find(group_range()))
        wanted = [3, 0, 4, 4, 1, 2]
        assert seconds([history.read(records[number]) for number in wanted]) == wanted


def test_what_is_aborted_foreign_or_cut_is_no_group(settings, publisher):
    publisher.run(1)
    publisher.publish(at(1), abort=True)
    publisher.foreign()
    publisher.publish(at(2), leave_out=(1,))
    publisher.publish(at(3))
    with History(settings) as history:
        assert seconds(list(history.groups(group_range()))) == [0, 3]
        assert (history.gone.groups, history.unreadable) == (0, 1)


def test_the_newest_group_is_cut_or_unreadable(settings, publisher):
    """Nothing comes behind it that would say so."""
    publisher.run(1)
    publisher.publish(at(1), leave_out=(1,))
    with History(settings) as history:
        assert seconds(list(history.groups(group_range()))) == [0]
        assert (history.gone.groups, history.unreadable) == (0, 1)
    publisher.publish(at(2))
    with History(settings) as history:
        assert seconds(list(history.groups(group_range()))) == [0, 2]
        assert history.unreadable == 1


def test_what_is_published_later_is_no_part_of_it(settings, publisher):
    publisher.run(2)
    with History(settings) as history:
        groups = history.groups(group_range())
        first = next(groups)
        publisher.run(2, first_us=at(2))
        assert seconds([first, *groups]) == [0, 1]


@pytest.mark.parametrize("partitions", [2])
@pytest.mark.parametrize("said", [{}, {"last": 2}, {"from_": time_of(0)}, {"offset": ["0:0", "1:0"]}])
def test_ctrl_c_before_each_partition_has_shown_its_first_group(settings, publisher, monkeypatch, said):
    for second in range(2):
        publisher.publish(at(second), partition=second)
    where, looked_at = group_range(**said), []

    def interrupted(record, _where):
        looked_at.append(record.partition)
        if len(looked_at) == 2:
            raise KeyboardInterrupt
        return True

    with History(settings) as history:
        with monkeypatch.context() as patch:
            patch.setattr("consumer.history.is_meant", interrupted)
            with pytest.raises(KeyboardInterrupt):
                next(history.find(where))
        assert sorted(looked_at) == [0, 1]
        left = history.resumed(where, {})
        assert left == where
        assert seconds(list(history.groups(left))) == [0, 1]


@pytest.mark.parametrize("partitions", [3])
def test_who_goes_on_gets_what_has_come_into_a_partition_that_had_nothing(settings, publisher):
    where = group_range(from_=time_of(1))
    publisher.publish(at(0), partition=1)  # before the range; partition 2 is empty
    publisher.run(2, first_us=at(1))
    with History(settings) as history:
        groups = history.groups(where)
        first = next(groups)
        groups.close()
        left = history.resumed(where, {0: first.last_offset + 1}, 1)
        last = history.resumed(group_range(last=2), {0: first.last_offset + 1}, 1)
        publisher.publish(at(3), partition=1)
        publisher.publish(at(4), partition=2)
        assert left.options().startswith(f"--offset 0:{first.last_offset + 1} --offset 1:0 --offset 2:0")
        assert found(settings, offset=["0:0", "2:0"]) == [1, 2, 4]
        assert seconds(list(history.groups(left))) == [2, 3, 4]
        assert seconds(list(history.groups(last))) == [2]  # those that were the last ones
        named = history.resumed(group_range(offset=["0:0", "2:0"]), {0: first.last_offset + 1}, 1)
        assert seconds(list(history.groups(named))) == [2, 4]


def test_entries_that_go_while_they_are_searched(settings, publisher):
    publisher.run(4)
    entries = list(find_groups(settings, group_range()))
    with closing(Catalogue(catalogue_consumer(settings), settings.topics.catalogue)) as catalogue:
        _, end = catalogue.bounds(0)
        search = catalogue.read(0, 0, end)  # its first question is asked after this:
        delete_entries(settings, entries[2].offset)
        assert [each.offset for each in search] == [entries[2].offset, entries[3].offset]
        assert list(catalogue.read(0, 0, entries[1].offset + 1)) == []
        with pytest.raises(KafkaException):  # what never was is no gap of retention's
            list(catalogue.read(0, end + 5, end + 9))
    with History(settings) as history:
        offsets = [each.offset for each in entries]
        assert [each.offset for each in history.at(0, offsets)] == offsets[2:]


def test_nothing_published_yet(settings):
    assert found(settings) == []
    assert found(settings, last=3) == []
    assert found(settings, from_=time_of(1)) == []
    assert found(settings, offset="0:0") == []
    assert list(read_groups(settings, group_range())) == []


def test_no_topic(kafka, topic_prefix):
    settings = load_settings(
        ConsumerSettings,
        overrides={"bootstrap_servers": kafka.bootstrap_servers, "topic_prefix": topic_prefix},
        known=[],
    )
    with pytest.raises(TopicMissingError, match="trapline topics create"):
        found(settings)
