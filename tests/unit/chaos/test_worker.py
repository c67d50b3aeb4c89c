"""A process under chaos: an end that nobody meant is told, whatever comes after it."""

import pytest

from tests.chaos.worker import Worker
from tests.support.waiting import wait_until


@pytest.fixture
def worker(tmp_path):
    """It ends by itself with status 2: there is no such verb."""
    worker = Worker("grouper-1", "no-such-verb", lambda _life: (), {}, tmp_path)
    yield worker
    worker.end_now()


def start_and_wait(worker):
    worker.start()
    wait_until(lambda: not worker.alive, "the process to end")


def test_an_end_that_nobody_meant_is_told_once(worker):
    start_and_wait(worker)
    (told,) = worker.unexpected_ends()
    assert "grouper-1 ended with status 2 in life 1" in told
    assert "no-such-verb" in told
    assert worker.unexpected_ends() == []


@pytest.mark.parametrize("later", [start_and_wait, Worker.kill, Worker.terminate])
def test_what_comes_after_it_does_not_hide_it(worker, later):
    start_and_wait(worker)
    later(worker)
    assert "in life 1" in worker.unexpected_ends()[0]


def test_an_end_by_our_hand_is_none(worker):
    worker.start()
    worker.kill()
    assert worker.unexpected_ends() == []
