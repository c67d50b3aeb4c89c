import json

import pytest

from consumer.cadence import Cadence
from consumer.catalogue import CatalogueRecord
from consumer.selection import Revisions
from consumer.serving.playlist import playlist
from consumer.serving.survey import Survey
from consumer.serving.survey import survey as survey_of
from tests.support.entries import entry_at, record_of
from tests.support.published_groups import SECOND_US, START_US

REAL_TIME = Cadence()


def survey(records, *, revisions=Revisions.LAST, **options) -> Survey:
    return survey_of(records, revisions=revisions, **options)


def log(*entries):
    return [record_of(entry, n) for n, entry in enumerate(entries)]


def test_what_a_range_holds():
    found = survey(
        log(entry_at(2), entry_at(1), entry_at(5, present=("sb1",)), entry_at(2, revision=2)),
        cadence=REAL_TIME,
        revisions=Revisions.LAST,
    )
    assert (found.groups, found.repaired, found.first_us, found.last_us) == (
        3,
        1,
        START_US + SECOND_US,
        START_US + 5 * SECOND_US,
    )
    assert found.sources == {"sb0", "sb1"}
    assert found.newest == {START_US + 2 * SECOND_US: (0, 3)}
    assert found.playing_s == pytest.approx(3)  # from 2 to 5: the earlier one is due at once
    assert {source: record.offset for source, record in found.latest_of.items()} == {"sb0": 3, "sb1": 2}


def test_a_source_that_was_expected_and_never_came_gets_a_port_and_ports_go_by_number():
    expected = ("sb10", "sb9", "sb2")
    found = survey(log(entry_at(1, present=("sb9", "sb10"), expected=expected)), cadence=REAL_TIME)
    assert found.ordered_sources(()) == ("sb2", "sb9", "sb10")
    assert found.ordered_sources(("sb10", "elsewhere")) == ("sb10", "elsewhere")
    assert set(found.latest_of) == {"sb9", "sb10"}


def test_a_limit_and_a_stop_end_it():
    entries = [entry_at(second) for second in range(10)]
    assert survey(log(*entries), cadence=REAL_TIME, limit=3).groups == 3
    asked = []
    stopped = survey(log(*entries), cadence=REAL_TIME, stopped=lambda: asked.append(1) or len(asked) > 5)
    assert stopped.groups == 5


def test_entries_written_by_others_and_no_entries_at_all():
    strange = record_of(entry_at(1), 0)
    spaced = CatalogueRecord(0, 1, strange.timestamp_us, json.dumps(json.loads(strange.value)).encode())
    broken = CatalogueRecord(0, 2, strange.timestamp_us, b'"expected":["x"],"members":')
    found = survey([spaced, broken, strange], cadence=REAL_TIME)
    assert (found.groups, found.sources, found.newest) == (2, {"sb0", "sb1"}, {})


def test_many_kinds_of_groups_take_bounded_memory_and_lose_no_source():
    sources = tuple(f"sb{number}" for number in range(400))
    entries = [entry_at(n, present=(source,), expected=(source,)) for n, source in enumerate(sources)]
    found = survey(log(*entries), cadence=REAL_TIME)
    assert found.ordered_sources(()) == sources
    assert {source: record.offset for source, record in found.latest_of.items()} == {
        source: n for n, source in enumerate(sources)
    }


def test_nothing():
    found = survey([], cadence=REAL_TIME)
    assert (found.groups, found.sources, found.playing_s) == (0, set(), 0.0)


LOG = log(
    entry_at(1),
    entry_at(2, present=("sb0",)),
    entry_at(3),
    entry_at(9, revision=2),  # its first publication is not meant
    entry_at(4),
    entry_at(2, revision=2),
    entry_at(9, revision=3),
    entry_at(1, present=("sb0", "sb1", "sb7"), revision=2),
)


@pytest.mark.parametrize(
    ("revisions", "resumed", "groups", "repaired"),
    [
        (Revisions.LAST, False, 5, 3),
        (Revisions.LAST, True, 4, 2),
        (Revisions.FIRST, False, 4, 0),
        (Revisions.ALL, False, 8, 4),
    ],
)
def test_as_many_groups_as_the_playlist_plays(revisions, resumed, groups, repaired):
    found = survey(LOG, cadence=REAL_TIME, revisions=revisions, resumed=resumed)
    assert (found.groups, found.meant, found.repaired) == (groups, groups, repaired)
    places = {(record.partition, record.offset): record for record in LOG}
    assert len(list(playlist(LOG, revisions, found.newest, places.get, resumed=resumed))) == groups


def test_what_repairs_a_group_may_lie_behind_the_limit():
    found = survey(LOG, cadence=REAL_TIME, limit=2)
    assert (found.groups, found.meant, found.repaired) == (2, 5, 2)
    assert (found.first_us, found.last_us) == (START_US + SECOND_US, START_US + 2 * SECOND_US)
    assert found.newest == {
        START_US + SECOND_US: (0, 7),
        START_US + 2 * SECOND_US: (0, 5),
        START_US + 9 * SECOND_US: (0, 6),
    }
    assert found.sources == {"sb0", "sb1", "sb7"}
    assert found.latest_of["sb7"].offset == 7
