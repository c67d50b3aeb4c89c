"""What faults explain: of their sources, while they were felt, and no more than they can take."""

from tests.chaos.effect import Effect
from tests.chaos.explained import Explained, unexplained
from tests.chaos.truth import Frame
from tests.support.waiting import timeout_s

BOTH = frozenset(["sb0", "sb1"])


def frame(source, at_s):
    return Frame(round(at_s * 1e6), source, f"{source} {at_s}")


def effect(**more):
    return Effect(took=True, proof="seen", began_s=1000.0, clear_s=1010.0, **more)


def explained(blow):
    known = Explained()
    known.add(blow, recovered_s=1020.0)
    return known


def test_a_fault_that_takes_nothing_explains_nothing():
    known = explained(effect())
    here = [frame("sb0", 1005)]
    assert unexplained(here, known.losses) == unexplained(here, known.gaps) == here
    assert known.unwritten == []


def test_losses_end_with_the_blow_and_gaps_with_the_recovery():
    known = explained(effect(loses_of=BOTH, gaps_of=BOTH))
    long_before, while_felt, after = (
        frame("sb0", 1000 - timeout_s(3)),
        frame("sb1", 1005),
        frame("sb0", 1015),
    )
    margin_s = timeout_s(2)
    cases = [long_before, while_felt, *([after] if margin_s < 5 else [])]
    assert unexplained(cases, known.losses) == [case for case in cases if case is not while_felt]
    assert unexplained([long_before, while_felt, after], known.gaps) == [long_before]


def test_another_source_is_not_explained():
    known = explained(effect(loses_of=frozenset(["sb1"])))
    assert unexplained([frame("sb0", 1005), frame("sb1", 1005)], known.losses) == [frame("sb0", 1005)]


def test_no_more_than_it_can_take_of_each_source():
    known = explained(effect(loses_of=BOTH, loses_most=1))
    cases = [frame("sb0", 1001), frame("sb1", 1001), frame("sb0", 1002)]
    assert unexplained(reversed(cases), known.losses) == [frame("sb0", 1002)]
    known.add(effect(loses_of=BOTH, loses_most=1), recovered_s=1020.0)
    assert unexplained(cases, known.losses) == []
