import itertools
import os
import random
import time

import psutil
import pytest

from connector.errors import FileSourceError
from connector.metrics import FileOutcome
from schemas.errors import RejectReason
from tests.support.file_reading import ReadFiles
from tests.support.frames import T0_US, hostile_frames, make_frame
from tests.support.waiting import wait_until

SECOND_US = 1_000_000
FRAMES = [make_frame(T0_US + number * SECOND_US, seed=number) for number in range(6)]
STREAM = b"".join(FRAMES)


def write(folder, **files: bytes):
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_one_file(tmp_path):
    (tmp_path / "night.frames").write_bytes(STREAM)
    before_us = time.time_ns() // 1000
    read = ReadFiles(tmp_path / "night.frames").all()
    assert read.frames == FRAMES
    assert read.rejects == []
    assert all(record.headers.receive_time_us >= before_us for record in read.records)
    assert read.files(FileOutcome.READ) == 1
    assert read.counts.frames.total == 6


def test_a_large_frame(tmp_path):
    large = make_frame(T0_US, shape=(1024, 1024))
    (tmp_path / "large").write_bytes(large + FRAMES[0])
    assert ReadFiles(tmp_path / "large").all().frames == [large, FRAMES[0]]


def test_a_folder_is_read_by_name_whatever_the_times_of_its_files(tmp_path):
    write(tmp_path, **{"2": FRAMES[2], "10": FRAMES[0] + FRAMES[1], "Z": FRAMES[3], "a": FRAMES[4]})
    os.utime(tmp_path / "a", (0, 0))
    assert ReadFiles(tmp_path).all().frames == FRAMES[:5]


def test_several_files_are_one_stream_wherever_they_were_cut(tmp_path):
    dice = random.Random(1)
    for number in range(30):
        folder = tmp_path / str(number)
        folder.mkdir()
        cuts = [0, *sorted(dice.sample(range(len(STREAM) + 1), dice.randint(1, 40))), len(STREAM)]
        for part, (start, end) in enumerate(itertools.pairwise(cuts)):
            (folder / f"x{part:03}").write_bytes(STREAM[start:end])
        read = ReadFiles(folder).all()
        assert read.frames == FRAMES
        assert read.rejects == []


@pytest.mark.parametrize("kept", [1, 7, 8, 16, 511, 513, 3000, len(FRAMES[2]) - 1])
def test_a_torn_tail_costs_its_own_frame_alone(tmp_path, kept):
    torn = FRAMES[0] + FRAMES[1] + FRAMES[2][:kept]
    write(tmp_path, a=torn, b=FRAMES[3] + FRAMES[4], c=FRAMES[5][:kept])
    read = ReadFiles(tmp_path).all()
    assert read.frames == [FRAMES[0], FRAMES[1], FRAMES[3], FRAMES[4]]
    assert [each.total_bytes for each in read.rejects] == [kept, kept]
    if kept >= 8:
        assert {each.reason for each in read.rejects} == {RejectReason.INCOMPLETE}
    assert read.rejects[0].detail.startswith("a: ")
    assert read.rejects[1].detail.startswith("c: ")


@pytest.mark.parametrize("name", list(hostile_frames()))
def test_good_frames_go_on_after_a_hostile_one(tmp_path, name):
    hostile = hostile_frames()[name]
    write(tmp_path, a=FRAMES[0] + hostile + b"".join(FRAMES[1:4]), b=FRAMES[4] + FRAMES[5])
    read = ReadFiles(tmp_path).all()
    assert [value for value in read.frames if value != hostile] == FRAMES
    assert sum(value == hostile for value in read.frames) + len(read.rejects) >= 1


def test_foreign_files_are_rejected_or_left_out_and_cost_nothing_else(tmp_path):
    write(tmp_path, a=FRAMES[0], b=b"# read me\n" * 1000, c=FRAMES[1], d=b"", e=FRAMES[2])
    write(tmp_path, **{".hidden": FRAMES[5]})
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder", x=FRAMES[5])
    os.mkfifo(tmp_path / "pipe")
    read = ReadFiles(tmp_path, max_reject_bytes=100).all()
    assert read.frames == FRAMES[:3]
    (reject,) = read.rejects
    assert (reject.reason, reject.total_bytes, reject.truncated) == (RejectReason.BAD_MAGIC, 10_000, True)
    assert reject.detail.startswith("b: ")
    assert [read.files(each) for each in FileOutcome] == [5, 0, 2]
    assert read.reader.unread_files == 0


def test_nothing_in_a_file_is_too_far_away(tmp_path):
    """A socket would be given up after max_resync_bytes; a file is read on."""
    (tmp_path / "a").write_bytes(FRAMES[0] + bytes(3_000_000) + FRAMES[1])
    read = ReadFiles(tmp_path, max_resync_bytes=50_000).all()
    assert read.frames == FRAMES[:2]
    (reject,) = read.rejects
    assert reject.total_bytes == 3_000_000
    assert len(read.records[1].value) == read.settings.max_reject_bytes


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_read(tmp_path):
    write(tmp_path, a=FRAMES[0] + FRAMES[1][:900], c=FRAMES[2], e=FRAMES[3])
    (tmp_path / "b").symlink_to("/proc/self/mem")  # a regular file whose first byte is an I/O error
    (tmp_path / "d").symlink_to(tmp_path / "gone")
    read = ReadFiles(tmp_path).all()
    assert read.frames == [FRAMES[0], FRAMES[2], FRAMES[3]]
    assert [(each.reason, each.total_bytes) for each in read.rejects] == [(RejectReason.INCOMPLETE, 900)]
    assert read.reader.unread_files == read.files(FileOutcome.FAILED) == 2
    assert read.files(FileOutcome.READ) == 3


def test_names_that_are_no_text(tmp_path):
    name = os.fsdecode(b"night-\xff\n")
    (tmp_path / name).write_bytes(b"garbage")
    (tmp_path / (name + "2")).symlink_to(tmp_path / "gone")
    read = ReadFiles(tmp_path).all()
    (reject,) = read.rejects
    assert reject.detail.startswith("night-\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}: ")
    reject.encode()
    assert read.reader.unread_files == 1


def test_far_future_and_undated_frames_are_rejected_with_their_file(tmp_path):
    future = make_frame(time.time_ns() // 1000 + 3600 * SECOND_US)
    write(tmp_path, a=FRAMES[0], b=future + FRAMES[1])
    read = ReadFiles(tmp_path).all()
    assert read.frames == FRAMES[:2]
    (reject,) = read.rejects
    assert reject.reason is RejectReason.FAR_FUTURE
    assert reject.detail.startswith("b: DATE-OBS")


def test_it_waits_for_kafka(tmp_path):
    """Nothing is read while more of the file waits for Kafka than may."""
    write(tmp_path, a=make_frame(T0_US, shape=(512, 512)), b=STREAM)
    read = ReadFiles(tmp_path, max_waiting_bytes=1000)
    read.waiting_bytes = 1001
    read.start()
    wait_until(lambda: read.looks >= 4, "it to wait")
    assert read.counts.read_bytes.total == 0
    read.waiting_bytes = 1000
    read.wait()
    assert len(read.frames) == 7
    assert read.counts.back_pressure_s.total > 0


def test_a_stop_ends_between_frames_and_rejects_nothing(tmp_path):
    large = [make_frame(T0_US + number, shape=(300, 300)) for number in range(8)]
    write(tmp_path, a=b"".join(large), b=STREAM)
    read = ReadFiles(tmp_path)
    read.gate.clear()
    read.start()
    wait_until(lambda: read.counts.frames.total == 1, "a frame in hand")
    read.stop.set()
    assert not read.reader.wait_until_idle(0)
    read.gate.set()
    read.wait()
    assert 1 <= len(read.frames) <= 3
    assert read.frames == large[: len(read.frames)]
    assert read.rejects == []
    assert read.reader.problem == "asked to stop"
    assert read.files(FileOutcome.READ) == 0


def test_an_error_of_ours_is_told_and_not_swallowed(tmp_path):
    read = ReadFiles(write(tmp_path, a=FRAMES[0]))
    read.gate.wait = lambda: 1 / 0
    read.start()
    wait_until(lambda: read.reader.failure is not None, "the failure")
    assert isinstance(read.reader.failure, ZeroDivisionError)
    assert read.reader.wait_until_idle(10)
    assert not read.reader.finished


def test_what_is_wrong_at_once_is_named_before_anything_is_read(tmp_path):
    def problem(path) -> str:
        with pytest.raises(FileSourceError) as caught:
            ReadFiles(path).reader.find()
        assert str(path) in str(caught.value)
        return str(caught.value)

    assert "No such file or directory; is the path right" in problem(tmp_path / "gone")
    (tmp_path / "file").write_bytes(b"")
    assert "Not a directory" in problem(tmp_path / "file" / "below")
    os.mkfifo(tmp_path / "pipe")
    assert "it is no file, but a pipe" in problem(tmp_path / "pipe")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no file of frames is in the folder" in problem(empty)
    (empty / "sb0").mkdir()
    (empty / "sb1").mkdir()
    assert "only sb0, sb1; is one of these meant?" in problem(empty)


def test_one_file_is_open_at_a_time_and_none_in_the_end(tmp_path):
    for number in range(200):
        (tmp_path / f"{number:03}").write_bytes(FRAMES[number % 6])
    read = ReadFiles(tmp_path)
    open_at_a_time = set()

    def publish(record) -> None:
        open_at_a_time.add(open_files(tmp_path))
        read.records.append(record)

    read.reader._intake._taker._publish = publish
    read.all()
    assert len(read.frames) == 200
    assert open_at_a_time == {1}
    assert open_files(tmp_path) == 0


def open_files(folder) -> int:
    return sum(each.path.startswith(str(folder)) for each in psutil.Process().open_files())
