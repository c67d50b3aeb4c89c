import time

import pytest

from tests.support.waiting import timeout_s, wait_until


def test_timeouts_scale(monkeypatch):
    monkeypatch.delenv("TRAPLINE_TEST_TIMEOUT_FACTOR", raising=False)
    assert timeout_s(2) == 2
    monkeypatch.setenv("TRAPLINE_TEST_TIMEOUT_FACTOR", "2.5")
    assert timeout_s(2) == 5


def test_what_the_predicate_gives_is_returned():
    answers = iter([None, 0, "", "there"])
    assert wait_until(lambda: next(answers), timeout=5) == "there"


def test_the_deadline_says_what_was_missing():
    seen = []
    begin = time.monotonic()
    with pytest.raises(AssertionError, match=r"waited 0\.1 s in vain for: 6 of \d+"):
        wait_until(lambda: seen.append(1), timeout=0.1 / timeout_s(1), message=lambda: f"6 of {len(seen)}")
    assert time.monotonic() - begin >= 0.1
    assert len(seen) > 1
