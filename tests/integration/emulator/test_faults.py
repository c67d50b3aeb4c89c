import time

import pytest

from emulator.misbehaviour import Fault
from schemas.digest import frame_digest
from schemas.window import decode_window
from tests.support.frame_reader import FrameReader
from tests.support.waiting import wait_until

STEPS = 20
CONNECTION_FAULTS = {Fault.CUT, Fault.DEAD, Fault.STALL}


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in CONNECTION_FAULTS])
def test_good_frames_arrive_whole_whatever_is_between_them(emulate, readers, truth, truth_file, fault):
    emulator = emulate(sources=3, rate="max", frames=STEPS, truth=truth_file, misbehave=f"{fault}:every=4")
    connected = readers(emulator)
    for reader in connected.values():
        reader.wait_for_end()
    emulator.wait(30)
    lines = truth()
    good = {(line["source"], line["digest"]) for line in lines if "fault" not in line}
    arrived = {(name, frame_digest(frame)) for name, reader in connected.items() for frame in reader.frames}
    assert good <= arrived
    faulty = [line for line in lines if "fault" in line]
    assert {line["fault"] for line in faulty} <= {fault}
    assert emulator.counts.faults == len(faulty)
    replaced = {
        Fault.GARBAGE: 0, Fault.DUPLICATE: 0, Fault.REVERSED: 0, Fault.LAG: 0, Fault.SWAP: 0,
        Fault.NAN_PIXELS: 0,
    }.get(fault, STEPS // 4)  # fmt: skip
    assert len(good) == 3 * STEPS - replaced


def test_a_stalled_frame_comes_in_two_parts(emulate, readers, truth, truth_file):
    emulator = emulate(
        sources=1, size=64, rate="max", frames=2, truth=truth_file, misbehave="stall:every=2:seconds=0.5"
    )
    (reader,) = readers(emulator).values()
    reader.wait_for(1)
    began_s = time.monotonic()
    assert len(reader.wait_for(2)) == 2
    assert time.monotonic() - began_s > 0.3
    assert [line.get("oddity") for line in truth()] == [None, "stall"]
    assert not reader.wait_for_end()[2:]


def test_a_client_that_hangs_up_in_a_stall_never_had_the_frame(emulate, stack, truth, truth_file):
    emulator = emulate(
        sources=1,
        rate=100,
        frames=3,
        wait_for_clients=1,
        truth=truth_file,
        misbehave="stall:every=1:seconds=60",
    )
    (source,) = emulator.sources
    reader = stack.enter_context(FrameReader(source.host, source.port))
    wait_until(lambda: emulator.counts.steps == 3, "three steps")
    reader.close()
    assert emulator.wait(30)
    assert truth() == []
    assert emulator.counts.frames_unseen == 3


def test_a_cut_connection_ends_inside_a_frame_and_can_be_made_again(emulate, stack, truth, truth_file):
    emulator = emulate(sources=1, size=64, rate="max", frames=6, truth=truth_file, misbehave="cut:every=3")
    (source,) = emulator.sources
    first = stack.enter_context(FrameReader(source.host, source.port))
    assert len(first.wait_for_end()) == 2
    assert [event.reason for event in first.skipped] == ["incomplete"]
    second = stack.enter_context(FrameReader(source.host, source.port))
    assert len(second.wait_for_end()) == 2
    assert emulator.wait(30)
    assert [line.get("fault") for line in truth()] == [None, None, "cut", None, None, "cut"]


def test_a_dead_source_hangs_up_for_good_and_the_others_go_on(emulate, readers):
    emulator = emulate(sources=3, rate="max", frames=STEPS, misbehave="dead:every=5:source=sb1")
    received = {name: len(reader.wait_for_end()) for name, reader in readers(emulator).items()}
    assert received == {"sb0": STEPS, "sb1": 5, "sb2": STEPS}
    dead = emulator.sources[1]
    with pytest.raises(ConnectionRefusedError):
        FrameReader(dead.host, dead.port)


def test_swapped_frames_leave_their_source_out_of_order(emulate, readers):
    emulator = emulate(sources=2, rate="max", frames=9, misbehave="swap:every=4")
    received = {name: reader.wait_for_end() for name, reader in readers(emulator).items()}
    stamps = {
        name: [decode_window(frame).timestamp_us for frame in frames] for name, frames in received.items()
    }
    assert stamps["sb0"] == sorted(stamps["sb0"])
    assert stamps["sb1"] != sorted(stamps["sb1"])
    assert sorted(stamps["sb1"]) == stamps["sb0"]


def test_several_faults_share_a_run(emulate, readers, truth, truth_file):
    faults = "garbage:every=3:source=sb0,wrong-magic:every=5:source=sb1,silent:every=7"
    emulator = emulate(sources=3, rate="max", frames=STEPS, truth=truth_file, misbehave=faults)
    for reader in readers(emulator).values():
        reader.wait_for_end()
    emulator.wait(30)
    found = [(line["source"], line["fault"]) for line in truth() if "fault" in line]
    assert found.count(("sb0", "garbage")) == 6
    assert found.count(("sb1", "wrong-magic")) == 4
    assert sum(line["source"] == "sb2" for line in truth()) == STEPS - 2
