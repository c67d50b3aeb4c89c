import errno
import os
import shlex
import subprocess
import sys

import pytest

from connector import metrics
from connector.capture_settings import CaptureSettings
from connector.errors import CaptureError
from emulator.frame_server import FrameServer
from runtime.errors import SettingsError
from runtime.image_server.script import Close
from runtime.settings import load_settings
from schemas.errors import RejectReason
from schemas.pixel_order import PixelOrder
from schemas.source import FileSource, ServerSource
from tests.support.capturing import RunningCapture, recorded
from tests.support.file_reading import ReadFiles
from tests.support.frames import T0_US, hostile_frames, make_cards, make_frame, pack_frame
from tests.support.metrics import Change
from tests.support.waiting import timeout_s, wait_until

SECOND_US = 1_000_000
FRAMES = [make_frame(T0_US + number * SECOND_US, seed=number) for number in range(6)]
SIZE = len(FRAMES[0])


def source(name: str, server: FrameServer) -> ServerSource:
    return ServerSource(name, "127.0.0.1", server.port)


def test_what_came_is_recorded_verbatim_and_read_again(tmp_path):
    with (
        FrameServer(FRAMES) as one,
        FrameServer(FRAMES[3:]) as other,
        Change(metrics.CAPTURED_FRAMES.labels("sb0")) as frames,
        Change(metrics.CAPTURED_BYTES.labels("sb0")) as size,
        RunningCapture(tmp_path / "new" / "night", source("sb0", one), source("sb1", other)) as capture,
    ):
        capture.wait_for(6, 3)
        first, second = capture.stop()
    assert (frames.by, size.by) == (6, 6 * SIZE)
    assert recorded(tmp_path / "new" / "night" / "sb0") == [b"".join(FRAMES)]
    assert (first.frames, first.recorded_bytes, first.files, first.skipped_bytes) == (6, 6 * SIZE, 1, 0)
    assert first.source == FileSource("sb0", tmp_path / "new" / "night" / "sb0")
    assert ReadFiles(first.source.path).all().frames == FRAMES
    assert ReadFiles(second.source.path).all().frames == FRAMES[3:]


def test_the_pixel_order_goes_along(tmp_path):
    with FrameServer(FRAMES) as server:
        old = ServerSource("old", "127.0.0.1", server.port, pixel_order=PixelOrder.TRANSPOSED)
        with RunningCapture(tmp_path, old, capture_frames=1) as capture:
            (captured,) = capture.wait()
    assert str(captured.source) == f"old=file://{tmp_path}/old?pixel_order=transposed"


@pytest.mark.parametrize(
    ("segment_bytes", "files"), [(1, 6), (SIZE, 6), (2 * SIZE - 1, 6), (2 * SIZE, 3), (10 * SIZE, 1)]
)
def test_files_are_cut_between_frames_and_their_names_sort(tmp_path, segment_bytes, files):
    with (
        FrameServer(FRAMES) as server,
        RunningCapture(
            tmp_path, source("sb0", server), capture_segment_bytes=segment_bytes, capture_frames=6
        ) as capture,
    ):
        (captured,) = capture.wait()
    parts = recorded(tmp_path / "sb0")
    assert len(parts) == captured.files == files
    assert b"".join(parts) == b"".join(FRAMES)
    assert all(len(part) % SIZE == 0 for part in parts)


def test_as_many_frames_as_were_asked_for_of_each_source(tmp_path):
    with (
        FrameServer(FRAMES) as eager,
        FrameServer(FRAMES[:2]) as lazy,
        RunningCapture(tmp_path, source("sb0", eager), source("sb1", lazy), capture_frames=4) as capture,
    ):
        capture.wait_for(4, 2)
        lazy.push(*FRAMES[2:])
        first, second = capture.wait()
    assert (first.frames, second.frames) == (4, 4)
    assert recorded(tmp_path / "sb0") == recorded(tmp_path / "sb1") == [b"".join(FRAMES[:4])]


def test_a_second_run_comes_after_the_first(tmp_path):
    for frames in (FRAMES[:3], FRAMES[3:]):
        with (
            FrameServer(frames) as server,
            RunningCapture(tmp_path, source("sb0", server), capture_frames=3) as capture,
        ):
            capture.wait()
    assert recorded(tmp_path / "sb0") == [b"".join(FRAMES[:3]), b"".join(FRAMES[3:])]


@pytest.mark.parametrize("name", list(hostile_frames()))
def test_what_is_no_frame_is_counted_and_not_recorded(tmp_path, name):
    hostile = hostile_frames()[name]
    with (
        FrameServer([FRAMES[0], hostile, *FRAMES[1:]]) as server,
        RunningCapture(tmp_path, source("sb0", server)) as capture,
    ):
        recording = capture.service._lines[0].recording
        wait_until(lambda: recording.frames + (recording.skipped_bytes > 0) >= 7, "all frames")
        (captured,) = capture.stop()
    stream = b"".join(FRAMES)
    (data,) = recorded(tmp_path / "sb0")
    assert data in (stream, FRAMES[0] + hostile + stream[SIZE:])
    assert captured.skipped_bytes == SIZE * 6 + len(hostile) - len(data)


def test_a_frame_that_the_connector_would_reject_is_recorded(tmp_path):
    undated = pack_frame(make_cards(date_obs=None, shape=(2, 2)), bytes(16))
    with (
        FrameServer([undated]) as server,
        RunningCapture(tmp_path, source("sb0", server), capture_frames=1) as capture,
    ):
        capture.wait()
    assert recorded(tmp_path / "sb0") == [undated]


def test_garbage_and_cut_frames_are_counted_but_not_the_frame_under_way_at_the_end(tmp_path):
    with (
        FrameServer(
            [FRAMES[0], b"garbage", FRAMES[1], FRAMES[2][:700], Close()], [FRAMES[3], FRAMES[4][:600]]
        ) as server,
        RunningCapture(tmp_path, source("sb0", server)) as capture,
    ):
        line = capture.service._lines[0]
        sent = 3 * SIZE + 7 + 700 + 600
        wait_until(lambda: line.counts.read_bytes.total == sent, "all that was sent")
        capture.wait_for(3)
        (captured,) = capture.stop()
    assert recorded(tmp_path / "sb0") == [FRAMES[0] + FRAMES[1] + FRAMES[3]]
    assert captured.skipped_bytes == 707
    assert line.counts.rejects == 2


def test_it_ends_after_the_seconds_that_were_asked_for(tmp_path):
    with (
        FrameServer(FRAMES) as server,
        RunningCapture(tmp_path, source("sb0", server), capture_s=1.0) as capture,
    ):
        capture.wait_for_end()
    # A machine that is busy enough does not even connect in that time.
    assert capture.error is None or "nothing was recorded" in str(capture.error)


def test_nothing_recorded_is_an_error(tmp_path):
    with FrameServer([]) as server:
        port = server.port
    with RunningCapture(tmp_path, ServerSource("sb0", "127.0.0.1", port)) as capture:
        wait_until(lambda: "can't connect" in (capture.service.not_ready() or ""), "an attempt")
        capture._shutdown.request()
        capture.wait_for_end()
    assert isinstance(capture.error, CaptureError)
    assert f"nothing was recorded; sb0: can't connect to tcp://127.0.0.1:{port}" in str(capture.error)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with (
        FrameServer([]) as server,
        pytest.raises(CaptureError, match=r"can't be made: .*/sb0: Not a dir"),
    ):
        RunningCapture(tmp_path / "file", source("sb0", server))


def test_what_cannot_be_written_ends_it_and_is_counted(tmp_path, monkeypatch):
    """The disk fills up within the third frame: the file keeps two, and the rest is told."""
    write, room = os.write, 2 * SIZE + 1000

    def full(file: int, data: memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(file, data[:room])
        room -= written
        return written

    with (
        FrameServer([]) as server,
        Change(metrics.UNCAPTURED_FRAMES.labels("sb0")) as uncaptured,
        RunningCapture(tmp_path, source("sb0", server)) as capture,
        monkeypatch.context() as patch,
    ):
        wait_until(lambda: server.clients == 1, "a connection")
        patch.setattr("connector.recording.os.write", full)
        server.push(*FRAMES)
        capture.wait_for_end()
    assert isinstance(capture.error, CaptureError)
    assert "No space left on device; 2 frames are recorded in" in str(capture.error)
    assert recorded(tmp_path / "sb0") == [FRAMES[0] + FRAMES[1]]
    assert uncaptured.by >= 1


def run_limited(tmp_path, server: FrameServer, *options: str, kib: int) -> subprocess.CompletedProcess:
    """`trapline capture` where no file can be larger than that."""
    command = shlex.join(
        [sys.executable, "-m", "trapline", "capture", f"--source={source('sb0', server)}", *options]
    )
    return subprocess.run(
        ["bash", "-c", f"ulimit -f {kib}; exec {command} --output {shlex.quote(str(tmp_path))}"],
        capture_output=True,
        text=True,
        timeout=timeout_s(60),
        check=False,
    )


def test_the_command_says_where_the_recording_is(tmp_path):
    with FrameServer(FRAMES) as server:
        done = run_limited(tmp_path, server, "--frames=6", kib=10_000)
    assert (done.returncode, done.stdout) == (0, f"sb0=file://{tmp_path}/sb0\n")
    assert '"frames": 6' in done.stderr
    assert recorded(tmp_path / "sb0") == [b"".join(FRAMES)]


def test_the_command_ends_with_one_line_where_a_file_can_grow_no_more(tmp_path):
    large = [make_frame(T0_US + number, shape=(300, 300)) for number in range(4)]
    with FrameServer(large) as server:
        done = run_limited(tmp_path, server, kib=1000)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("trapline: error: sb0: a frame can't be written: ")
    assert last.endswith(f"File too large; 2 frames are recorded in {tmp_path}/sb0")
    assert recorded(tmp_path / "sb0") == [large[0] + large[1]]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("overrides", "key", "words"),
    [
        ({"sources": ""}, "sources", "names no source"),
        ({"sources": "sb0=file:///a,sb1=tcp://b:1"}, "sources", "sb0: what is recorded is a server"),
        ({"capture_output": None}, "capture_output", "is not set; --output DIR"),
        ({"capture_output": "a\nb"}, "capture_output", "can't be printed"),
        ({"capture_s": 0}, "capture_s", "greater than 0"),
        ({"capture_frames": 0}, "capture_frames", "greater than or equal to 1"),
        ({"capture_segment_bytes": "0"}, "capture_segment_bytes", "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_named(overrides, key, words):
    good = {"sources": "sb0=tcp://127.0.0.1:6666", "capture_output": "night"}
    given = {name: value for name, value in {**good, **overrides}.items() if value is not None}
    with pytest.raises(SettingsError) as caught:
        load_settings(CaptureSettings, overrides=given, known=[])
    found = {problem.key.removeprefix("TRAPLINE_").lower(): problem.text for problem in caught.value.problems}
    assert list(found) == [key]
    assert words in found[key]


def test_reasons_of_what_is_no_frame_are_counted(tmp_path):
    with (
        FrameServer([b"garbage", FRAMES[0]]) as server,
        Change(metrics.REJECTS.labels("sb0", RejectReason.BAD_MAGIC.value)) as bad_magic,
        RunningCapture(tmp_path, source("sb0", server), capture_frames=1) as capture,
    ):
        capture.wait()
    assert bad_magic.by == 1
