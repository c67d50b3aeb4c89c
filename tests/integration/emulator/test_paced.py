import math
import socket
from itertools import pairwise

import pytest
from prometheus_client import REGISTRY

from emulator.sky import sidereal_angle
from runtime.image_server.errors import PortError
from schemas.timestamp import parse_timestamp
from schemas.window import decode_window
from tests.support.frame_reader import FrameReader
from tests.support.waiting import wait_until


def metric(name: str, source: str) -> float:
    return REGISTRY.get_sample_value(f"trapline_emulator_{name}_total", {"source": source}) or 0.0


def test_steps_come_at_the_rate_and_do_not_drift(emulate, readers, truth, truth_file):
    emulator = emulate(sources=2, rate=40, frames=80, truth=truth_file)
    readers(emulator)
    assert emulator.wait(30)
    lines = [line for line in truth() if line["source"] == "sb1"]
    stamps = [parse_timestamp(line["timestamp"]) for line in lines]
    sent = [parse_timestamp(line["sent_at"]) for line in lines]
    assert {after - before for before, after in pairwise(stamps)} == {25_000}
    # How long a run takes, not when its parts come: a busy machine delays a step, but not the ones after it.
    assert (sent[-1] - sent[0]) / (stamps[-1] - stamps[0]) == pytest.approx(1, abs=0.1)
    assert sent[0] >= stamps[0]


def test_a_rate_of_one_means_whole_seconds(emulate, readers):
    emulator = emulate(sources=1, rate=1, frames=1, wait_for_clients=1)
    (reader,) = readers(emulator).values()
    (frame,) = reader.wait_for_end()
    assert decode_window(frame).timestamp_us % 1_000_000 == 0


def test_the_sky_is_that_of_the_timestamp(emulate, readers):
    emulator = emulate(sources=2, rate=20, frames=4, wait_for_clients=1)
    for reader in readers(emulator).values():
        for frame in reader.wait_for_end():
            window = decode_window(frame)
            zenith_deg = window.cards.get_float("CRVAL1")
            assert zenith_deg == pytest.approx(math.degrees(sidereal_angle(window.timestamp_us)), abs=1e-9)


def test_a_client_that_cannot_keep_up_is_disconnected_and_others_lose_nothing(emulate, readers, stack):
    dropped, lost = metric("slow_clients", "sb0"), metric("client_frames_lost", "sb0")
    # Ten frames of backlog are 0.4 s and more for the good readers, however busy the machine is.
    emulator = emulate(sources=2, size=512, rate=25, frames=50, ring=2, backlog_frames=10, wait_for_clients=1)
    source = emulator.sources[0]
    slow = stack.enter_context(socket.socket())
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    slow.connect((source.host, source.port))  # and never reads
    received = {name: reader.wait_for_end() for name, reader in readers(emulator).items()}
    emulator.wait(30)
    assert [len(frames) for frames in received.values()] == [50, 50]
    assert emulator.counts.slow_clients == 1
    assert emulator.counts.client_frames_lost >= 10
    assert metric("slow_clients", "sb0") - dropped == 1
    assert metric("client_frames_lost", "sb0") - lost == emulator.counts.client_frames_lost


def test_nobody_connected_means_unseen_frames_and_no_truth(emulate, truth, truth_file):
    before = metric("frames_unseen", "sb1")
    emulator = emulate(sources=2, rate=200, frames=10, wait_for_clients=0, truth=truth_file)
    assert emulator.wait(30)
    assert emulator.counts.frames_unseen == 20
    assert metric("frames_unseen", "sb1") - before == 10
    assert truth() == []


def test_a_late_client_gets_whole_frames_from_then_on(emulate, stack):
    emulator = emulate(sources=1, rate=50)
    (source,) = emulator.sources
    wait_until(lambda: emulator.counts.steps >= 3, "three steps")
    reader = stack.enter_context(FrameReader(source.host, source.port))
    stamps = [decode_window(frame).timestamp_us for frame in reader.wait_for(5)]
    assert {after - before for before, after in pairwise(stamps)} == {20_000}
    assert not reader.skipped


def test_stop_ends_at_a_frame_and_closes_the_stream(emulate, readers, truth, truth_file):
    emulator = emulate(sources=2, size=256, rate=100, truth=truth_file)
    connected = readers(emulator)
    connected["sb1"].wait_for(5)
    counts = emulator.stop()
    received = {name: reader.wait_for_end() for name, reader in connected.items()}
    assert all(not reader.skipped and reader.error is None for reader in connected.values())
    assert sum(map(len, received.values())) == len(truth()) == counts.frames_sent
    assert emulator.stop() == counts


def test_consecutive_ports_and_a_taken_one(emulate):
    probe = socket.create_server(("127.0.0.1", 0))
    with probe, pytest.raises(PortError, match="--port"):
        emulate(sources=1, port=probe.getsockname()[1])


def test_a_step_that_comes_late_is_counted_and_none_is_left_out(emulate, readers):
    # A hundred thousand steps a second are more than a process can send.
    emulator = emulate(sources=1, rate=100_000, frames=3000, ring=2, wait_for_clients=1, backlog_frames=5000)
    (reader,) = readers(emulator).values()
    stamps = [decode_window(frame).timestamp_us for frame in reader.wait_for_end()]
    assert {after - before for before, after in pairwise(stamps)} == {10}
    assert len(stamps) == 3000
    assert emulator.counts.late_steps > 0
