import pytest

from connector.frame_watch import FrameWatch


@pytest.fixture
def watch():
    return FrameWatch(100.0, stall_timeout_s=10.0, max_frame_time_s=60.0)


def test_between_frames_silence_is_no_stall(watch):
    assert watch.stalled(1e9) is None
    assert watch.silent_s(130.0) == 30.0
    watch.received(200.0, in_frame=False, ended_frame=True)
    assert watch.stalled(1e9) is None
    assert watch.silent_s(205.0) == 5.0


def test_a_frame_without_a_byte_is_stalled(watch):
    watch.received(200.0, in_frame=True, ended_frame=False)
    assert watch.stalled(209.9) is None
    assert "10 s (TRAPLINE_STALL_TIMEOUT_S)" in watch.stalled(210.0)
    assert watch.silent_s(209.0) == 0.0
    watch.received(209.9, in_frame=True, ended_frame=False)
    assert watch.stalled(219.8) is None


def test_a_frame_that_drips_is_stalled_in_the_end(watch):
    for second in range(200, 260):
        watch.received(float(second), in_frame=True, ended_frame=False)
        assert watch.stalled(second) is None
    assert "60 s (TRAPLINE_MAX_FRAME_TIME_S)" in watch.stalled(260.0)


def test_each_frame_has_its_own_time(watch):
    """Read together: the end of a frame and the beginning of the next."""
    for second in range(225, 1000, 9):
        watch.received(float(second), in_frame=True, ended_frame=second % 45 == 0)
        assert watch.stalled(second) is None


def test_the_end_of_a_frame_ends_its_time(watch):
    watch.received(200.0, in_frame=True, ended_frame=False)
    watch.received(205.0, in_frame=False, ended_frame=True)
    watch.received(300.0, in_frame=True, ended_frame=False)
    assert watch.stalled(309.0) is None
