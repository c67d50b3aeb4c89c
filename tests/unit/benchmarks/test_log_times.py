from itertools import pairwise

import pytest

from benchmarks.log_times import transaction_firsts
from benchmarks.readings import bytes_per_s, gib, parse_readings, span_s
from schemas.catalogue import CatalogueEntry, ClosedBy


def entry(first: int, last: int) -> CatalogueEntry:
    return CatalogueEntry(
        timestamp_us=0,
        revision=1,
        group_id="g",
        complete=True,
        closed_by=ClosedBy.COMPLETE,
        expected=(),
        present=(),
        missing=(),
        members=(),
        first_offset=first,
        last_offset=last,
        committed_offset=0,
        read_to=0,
        catalogue_from=0,
    )


@pytest.mark.parametrize("sizes", [[1], [1, 1, 1], [2, 1, 3], [4]])
def test_a_transaction_begins_behind_each_marker(sizes):
    entries, firsts, offset = [], [], 0
    for groups in sizes:
        firsts.append(offset)
        for _ in range(groups):
            entries.append(entry(offset, offset + 5))
            offset += 6
        offset += 1  # the marker
    assert transaction_firsts(entries) == firsts
    assert all(later - first > 6 for first, later in pairwise(firsts))


def test_a_reader_is_timed_from_group_to_group():
    # Three groups of 100 bytes, a second apart; the first is not part of any stretch between two.
    readings = parse_readings("[[10.0, 100, 0.1], [11.0, 100, 0.1], [12.0, 100, 0.2], [13.0, 100, 0.1]]")
    assert bytes_per_s(readings, skip=1) == 100.0
    assert span_s(readings, skip=1) == (11.0, 13.0)
    assert gib(readings, skip=1) * 1024**3 == 200.0
