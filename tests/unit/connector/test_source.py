import itertools
import socket
import threading
import time

import pytest

from connector.metrics import Ending
from emulator.frame_server import FrameServer
from runtime.image_server.script import Close, Pause, Reset, Send
from schemas.errors import RejectReason
from tests.support.frames import (
    T0_US,
    hostile_frames,
    make_cards,
    make_frame,
    pack_frame,
)
from tests.support.reader import ReadSource
from tests.support.waiting import timeout_s, wait_until

SECOND_US = 1_000_000
FRAMES = [make_frame(T0_US + number * SECOND_US, seed=number) for number in range(6)]


def ended(read: ReadSource, ending: Ending) -> int:
    return int(read.counts.endings[ending].total)


def settled(read: ReadSource) -> None:
    """Every byte that was read has gone to raw or to rejects, and those of no whole frame are counted."""
    read.end()
    rejected = read.rejects
    read_bytes = int(read.counts.read_bytes.total)
    assert read_bytes == sum(map(len, read.frames)) + sum(each.total_bytes for each in rejected)
    skipped = sum(each.total_bytes for each in rejected if each.digest is None)
    assert read.counts.skipped_bytes.total == skipped
    assert read.counts.frames.total == len(read.frames) + sum(each.digest is not None for each in rejected)


def test_frames_are_handed_over_verbatim_and_in_order():
    with FrameServer(FRAMES) as server, ReadSource(server.port) as read:
        before_us = time.time_ns() // 1000
        read.wait_for(6)
        assert read.frames == FRAMES
        assert read.reader.problem is None
        assert read.counts.frames.total == 6
        headers = [record.headers for record in read.records]
        assert all(
            before_us - 60 * SECOND_US < each.receive_time_us <= time.time_ns() // 1000 for each in headers
        )
        settled(read)
        assert ended(read, Ending.STOPPED) == 1


def test_a_server_is_awaited_until_it_has_accepted_or_failed_once():
    with socket.socket() as slow:
        slow.bind(("127.0.0.1", 0))
        slow.listen(0)  # room for one: whoever comes next is not answered
        port = slow.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), ReadSource(port, connect_timeout_s=0.5) as read:
            assert read.reader.untried
            wait_until(lambda: not read.reader.untried, "the time-out")
            assert "can't connect" in read.reader.problem
    with FrameServer(FRAMES[:1]) as server, ReadSource(server.port) as read:
        read.wait_for(1)
        assert not read.reader.untried
        server.stop()
        wait_until(lambda: read.reader.problem, "the end of the connection")
        assert not read.reader.untried


def test_any_chunking_gives_the_same():
    stream = b"".join(FRAMES)
    cuts = [0, 1, 7, 8, 16, 511, 512, 513, 2000, len(FRAMES[0]) - 1, len(FRAMES[0]), len(stream)]
    chunks = [stream[start:end] for start, end in itertools.pairwise(cuts)]
    script = [step for chunk in chunks for step in (chunk, Pause(0.01))]
    with FrameServer(script) as server, ReadSource(server.port) as read:
        read.wait_for(6)
        assert read.frames == FRAMES
        settled(read)


def test_a_large_frame():
    frame = make_frame(T0_US, shape=(1024, 1024))
    with FrameServer([frame, FRAMES[0]]) as server, ReadSource(server.port) as read:
        read.wait_for(2)
        assert read.frames == [frame, FRAMES[0]]


@pytest.mark.parametrize("name", list(hostile_frames()))
def test_good_frames_go_on_after_a_hostile_one(name):
    hostile = hostile_frames()[name]
    with FrameServer([FRAMES[0], hostile, *FRAMES[1:]]) as server, ReadSource(server.port) as read:
        wait_until(lambda: read.records and read.records[-1].value == FRAMES[-1], "the last good frame")
        values = [value for value in read.frames if value != hostile]
        assert values == FRAMES
        taken = sum(value == hostile for value in read.frames)
        # It is rejected here, or it has a timestamp and the grouper will say what is wrong with it.
        assert taken + len(read.rejects) >= 1
        assert read.counts.rejects == len(read.rejects)
        assert server.connections == 1
        settled(read)


def test_bytes_between_frames_are_rejected_and_counted():
    garbage = bytes(range(1, 200)) * 10
    script = [FRAMES[0], garbage, FRAMES[1]]
    with FrameServer(script) as server, ReadSource(server.port, max_reject_bytes=100) as read:
        read.wait_for(3)
        assert read.frames == FRAMES[:2]
        (reject,) = read.rejects
        assert (reject.reason, reject.total_bytes, reject.truncated) == (
            RejectReason.BAD_MAGIC,
            len(garbage),
            True,
        )
        assert read.records[1].value == garbage[:100]
        assert read.counts.resyncs.total == 1
        assert read.counts.skipped_bytes.total == len(garbage)
        settled(read)


def test_a_far_future_frame_is_rejected_and_the_rest_goes_on():
    future = make_frame(time.time_ns() // 1000 + 3600 * SECOND_US)
    with FrameServer([future, FRAMES[0]]) as server, ReadSource(server.port) as read:
        read.wait_for(2)
        assert [reject.reason for reject in read.rejects] == [RejectReason.FAR_FUTURE]
        assert read.frames == [FRAMES[0]]


def test_a_silent_server_keeps_its_connection_and_is_shown():
    script = [FRAMES[0], Pause(1.5), FRAMES[1]]
    short = {"stall_timeout_s": 0.3, "max_frame_time_s": 0.5, "silence_warning_s": 0.5}
    with FrameServer(script) as server, ReadSource(server.port, **short) as read:
        read.wait_for(1)
        silent = read.counts.silent
        wait_until(lambda: silent._value.get() == 1, "the source to be shown as silent")
        read.wait_for(2)
        wait_until(lambda: silent._value.get() == 0, "the source not to be shown as silent any more")
        assert server.connections == 1
        assert read.counts.stalled_frames.total == 0
        assert read.counts.reconnects.total == 0


def test_a_stalled_frame_is_dropped_rejected_and_the_server_connected_anew():
    half = FRAMES[0][: len(FRAMES[0]) // 2]
    with (
        FrameServer([FRAMES[1], half], FRAMES[2:]) as server,
        ReadSource(server.port, stall_timeout_s=0.3) as read,
    ):
        read.wait_for(6)
        assert read.frames == [FRAMES[1], *FRAMES[2:]]
        (reject,) = read.rejects
        assert (reject.reason, reject.total_bytes) == (RejectReason.INCOMPLETE, len(half))
        assert read.records[1].value == half
        assert read.counts.stalled_frames.total == 1
        assert ended(read, Ending.STALLED) == 1
        assert read.counts.reconnects.total == 1
        settled(read)


def test_a_frame_that_drips_is_given_up_in_the_end():
    drops = [step for number in range(500, 700) for step in (FRAMES[0][number : number + 1], Pause(0.05))]
    script = [FRAMES[0][:500], *drops]
    with (
        FrameServer(script, [FRAMES[1]]) as server,
        ReadSource(server.port, stall_timeout_s=0.4, max_frame_time_s=0.5) as read,
    ):
        read.wait_for(2)
        assert read.frames == [FRAMES[1]]
        assert ended(read, Ending.STALLED) == 1


def test_frames_that_a_false_length_swallowed_are_found_when_it_stalls():
    """The header is consistent, but the image is larger than what the server sends."""
    liar = pack_frame(make_cards(shape=(64, 64)), b"", pixels_bytes=4 * 64 * 64)
    with (
        FrameServer([liar, FRAMES[0], FRAMES[1]], [FRAMES[2]]) as server,
        ReadSource(server.port, stall_timeout_s=0.3) as read,
    ):
        read.wait_for(4)
        assert read.frames == [FRAMES[0], FRAMES[1], FRAMES[2]]
        assert [reject.reason for reject in read.rejects] == [RejectReason.INCOMPLETE]
        settled(read)


def test_a_server_that_goes_within_a_frame():
    half = FRAMES[0][:1000]
    with FrameServer([half, Close()], [FRAMES[1]]) as server, ReadSource(server.port) as read:
        read.wait_for(2)
        assert read.frames == [FRAMES[1]]
        assert [(each.reason, each.total_bytes) for each in read.rejects] == [(RejectReason.INCOMPLETE, 1000)]
        assert ended(read, Ending.CLOSED) == 1
        settled(read)


def test_a_connection_that_breaks():
    with (
        FrameServer([FRAMES[0], Pause(0.2), Reset()], [FRAMES[1]]) as server,
        ReadSource(server.port) as read,
    ):
        read.wait_for(2)
        assert read.frames == FRAMES[:2]
        assert ended(read, Ending.BROKEN) == 1
        settled(read)


def test_a_server_that_restarts_is_found_again():
    with FrameServer(FRAMES[:2]) as server, ReadSource(server.port) as read:
        read.wait_for(2)
        port = server.port
        server.stop()
        wait_until(lambda: read.counts.connect_failures.total >= 3, "attempts in vain")
        assert f"can't connect to tcp://127.0.0.1:{port}: Connection refused" in read.reader.problem
        with FrameServer(FRAMES[2:], port=port):
            read.wait_for(6)
            assert read.frames == FRAMES
            assert read.reader.problem is None
        settled(read)


def test_attempts_are_spread_and_a_good_frame_starts_them_anew():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens: refused
        with ReadSource(taken.getsockname()[1], reconnect_min_s=0.02, reconnect_max_s=0.3) as read:
            wait_until(lambda: read.reader._backoff.failures >= 6, "attempts in vain")
    with FrameServer([FRAMES[0], Close()]) as server, ReadSource(server.port) as read:
        wait_until(lambda: server.connections >= 10, "ten connections")
        assert read.reader._backoff.failures <= 1


def test_a_stream_without_frames_is_given_up():
    noise = bytes(range(1, 251)) * 400
    with (
        FrameServer([noise], [FRAMES[0]]) as server,
        ReadSource(server.port, max_resync_bytes=50_000) as read,
    ):
        wait_until(lambda: read.frames, "the frame of the next connection")
        assert ended(read, Ending.NO_FRAME) == 1
        assert {reject.reason for reject in read.rejects} == {RejectReason.BAD_MAGIC}
        assert read.rejects[0].total_bytes == 50_000
        assert read.frames == [FRAMES[0]]
        settled(read)


def test_nothing_is_read_while_nothing_is_taken():
    """What the kernel has taken from the server stays far below what the server would send."""
    frame = make_frame(T0_US, shape=(512, 512))
    accepted = []

    class Receipt:
        def sent(self):
            accepted.append(1)

        def lost(self):
            raise AssertionError("the server lost a frame")

    sends = [Send.of(frame, receipt=Receipt()) for _ in range(200)]
    with FrameServer(sends) as server, ReadSource(server.port, gate_open=False) as read:
        wait_until(lambda: accepted, "the first frame")
        settle = threading.Event()
        before = -1
        while len(accepted) != before:  # until the kernel takes no more
            before = len(accepted)
            settle.wait(0.5)
        assert len(accepted) < 60
        assert read.records == []
        read.gate.set()
        read.wait_for(200)
        assert read.frames == [frame] * 200


def test_waiting_for_kafka_is_no_stall():
    """A frame's head was read before the queue was full; its rest waits in the kernel meanwhile."""
    with (
        FrameServer([FRAMES[0] + FRAMES[1][:1000], Pause(0.1), FRAMES[1][1000:]]) as server,
        ReadSource(server.port, gate_open=False, stall_timeout_s=0.5, max_frame_time_s=0.5) as read,
    ):
        wait_until(lambda: read.counts.frames.total, "the first frame")
        threading.Event().wait(1.0)
        read.gate.set()
        read.wait_for(2)
        assert read.frames == FRAMES[:2]
        assert read.counts.stalled_frames.total == 0


def test_a_stop_within_a_frame_accounts_for_it():
    with FrameServer([FRAMES[0], FRAMES[1][:700]]) as server, ReadSource(server.port) as read:
        wait_until(lambda: read.counts.read_bytes.total == len(FRAMES[0]) + 700, "all bytes")
        settled(read)
        assert [reject.total_bytes for reject in read.rejects] == [700]
        assert read.reader.problem == "not connected: asked to stop"


def test_a_connect_under_way_does_not_hold_up_a_stop():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = []
        for _ in range(4):  # the backlog is full: the kernel leaves the next one without an answer
            filler = socket.socket()
            filler.settimeout(0)
            filler.connect_ex(deaf.getsockname())
            fillers.append(filler)
        try:
            with ReadSource(deaf.getsockname()[1], connect_timeout_s=30.0) as read:
                began_s = time.monotonic()
                read.end()
                assert time.monotonic() - began_s < timeout_s(5)
        finally:
            for filler in fillers:
                filler.close()


def test_an_error_of_ours_is_told_and_not_swallowed():
    with FrameServer([FRAMES[0]]) as server:
        read = ReadSource(server.port)
        read.gate.wait = lambda: 1 / 0
        read.reader.start()
        wait_until(lambda: read.reader.failure is not None, "the failure")
        assert isinstance(read.reader.failure, ZeroDivisionError)
        assert read.reader.wait_until_idle(0)
        assert "failed: division by zero" in read.reader.problem
