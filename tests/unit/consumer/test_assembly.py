from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from consumer.assembly import REMEMBERED_GROUPS, Assembled, Cut, GroupAssembler, ImageRecord, Repeated, Whole
from tests.support.image_records import image_record
from tests.support.published_groups import SECOND_US, START_US


def records_of(number: int, size: int, first_offset: int = 0) -> list[ImageRecord]:
    return [
        image_record(
            offset=first_offset + index,
            index=index,
            size=size,
            timestamp_us=START_US + number * SECOND_US,
            source=f"sb{index}",
        )
        for index in range(size)
    ]


def assemble(records: Sequence[ImageRecord]) -> list[Assembled]:
    assembler = GroupAssembler()
    found = [part for record in records for part in assembler.add(record)]
    return [*found, *assembler.give_up()]


def test_a_group_is_whole_with_its_last_record():
    records = records_of(0, 3)
    assembler = GroupAssembler()
    assert assembler.add(records[0]) == ()
    assert assembler.add(records[1]) == ()
    assert assembler.held == 2
    assert assembler.add(records[2]) == (Whole(tuple(records)),)
    assert assembler.held == 0


def test_a_start_in_the_middle_cuts_the_first_group_only():
    first, second = records_of(0, 3), records_of(1, 3, first_offset=4)
    cut, whole = assemble([*first[1:], *second])
    assert cut == Cut(
        group_id=first[0].headers.group_id,
        timestamp_us=START_US,
        partition=0,
        held=2,
        size=3,
        first_offset=1,
        last_offset=2,
    )
    assert whole == Whole(tuple(second))


def test_a_start_at_the_last_record_is_a_cut_group_not_a_small_one():
    first, second = records_of(0, 2), records_of(1, 2, first_offset=3)
    cut, whole = assemble([first[1], *second])
    assert isinstance(cut, Cut)
    assert (cut.held, cut.size) == (1, 2)
    assert whole == Whole(tuple(second))


def test_records_around_a_cut_are_never_mixed():
    first, second = records_of(0, 3), records_of(1, 3, first_offset=4)
    found = assemble([first[0], first[1], second[2]])
    assert [type(part) for part in found] == [Cut, Cut]


def test_revisions_of_one_timestamp_are_never_mixed():
    first, again = (
        [image_record(offset=at + index, index=index, size=3, revision=revision) for index in range(3)]
        for at, revision in ((0, 1), (4, 2))
    )
    cut, whole = assemble([first[0], first[1], *again])
    assert isinstance(cut, Cut)
    assert whole == Whole(tuple(again))


def test_the_same_index_twice_is_dropped_once():
    records = records_of(0, 2)
    again = image_record(offset=7, index=0, size=2)
    found = assemble([records[0], again, records[1]])
    assert found == [Repeated(again), Whole(tuple(records))]


def test_a_finished_group_again_is_dropped_record_by_record_while_another_is_under_way():
    first, second = records_of(0, 2), records_of(1, 2, first_offset=3)
    found = assemble([*first, second[0], *first, second[1]])
    assert found == [Whole(tuple(first)), Repeated(first[0]), Repeated(first[1]), Whole(tuple(second))]


def test_what_is_remembered_of_finished_groups_is_bounded():
    assembler = GroupAssembler()
    for number in range(REMEMBERED_GROUPS + 1):
        assembler.add(records_of(number, 1)[0])
    assert isinstance(assembler.add(records_of(1, 1)[0])[0], Repeated)
    assert isinstance(assembler.add(records_of(0, 1)[0])[0], Whole)


def test_a_size_that_changes_within_a_group_cuts_it():
    one = image_record(index=0, size=3)
    other = image_record(offset=1, index=1, size=2)
    found = assemble([one, other])
    assert [(type(part), part.size) for part in found] == [(Cut, 3), (Cut, 2)]


@dataclass
class Log:
    """Groups as they lie in a partition, and which of their records a reader gets."""

    records: list[ImageRecord]
    whole: list[int]
    cut: list[int]
    repeats: int


@st.composite
def logs(draw: st.DrawFn) -> Log:
    log = Log([], [], [], 0)
    offset = 0
    for number in range(draw(st.integers(0, 8))):
        size = draw(st.integers(1, 5))
        offset += draw(st.integers(0, 7))  # markers and aborted records
        records = records_of(number, size, offset)
        offset += size
        kept = draw(st.sets(st.sampled_from(range(size)))) if draw(st.booleans()) else set(range(size))
        got = draw(st.permutations([records[index] for index in sorted(kept)]))
        repeated = draw(st.lists(st.sampled_from(got), max_size=3)) if got else []
        for record in repeated:
            got.insert(draw(st.integers(got.index(record) + 1, len(got))), record)
        log.records += got
        log.repeats += len(repeated)
        if len(kept) == size:
            log.whole.append(number)
        elif kept:
            log.cut.append(number)
    return log


@given(logs())
def test_each_group_is_whole_once_or_cut_once_and_nothing_is_lost_unseen(log: Log):
    found = assemble(log.records)
    whole = [part.records for part in found if isinstance(part, Whole)]
    cut = [part for part in found if isinstance(part, Cut)]
    number = {START_US + n * SECOND_US: n for n in range(8)}
    assert [number[records[0].headers.timestamp_us] for records in whole] == log.whole
    assert [number[part.timestamp_us] for part in cut] == log.cut
    assert len([part for part in found if isinstance(part, Repeated)]) == log.repeats
    for records in whole:
        assert len({record.headers.group_id for record in records}) == 1
        assert [record.headers.index for record in records] == list(range(records[0].headers.size))
    seen = sum(map(len, whole)) + sum(part.held for part in cut) + log.repeats
    assert seen == len(log.records)
