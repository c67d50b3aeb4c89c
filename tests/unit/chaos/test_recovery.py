"""How soon the next group has to be there."""

import pytest

from tests.chaos.effect import Effect
from tests.chaos.process_faults import GROUPER_BACK_S
from tests.chaos.round import Recovery, too_slow
from tests.chaos.system import SESSION_TIMEOUT_S
from tests.support.waiting import timeout_s


def recovery(next_s):
    return Recovery("kill", "grouper", "plain", 1, "seen", 1, next_s, next_s, 0.0)


def effect(next_within_s):
    return Effect(took=True, proof="seen", began_s=0.0, clear_s=0.0, next_within_s=next_within_s)


def test_a_grouper_is_back_within_its_session_and_five_seconds():
    assert GROUPER_BACK_S == SESSION_TIMEOUT_S + 5
    bound_s = timeout_s(GROUPER_BACK_S)
    assert too_slow(recovery(bound_s), effect(GROUPER_BACK_S)) == []
    (problem,) = too_slow(recovery(bound_s + 0.1), effect(GROUPER_BACK_S))
    assert problem.startswith("kill:grouper: the next group came after")


@pytest.mark.parametrize("next_s", [0.1, 1000.0])
def test_without_a_bound_any_time_will_do(next_s):
    assert too_slow(recovery(next_s), effect(None)) == []
