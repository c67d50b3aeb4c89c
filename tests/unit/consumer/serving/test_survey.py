import json

import pytest

from consumer.cadence import Cadence
from consumer.catalogue import CatalogueRecord
from consumer.serving.survey import survey
from tests.support.entries import entry_at, record_of
from tests.support.published_groups import SECOND_US, START_US

REAL_TIME = Cadence()


def log(*entries):
    return [record_of(entry, n) for n, entry in enumerate(entries)]


def test_what_a_range_holds():
    found = survey(
        log(entry_at(2), entry_at(1), entry_at(5, present=("sb1",)), entry_at(2, revision=2)),
        cadence=REAL_TIME,
    )
    assert (found.groups, found.first_us, found.last_us) == (
        4,
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
