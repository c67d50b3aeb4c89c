"""Which catalogue entries still matter to the committed offset."""

from hypothesis import given
from hypothesis import strategies as st

from grouper.entry_index import EntryIndex


def test_an_empty_index_points_behind_the_catalogue():
    assert EntryIndex(17).first_naming(5) == 17


def test_entries_are_passed_as_the_offset_passes_what_they_name():
    entries = EntryIndex()
    for catalogue_offset, highest in ((0, 5), (2, 11), (4, 8)):
        entries.add(catalogue_offset, highest)
    assert entries.first_naming(3) == 0
    assert entries.first_naming(6) == 2
    assert entries.first_naming(9) == 2  # entry 4 names nothing at 9 or after, but entry 2 does
    assert entries.first_naming(12) == 5


def test_entries_of_a_transaction_under_way_are_looked_at_and_not_kept():
    entries = EntryIndex()
    entries.add(0, 5)
    assert entries.first_naming(6, new=[(2, 5), (3, 9)]) == 3
    assert entries.first_naming(6) == 1


@given(st.lists(st.integers(0, 30), max_size=20), st.lists(st.integers(0, 30), max_size=10))
def test_every_entry_that_names_a_record_at_or_after_the_offset_is_at_or_after_the_answer(highest, offsets):
    entries = EntryIndex()
    for catalogue_offset, raw in enumerate(highest):
        entries.add(catalogue_offset, raw)
    for committed in sorted(offsets):
        first = entries.first_naming(committed)
        naming = [at for at, raw in enumerate(highest) if raw >= committed]
        assert all(at >= first for at in naming)
