import socket
from itertools import pairwise

import numpy as np
import pytest
from prometheus_client import REGISTRY

from schemas.digest import frame_digest
from schemas.pixel_order import PixelOrder
from schemas.timestamp import format_timestamp, parse_timestamp
from schemas.window import decode_window
from tests.support.frame_reader import FrameReader
from tests.support.waiting import wait_until


def digests(frames):
    return [frame_digest(frame) for frame in frames]


def test_clients_get_every_frame_then_the_end_and_the_truth_says_so(emulate, readers, truth, truth_file):
    emulator = emulate(sources=3, rate="max", frames=20, truth=truth_file)
    received = {name: reader.wait_for_end() for name, reader in readers(emulator).items()}
    assert emulator.wait(20)
    lines = truth()
    assert len(lines) == 60
    for name, frames in received.items():
        own = [line for line in lines if line["source"] == name]
        assert digests(frames) == [line["digest"] for line in own]
        assert [len(frame) for frame in frames] == [line["bytes"] for line in own]
        windows = [decode_window(frame) for frame in frames]
        assert [format_timestamp(window.timestamp_us) for window in windows] == [
            line["timestamp"] for line in own
        ]
        assert {window.frequency_hz for window in windows} == {6e6 + 5e5 * int(name[2:])}
        assert windows[0].cards.get_str("RESTFREQ") == str(6_000_000 + 500_000 * int(name[2:]))
        assert all(window.shape == (12, 16) for window in windows)
        for before, after in pairwise(windows):
            assert not np.array_equal(before.pixels, after.pixels)
    assert emulator.counts.frames_sent == 60
    assert emulator.counts.bytes_sent == sum(len(frame) for frames in received.values() for frame in frames)


def test_sources_share_timestamps_which_rise(emulate, readers, truth, truth_file):
    emulator = emulate(sources=3, rate="max", frames=50, truth=truth_file)
    readers(emulator)
    emulator.wait(20)
    stamps = [line["timestamp"] for line in truth()]
    steps = [stamps[index : index + 3] for index in range(0, len(stamps), 3)]
    assert all(len(set(step)) == 1 for step in steps)  # a step is whole before the next one begins
    firsts = [parse_timestamp(step[0]) for step in steps]
    assert all(before < after for before, after in pairwise(firsts))


def test_all_clients_of_a_source_get_the_same(emulate, readers):
    emulator = emulate(sources=2, rate="max", frames=10, wait_for_clients=3)
    groups = [readers(emulator) for _ in range(3)]
    received = [{name: reader.wait_for_end() for name, reader in group.items()} for group in groups]
    assert received[0] == received[1] == received[2]
    assert all(len(frames) == 10 for frames in received[0].values())


def test_a_client_that_does_not_read_holds_the_flood_and_nothing_is_lost(emulate, stack):
    emulator = emulate(sources=2, size=1024, rate="max", frames=12, ring=2)
    first, second = emulator.sources
    lazy = stack.enter_context(socket.socket())
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    lazy.connect((second.host, second.port))
    eager = stack.enter_context(FrameReader(first.host, first.port))
    eager.wait_for(1)
    # The connection takes at most one frame that nobody reads, so the other source cannot get far ahead.
    assert not emulator.wait(1.0)
    assert len(eager.frames) < 6
    expected = 12 * len(eager.frames[0])
    count = 0
    while part := lazy.recv(1 << 20):
        count += len(part)
    assert count == expected
    assert len(eager.wait_for_end()) == 12
    assert emulator.counts.client_frames_lost == 0


def test_a_flood_waits_for_clients_also_for_one_that_comes_back(emulate, stack):
    emulator = emulate(sources=2, rate="max")
    first, second = emulator.sources
    leaver = stack.enter_context(FrameReader(first.host, first.port))
    assert emulator.counts.steps == 0  # the second source has nobody yet
    stayer = stack.enter_context(FrameReader(second.host, second.port))
    leaver.wait_for(3)
    leaver.close()
    wait_until(
        lambda: REGISTRY.get_sample_value("trapline_emulator_clients", {"source": "sb0"}) == 0, "nobody"
    )
    steps = emulator.counts.steps
    assert not emulator.wait(0.2)
    assert emulator.counts.steps <= steps + 1  # the step under way ends
    back = stack.enter_context(FrameReader(first.host, first.port))
    stayer.wait_for(steps + 10)
    back.wait_for(3)
    assert not back.skipped


@pytest.mark.parametrize("order", list(PixelOrder))
def test_pixels_are_packed_as_asked_and_mean_the_same(emulate, readers, order):
    def first_image(pixel_order):
        emulator = emulate(
            sources=1,
            size="20x13",
            rate="max",
            frames=1,
            pixel_order=pixel_order,
            start="2026-01-01T00:00:00",
        )
        (reader,) = readers(emulator).values()
        (source,) = emulator.sources
        (frame,) = reader.wait_for_end()
        return frame, decode_window(frame, source.pixel_order).pixels

    plain_frame, plain = first_image(PixelOrder.FITS)
    frame, image = first_image(order)
    assert np.array_equal(image, plain)
    assert (frame == plain_frame) == (order is PixelOrder.FITS)


def test_start_and_cadence_make_a_run_repeatable(emulate, readers):
    def run():
        emulator = emulate(
            sources=2, rate="max", frames=6, start="2026-01-01T00:00:00", cadence_s=0.25, seed=7
        )
        return {name: reader.wait_for_end() for name, reader in readers(emulator).items()}

    first = run()
    assert run() == first
    stamps = [format_timestamp(decode_window(frame).timestamp_us) for frame in first["sb1"]]
    assert stamps[:2] == ["2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.250000Z"]


def test_addresses_can_be_pasted(emulate, tmp_path):
    file = tmp_path / "ports"
    emulator = emulate(sources=2, ports_file=file, pixel_order="transposed")
    ports = [source.port for source in emulator.sources]
    assert file.read_text().strip() == ",".join(
        f"sb{index}=tcp://127.0.0.1:{port}?pixel_order=transposed" for index, port in enumerate(ports)
    )
    assert len(set(ports)) == 2
