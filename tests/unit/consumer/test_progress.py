from hypothesis import given
from hypothesis import strategies as st

from consumer.progress import Progress


def test_a_group_is_due_when_it_is_done_and_not_before():
    progress = Progress()
    progress.assign(0, 10)
    progress.queue(0, 14)
    assert progress.to_commit() == {}
    progress.finish(0, 14)
    assert progress.to_commit() == {0: 14}


def test_what_is_committed_is_not_due_and_what_is_reached_since_is():
    progress = Progress()
    progress.assign(0, 10)
    progress.pass_over(0, 12)
    progress.pass_over(0, 15)
    progress.committed({0: 12})
    assert progress.to_commit() == {0: 15}
    progress.committed({0: 15})
    assert progress.to_commit() == {}


def test_what_is_passed_over_waits_for_the_groups_before_it():
    progress = Progress()
    progress.assign(0, 0)
    progress.queue(0, 4)
    progress.pass_over(0, 8)
    progress.queue(0, 12)
    assert progress.to_commit() == {}
    progress.finish(0, 4)
    assert progress.to_commit() == {0: 8}


def test_a_revoked_partition_is_never_committed():
    progress = Progress()
    progress.assign(0, 0)
    progress.assign(1, 0)
    progress.queue(0, 4)
    progress.queue(1, 4)
    progress.revoke([0])
    progress.finish(0, 4)
    progress.finish(1, 4)
    progress.committed({0: 4})
    assert progress.to_commit() == {1: 4}


def test_what_another_member_committed_meanwhile_is_not_taken_back():
    progress = Progress()
    progress.assign(0, 20)
    progress.queue(0, 14)  # in hand since before the partition went and came back
    progress.finish(0, 14)
    assert progress.to_commit() == {}


@given(st.lists(st.booleans(), max_size=20), st.data())
def test_positions_only_grow_and_never_pass_a_group_that_is_not_done(handed: list[bool], data: st.DataObject):
    progress = Progress()
    progress.assign(0, 0)
    ends = [(number + 1) * 3 for number in range(len(handed))]
    queued = [end for end, is_handed in zip(ends, handed, strict=True) if is_handed]
    for end, is_handed in zip(ends, handed, strict=True):
        (progress.queue if is_handed else progress.pass_over)(0, end)
    last = 0
    done: set[int] = set()
    for end in data.draw(st.permutations(queued)):
        progress.finish(0, end)
        done.add(end)
        due = progress.to_commit().get(0, last)
        assert due >= last
        last = due
        assert all(other in done for other in queued if other <= due)
        progress.committed({0: due})
    assert max(last, progress.to_commit().get(0, 0)) == (ends[-1] if ends else 0)


def test_a_position_that_is_held_is_passed_by_nothing_behind_it():
    progress = Progress()
    progress.assign(0, 0)
    progress.queue(0, 4)
    progress.hold(0)
    progress.queue(0, 8)
    progress.pass_over(0, 12)
    progress.finish(0, 8)
    assert progress.to_commit() == {}
    progress.finish(0, 4)
    assert progress.to_commit() == {0: 4}
    progress.assign(0, 4)
    progress.pass_over(0, 12)
    assert progress.to_commit() == {0: 12}
