import itertools
import threading

import pytest

from emulator.camera import ImageSize
from emulator.images import SkyImages
from emulator.pacing import Pace
from emulator.read_ahead import ReadAhead
from schemas.pixel_order import PixelOrder
from tests.support.waiting import wait_until


class CountingImages:
    """Steps that tell their own number; fails from a step on."""

    def __init__(self, fails_at: int = 1_000_000, instant: bool = False) -> None:
        self.taken = 0
        self.instant = instant
        self._fails_at = fails_at

    def take(self, step: int):
        self.taken += 1
        if step >= self._fails_at:
            raise OSError(f"step {step} cannot be read")
        return [step]


def test_steps_come_in_order_and_at_most_three_are_ahead():
    images, woken = CountingImages(), threading.Event()
    ahead = ReadAhead(images, 5, None, woken.set)
    try:
        for step in range(5, 30):
            wait_until(ahead.ready, "a step")
            assert images.taken <= step - 5 + 3
            assert ahead.take() == [step]
        assert woken.is_set()
    finally:
        ahead.stop()
    assert images.taken <= 25 + 3


def test_it_ends_with_the_last_step():
    images = CountingImages()
    ahead = ReadAhead(images, 0, 2, lambda: None)
    for _ in range(2):
        wait_until(ahead.ready, "a step")
        ahead.take()
    ahead.stop()
    assert images.taken == 2


def test_a_failure_reaches_whoever_takes_the_step():
    ahead = ReadAhead(CountingImages(fails_at=1), 0, None, lambda: None)
    wait_until(ahead.ready, "a step")
    assert ahead.take() == [0]
    wait_until(ahead.ready, "the failure")
    with pytest.raises(OSError, match="step 1"):
        ahead.take()
    ahead.stop()


def test_images_in_memory_need_no_thread():
    before = threading.active_count()
    ahead = ReadAhead(CountingImages(instant=True), 0, None, lambda: None)
    assert ahead.ready()
    assert [ahead.take() for _ in range(3)] == [[0], [1], [2]]
    assert threading.active_count() == before
    ahead.stop()


@pytest.mark.parametrize("ring", [0, 3])
def test_neighbouring_steps_never_have_the_same_pixels(ring):
    images = SkyImages(1, ImageSize(16, 16), 2, ring, PixelOrder.FITS)
    schedule = Pace(1.0).begin(1_795_435_200_000_000, 0.0)
    images.prepare(schedule)
    images.start(schedule)
    steps = [[bytes(exposure.pixels) for exposure in images.take(step)] for step in range(7)]
    for before, after in itertools.pairwise(steps):
        assert not set(before) & set(after)
    assert (steps[0] == steps[3]) == (ring == 3)
