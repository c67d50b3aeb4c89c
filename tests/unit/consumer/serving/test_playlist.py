from consumer.catalogue import CatalogueRecord
from consumer.metrics import PASSED_OVER, UNREADABLE
from consumer.selection import PassedOver, Revisions
from consumer.serving.playlist import playlist
from tests.support.entries import entry_at, record_of
from tests.support.metrics import Change

# The third second was published twice more, behind the fourth and the fifth.
LOG = [
    record_of(entry_at(second, offset=10 * n, revision=revision), n)
    for n, (second, revision) in enumerate([(1, 1), (2, 1), (3, 1), (4, 1), (3, 2), (5, 1), (3, 3)])
]
NEWEST = {LOG[2].timestamp_us: (0, 6)}


def played(records, revisions, newest=NEWEST, **options):
    by_place = {(record.partition, record.offset): record for record in LOG}
    items = playlist(records, revisions, newest, by_place.get, **options)
    return [(item.record.offset, item.next_offset) for item in items]


def test_the_newest_publication_is_played_in_the_place_of_the_first():
    """And what is resumed after it begins behind the place of the first."""
    assert played(LOG, Revisions.LAST) == [(0, 2), (1, 12), (6, 22), (3, 32), (5, 52)]


def test_the_first_publications():
    assert played(LOG, Revisions.FIRST) == [(0, 2), (1, 12), (2, 22), (3, 32), (5, 52)]


def test_all_publications_where_they_lie():
    assert [offset for offset, _ in played(LOG, Revisions.ALL)] == [0, 1, 2, 3, 4, 5, 6]


def test_the_newest_is_played_where_it_lies_if_the_first_is_not_meant():
    """As with the last groups, or where retention has taken the first one's entry."""
    assert [offset for offset, _ in played(LOG[3:], Revisions.LAST)] == [3, 5, 6]


def test_a_resumed_run_plays_nothing_twice():
    assert [offset for offset, _ in played(LOG[3:], Revisions.LAST, resumed=True)] == [3, 5]


def test_the_first_is_played_where_the_newest_has_gone_meanwhile():
    items = playlist(LOG, Revisions.LAST, NEWEST, lambda _place: None)
    assert [item.record.offset for item in items] == [0, 1, 2, 3, 5]


def test_what_is_no_entry_is_left_out_and_counted():
    bad = CatalogueRecord(0, 9, LOG[0].timestamp_us, b"{")
    with Change(UNREADABLE.labels(topic="catalogue")) as unreadable:
        assert [offset for offset, _ in played([bad, LOG[0]], Revisions.LAST)] == [0]
    assert unreadable.by == 1


def test_what_is_passed_over_is_counted():
    with Change(PASSED_OVER.labels(reason=PassedOver.REVISION)) as passed_over:
        played(LOG, Revisions.LAST)
    assert passed_over.by == 2
