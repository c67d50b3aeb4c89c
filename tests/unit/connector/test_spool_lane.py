"""The lane between a source and Kafka, with a queue and a disk that refuse when they are told to."""

import errno
import os
import threading
from dataclasses import replace

import pytest

from connector.errors import SpoolError
from connector.metrics import SourceCounts
from connector.outlet import Outlet
from connector.records import RecordMaker
from connector.spool import segment as segment_module
from connector.spool.bound import Bound
from connector.spool.feeder import Feeder
from connector.spool.folder import SpoolFolder, left_behind
from connector.spool.index import Title
from connector.spool.lane import Lane, Ways
from connector.spool.metrics import Operation, SpoolCounts
from connector.spool.recovery import find_segments
from connector.spool.source_spool import SourceSpool
from connector.steps import Step
from schemas.frame import FrameDecoder, FrameLimits
from schemas.pixel_order import PixelOrder
from schemas.topics import TopicNames
from tests.support.frames import T0_US, make_frame
from tests.support.waiting import wait_until

NAMES = TopicNames("test")
TITLE = Title("test", "sb0", PixelOrder.FITS)
SECOND_US = 1_000_000
FRAME_BYTES = len(make_frame(T0_US))


class Queue:
    """Takes records while there is room; what it took is acknowledged when the test says so."""

    def __init__(self):
        self.room = 10**6
        self.open = True
        self.taken = []
        self.total = 0
        self.waits = 0

    def offer(self, record, _outlet):
        if self.room == 0:
            return False
        self.room -= 1
        self.taken.append(record)
        self.total += 1
        return True

    def wait_for_room(self):
        self.waits += 1
        threading.Event().wait(0.005)
        return self.open

    def settled(self, records, size):
        pass

    def refused(self, error, _record, _outlet):
        raise AssertionError(error)


class Bench:
    """A lane on a folder, and what is around it."""

    def __init__(self, folder, mode, *, max_bytes=10**9, segment_bytes=3 * FRAME_BYTES):
        self.queue = Queue()
        self.counts = SourceCounts("lane")
        self.outlet = Outlet("lane", NAMES, self.counts, self.queue)
        self.bound = Bound(max_bytes, FRAME_BYTES + 300)
        self.spool = SourceSpool(
            folder,
            TITLE,
            find_segments(folder, TITLE).segments,
            names=NAMES,
            max_future_s=300,
            limits=FrameLimits(),
            segment_bytes=segment_bytes,
            fsync=False,
            bound=self.bound,
        )
        self.spool_counts = SpoolCounts("lane", self.spool)
        self.stopping = threading.Event()
        self.steps = []
        ways = Ways(
            self.queue.wait_for_room,
            self.bound,
            self.stopping,
            lambda: None,
            lambda step, _source, _digest: self.steps.append(step),
            through=mode == "through",
        )
        self.lane = Lane(folder, self.spool, self.spool_counts, self.outlet, ways)

    def acknowledge(self, count=None):
        """Kafka has the first ones that it was given."""
        for _ in range(len(self.queue.taken) if count is None else count):
            record = self.queue.taken.pop(0)
            self.outlet.settle(1, len(record.value))
            record.standing.keeper.settled += 1

    def publish_in_thread(self, *records):
        def run():
            for record in records:
                self.lane.publish(record)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def feed_all(self):
        while self.lane.feed():
            pass


def made(count):
    maker = RecordMaker(TITLE, NAMES, max_future_s=300)
    records = []
    for number in range(count):
        decoder = FrameDecoder()
        decoder.feed(make_frame(T0_US + number * SECOND_US, seed=number))
        records.append(maker.frame(decoder.next_event(), T0_US + number * SECOND_US))
    return records


def values(records):
    return [record.value for record in records]


def frames_on_disk(folder):
    return sum(path.stat().st_size for path in folder.glob("*.frames")) // FRAME_BYTES


def test_through_each_is_on_disk_before_the_queue_has_it(tmp_path):
    bench = Bench(tmp_path, "through")
    records = made(4)
    for number, record in enumerate(records, start=1):
        bench.lane.publish(record)
        assert frames_on_disk(tmp_path) == number
    assert values(bench.queue.taken) == values(records)
    assert bench.steps == [Step.BEFORE_APPEND, Step.AFTER_APPEND, Step.AFTER_PRODUCE] * 4
    assert not bench.lane.feed()  # none goes twice
    bench.acknowledge(3)
    bench.lane.release()
    assert frames_on_disk(tmp_path) == 1
    bench.acknowledge()
    bench.lane.release()
    assert list(tmp_path.iterdir()) == []
    assert bench.bound.used_bytes == 0
    assert bench.spool_counts.written_records.total == 4
    assert bench.spool_counts.read_records.total == 0
    assert bench.lane.close([]) == 0


def test_overflow_writes_nothing_while_the_queue_has_room(tmp_path):
    bench = Bench(tmp_path, "overflow")
    for record in made(4):
        bench.lane.publish(record)
    assert list(tmp_path.iterdir()) == []
    assert len(bench.queue.taken) == 4


@pytest.mark.parametrize("mode", ["overflow", "through"])
def test_what_the_queue_has_no_room_for_comes_behind_in_order(tmp_path, mode):
    bench = Bench(tmp_path, mode)
    bench.queue.room = 2
    records = made(10)
    for record in records[:6]:
        bench.lane.publish(record)
    assert values(bench.queue.taken) == values(records[:2])
    bench.queue.room = 1
    bench.lane.publish(records[6])  # there is room, but others stand before it
    assert len(bench.queue.taken) == 2
    bench.feed_all()
    bench.queue.room = 100
    bench.feed_all()
    bench.lane.publish(records[7])
    assert values(bench.queue.taken) == values(records[:8])
    assert bench.spool_counts.read_records.total == 5
    bench.acknowledge()
    bench.lane.release()
    for record in records[8:]:
        bench.lane.publish(record)
    bench.acknowledge()
    bench.lane.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["overflow", "through"])
def test_a_stop_keeps_what_is_not_acknowledged_in_order(tmp_path, mode):
    """Memory before disk, disk before memory again: the next run sends all as it was read."""
    bench = Bench(tmp_path, mode)
    records = made(12)
    bench.queue.room = 3
    for record in records[:6]:
        bench.lane.publish(record)
    bench.queue.room = 100
    bench.feed_all()
    for record in records[6:9]:
        bench.lane.publish(record)
    bench.queue.room = 0
    bench.stopping.set()
    for record in records[9:]:
        bench.lane.publish(record)
    bench.acknowledge(1)
    unacknowledged = list(reversed(bench.queue.taken))  # a purge gives them back in any order
    assert bench.lane.close(unacknowledged) == 0
    again = Bench(tmp_path, mode)
    again.feed_all()
    sent = values(again.queue.taken)
    assert sent[-11:] == values(records[1:])
    assert sent[: len(sent) - 11] in ([], values(records[:1]))
    assert again.lane.close(again.queue.taken) == 0


@pytest.mark.parametrize("mode", ["overflow", "through"])
def test_where_all_is_full_the_source_waits(tmp_path, mode):
    bench = Bench(tmp_path, mode, max_bytes=5 * (FRAME_BYTES + 300))
    bench.queue.room = 1
    records = made(12)
    thread = bench.publish_in_thread(*records)
    wait_until(lambda: bench.counts.back_pressure_s.total > 0.4, "back pressure")
    assert thread.is_alive()
    on_disk = frames_on_disk(tmp_path)
    assert 3 <= on_disk <= 5
    assert bench.bound.used_bytes <= bench.bound.max_bytes
    bench.queue.room = 100
    while thread.is_alive():
        bench.acknowledge()
        bench.lane.feed()
        bench.lane.release()
    thread.join()
    bench.feed_all()
    bench.acknowledge()
    bench.lane.release()
    assert bench.queue.total == 12
    assert bench.bound.used_bytes == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("mode", ["overflow", "through"])
def test_a_disk_that_refuses_is_waited_for(tmp_path, monkeypatch, mode, number):
    """A part of the frame is taken, then the error comes; afterwards it stands there once and whole."""
    bench = Bench(tmp_path, mode)
    bench.queue.room = 1
    broken = threading.Event()
    pwrite = os.pwrite

    def refusing(descriptor, data, offset):
        if not broken.is_set():
            return pwrite(descriptor, data, offset)
        if len(data) > 1000:
            with memoryview(data) as whole:
                return pwrite(descriptor, whole[:1000], offset)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(segment_module.os, "pwrite", refusing)
    records = made(6)
    for record in records[:3]:
        bench.lane.publish(record)
    broken.set()
    thread = bench.publish_in_thread(*records[3:])
    wait_until(lambda: bench.spool_counts.disk_errors[Operation.WRITE].total >= 2, "errors to be counted")
    assert thread.is_alive()
    assert bench.counts.back_pressure_s.total > 0
    broken.clear()
    thread.join(30)
    assert not thread.is_alive()
    assert bench.lane.close(bench.queue.taken) == 0
    again = Bench(tmp_path, mode)
    again.feed_all()
    assert values(again.queue.taken) == values(records)


def test_what_no_place_was_found_for_at_the_end_is_told(tmp_path, monkeypatch):
    bench = Bench(tmp_path, "through")

    def refusing(_descriptor, _data, _offset):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(segment_module.os, "pwrite", refusing)
    bench.queue.open = False
    bench.stopping.set()
    bench.lane.publish(made(1)[0])
    assert bench.outlet.waiting_records == 1
    assert bench.lane.close([]) == 1


def test_a_disk_that_cannot_be_read_or_deleted_from_is_waited_for(tmp_path, monkeypatch):
    bench = Bench(tmp_path, "through")
    bench.queue.room = 0
    records = made(3)
    for record in records:
        bench.lane.publish(record)
    bench.queue.room = 10
    preadv, unlink = os.preadv, type(tmp_path).unlink

    def refusing(*_args, **_named):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("connector.spool.reader.os.preadv", refusing)
    assert not bench.lane.feed()
    assert bench.lane.backlog
    monkeypatch.setattr("connector.spool.reader.os.preadv", preadv)
    wait_until(bench.lane.feed, "another attempt")
    bench.feed_all()
    assert values(bench.queue.taken) == values(records)
    bench.acknowledge()
    monkeypatch.setattr(type(tmp_path), "unlink", refusing)
    bench.lane.release()
    assert frames_on_disk(tmp_path) == 3
    assert bench.bound.used_bytes > 0
    monkeypatch.setattr(type(tmp_path), "unlink", unlink)
    bench.lane.release()
    assert bench.bound.used_bytes == 0
    errors = bench.spool_counts.disk_errors
    assert (errors[Operation.READ].total, errors[Operation.DELETE].total) == (1, 1)
    assert bench.lane.close([]) == 0


def test_damage_is_counted_and_rejected(tmp_path):
    bench = Bench(tmp_path, "through")
    bench.queue.room = 0
    for record in made(2):
        bench.lane.publish(record)
    (path,) = tmp_path.glob("*.frames")
    with path.open("r+b") as file:
        file.seek(FRAME_BYTES - 4)
        file.write(b"\xff\xff\xff\xff")
    bench.queue.room = 10
    bench.feed_all()
    assert [record.topic for record in bench.queue.taken] == [NAMES.rejects, NAMES.raw]
    assert bench.spool_counts.damaged_bytes.total == FRAME_BYTES
    assert bench.counts.rejects == 1


def test_the_feeder_sends_and_deletes(tmp_path):
    bench = Bench(tmp_path, "through")
    bench.queue.room = 0
    for record in made(5):
        bench.lane.publish(record)
    feeder = Feeder((bench.lane,), threading.Event(), bench.queue.wait_for_room)
    feeder.start()
    try:
        bench.queue.room = 10
        wait_until(lambda: bench.queue.total == 5, "all to be sent")
        bench.acknowledge()
        wait_until(lambda: list(tmp_path.iterdir()) == [], "all to be deleted")
        assert feeder.heartbeat.problem() is None
        assert feeder.failure is None
    finally:
        feeder.close()


def test_the_bound():
    bound = Bound(100, 30)
    assert bound.room
    bound.add(70)
    assert bound.room
    bound.add(1)
    assert not bound.room
    bound.add(-1)
    assert bound.room


def test_a_folder_is_one_connectors(tmp_path):
    first = SpoolFolder(tmp_path / "new" / "spool")
    assert first.of_source("..").parent == first.path  # a name is no way out
    with pytest.raises(SpoolError, match=rf"is used by another connector \(process {os.getpid()} on "):
        SpoolFolder(first.path)
    first.of_source("sb0").joinpath("1.frames").touch()
    assert first.sources() == ["..", "sb0"]
    assert list(left_behind(first.path)) == ["sb0"]
    first.close()
    SpoolFolder(first.path).close()


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match=r"can't be used \(TRAPLINE_SPOOL_DIR\): File exists"):
        SpoolFolder(tmp_path / "file")


def test_standing_is_the_only_thing_that_is_added(tmp_path):
    bench = Bench(tmp_path, "through")
    (record,) = made(1)
    bench.lane.publish(record)
    (taken,) = bench.queue.taken
    assert taken.value is record.value
    assert replace(taken, standing=None).headers is record.headers
