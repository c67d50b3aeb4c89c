from grouper.memory import RECENT_GROUPS, ClosedGroups, PublishedGroup
from schemas.catalogue import Member

OTHERS = PublishedGroup(1, ("sb0",), ())


class Catalogue:
    """Says what was read back from it."""

    def __init__(self):
        self.read_offsets = []

    def read(self, catalogue_offset):
        self.read_offsets.append(catalogue_offset)
        return OTHERS


def group(number, revision=1):
    return PublishedGroup(revision, ("sb0",), (Member("sb0", number, "0" * 32, 6e7, number),))


def publish(closed, number, revision=1):
    closed.close(number, group(number, revision))
    closed.published(number, revision, 10 * number + revision)


def test_what_was_just_published_is_not_read_back():
    """With two connectors that would be a read of Kafka for each group."""
    catalogue = Catalogue()
    closed = ClosedGroups(10_000, catalogue)
    for number in range(RECENT_GROUPS + 5):
        publish(closed, number)
        assert closed.latest(number) == group(number)
    assert closed.latest(5) == group(5)
    assert catalogue.read_offsets == []
    assert closed.latest(4) is OTHERS
    assert catalogue.read_offsets == [41]


def test_what_an_earlier_life_published_is_read_back():
    catalogue = Catalogue()
    closed = ClosedGroups(10, catalogue)
    closed.restore(7, 71)
    assert closed.latest(7) is OTHERS
    assert catalogue.read_offsets == [71]


def test_the_latest_revision_counts():
    catalogue = Catalogue()
    closed = ClosedGroups(10, catalogue)
    closed.close(1, group(1))
    closed.close(1, group(1, revision=2))
    closed.published(1, 1, 11)
    assert closed.latest(1) == group(1, revision=2)
    closed.published(1, 2, 12)
    assert closed.latest(1) == group(1, revision=2)
    closed.close(1, group(1, revision=3))
    assert closed.latest(1) == group(1, revision=3)
    assert catalogue.read_offsets == []


def test_what_is_forgotten_is_forgotten_altogether():
    closed = ClosedGroups(2, Catalogue())
    for number in range(3):
        publish(closed, number)
    assert 0 not in closed
    assert len(closed._recent) == len(closed) == 2
    assert closed.is_older(0)
