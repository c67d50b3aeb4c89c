import dataclasses

import numpy as np
import pytest

from emulator.camera import ImageSize
from emulator.errors import MisbehaviourError
from emulator.frame import OutgoingFrame
from emulator.images import SkyImages
from emulator.misbehaviour import FAULTS, Fault, Misbehaviour, Misconduct
from emulator.pacing import Pace
from schemas.errors import RejectReason, SchemaError
from schemas.frame import Frame, FrameDecoder, Skipped
from schemas.pixel_order import PixelOrder
from schemas.timestamp import MAX_TIMESTAMP_US
from schemas.window import decode_window

NOW_US = 1_795_435_200_000_000
SOURCES = ("sb0", "sb1", "sb2")


@pytest.fixture(scope="module")
def images():
    images = SkyImages(1, ImageSize(12, 10), len(SOURCES), ring=2, pixel_order=PixelOrder.FITS)
    images.prepare(Pace(1.0).begin(NOW_US, 0.0))
    return images


@pytest.fixture
def frames(images):
    """Frames by step and source."""

    def frame(step: int, source: str) -> OutgoingFrame:
        exposure = images.take(step)[SOURCES.index(source)]
        return exposure.frame(source, NOW_US + step * 1_000_000)

    return frame


def wire(frame: OutgoingFrame) -> bytes:
    return frame.header + frame.text + bytes(frame.pixels)


def sent_in_step(text: str, frame: OutgoingFrame) -> list[OutgoingFrame]:
    """What a server with a fault in each step sends in place of a frame."""
    misbehaviour = dataclasses.replace(Misbehaviour.parse(text), every=1, source="all")
    return [piece.frame for piece in Misconduct([misbehaviour], SOURCES).pieces(0, frame)]


def events(*parts: bytes) -> list[Frame | Skipped]:
    decoder, found = FrameDecoder(), []
    for part in parts:
        decoder.feed(part)
        while event := decoder.next_event():
            found.append(event)
    if last := decoder.close():
        found.append(last)
    return found


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.WRONG_MAGIC, RejectReason.BAD_MAGIC),
        (Fault.LENGTH_LONG, RejectReason.LENGTH_MISMATCH),
        (Fault.LENGTH_SHORT, RejectReason.LENGTH_MISMATCH),
        (Fault.LENGTH_HUGE, RejectReason.LENGTHS_REFUSED),
        (Fault.GARBAGE, RejectReason.BAD_MAGIC),
    ],
)
def test_framing_faults_are_refused_and_the_next_frame_is_not(frames, fault, reason):
    before, after = frames(0, "sb0"), frames(2, "sb0")
    spoilt = sent_in_step(fault, frames(1, "sb0"))
    found = events(wire(before), *(wire(frame) for frame in spoilt), wire(after))
    assert isinstance(found[0], Frame)
    assert {event.reason for event in found if isinstance(event, Skipped)} == {reason}
    assert isinstance(found[-1], Frame)
    assert found[-1].data == wire(after)
    assert spoilt[0].fault == fault


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Fault.NO_DATE_OBS, RejectReason.NO_DATE_OBS), (Fault.EMPTY_IMAGE, RejectReason.EMPTY_IMAGE)],
)
def test_content_faults_are_well_framed_and_unusable(frames, fault, reason):
    (spoilt,) = sent_in_step(fault, frames(1, "sb1"))
    (event,) = events(wire(spoilt))
    assert spoilt.fault == fault
    if isinstance(event, Skipped):
        assert event.reason is reason
    else:
        with pytest.raises(SchemaError) as caught:
            decode_window(event.data)
        assert caught.value.reason is reason


def test_far_future_is_ten_years_ahead(frames):
    (spoilt,) = sent_in_step("far-future", frames(1, "sb1"))
    window = decode_window(wire(spoilt))
    assert window.timestamp_us == spoilt.timestamp_us
    assert window.timestamp_us - frames(1, "sb1").timestamp_us > 9 * 365 * 86_400_000_000
    assert window.timestamp_us < MAX_TIMESTAMP_US


def test_nan_pixels_are_a_good_frame(frames):
    (odd,) = sent_in_step("nan-pixels", frames(1, "sb1"))
    window = decode_window(wire(odd))
    assert odd.fault is None
    assert odd.oddity == "nan-pixels"
    assert np.isnan(window.pixels).sum() == window.pixels.size / 4
    assert not np.isnan(decode_window(wire(frames(1, "sb1"))).pixels).any()


def test_a_duplicate_is_the_same_frame_twice_and_only_one_counts(frames):
    first, second = sent_in_step("duplicate", frames(1, "sb1"))
    assert wire(first) == wire(second)
    assert (first.fault, second.fault) == (None, "duplicate")


def test_stall_and_cut_say_what_to_do_on_the_connection(frames):
    misconduct = Misconduct([Misbehaviour.parse("stall:every=1:source=all:seconds=2.5")], SOURCES)
    (stalled,) = misconduct.pieces(0, frames(0, "sb0"))
    assert stalled.pause_inside_s == 2.5
    misconduct = Misconduct([Misbehaviour.parse("cut:every=1:source=all")], SOURCES)
    (cut,) = misconduct.pieces(0, frames(0, "sb0"))
    assert cut.then_close
    assert wire(frames(0, "sb0")).startswith(wire(cut.frame))


def course(text: str, frames, steps: int) -> dict[str, list[int]]:
    """The steps in the order in which each source sends them."""
    misconduct = Misconduct([Misbehaviour.parse(text)], SOURCES)
    pieces = [
        piece.frame
        for step in range(steps)
        for source in misconduct.order(step)
        for piece in misconduct.pieces(step, frames(step, source))
    ] + [piece.frame for piece in misconduct.remainder()]
    return {
        source: [(frame.timestamp_us - NOW_US) // 1_000_000 for frame in pieces if frame.source == source]
        for source in SOURCES
    }


def test_a_lagging_source_sends_everything_behind_the_others(frames):
    assert course("lag:steps=2", frames, 5) == {name: [0, 1, 2, 3, 4] for name in SOURCES}
    misconduct = Misconduct([Misbehaviour.parse("lag:steps=2")], SOURCES)
    sent = [[p.frame.timestamp_us for p in misconduct.pieces(step, frames(step, "sb2"))] for step in range(4)]
    assert [len(each) for each in sent] == [0, 0, 1, 1]


def test_swapped_frames_change_places(frames):
    assert course("swap:every=3", frames, 7)["sb2"] == [0, 1, 3, 2, 4, 6, 5]


def test_swapping_each_step_still_sends_everything(frames):
    assert sorted(course("swap:every=1", frames, 6)["sb2"]) == [0, 1, 2, 3, 4, 5]


def test_a_silent_source_speaks_again(frames):
    assert course("silent:every=4:steps=2:source=sb1", frames, 9)["sb1"] == [0, 1, 2, 5, 6]


def test_a_dead_source_stays_dead():
    misconduct = Misconduct([Misbehaviour.parse("dead:every=2")], SOURCES)
    assert [misconduct.dead(step, "sb2") for step in range(4)] == [False, False, True, True]
    assert not misconduct.dead(3, "sb1")


def test_reversed_steps_begin_with_the_last_source():
    misconduct = Misconduct([Misbehaviour.parse("reversed:every=2")], SOURCES)
    assert list(misconduct.order(0)) == ["sb0", "sb1", "sb2"]
    assert list(misconduct.order(1)) == ["sb2", "sb1", "sb0"]


def test_sources_have_a_fault_in_turn_unless_one_is_named():
    one = Misbehaviour.parse("wrong-magic:every=2")
    hit = [(step, source) for step in range(8) for source in SOURCES if one.hits(step, source, SOURCES)]
    assert hit == [(1, "sb0"), (3, "sb1"), (5, "sb2"), (7, "sb0")]
    named = Misbehaviour.parse("wrong-magic:every=4:source=sb1")
    assert [(s, n) for s in range(8) for n in SOURCES if named.hits(s, n, SOURCES)] == [
        (3, "sb1"),
        (7, "sb1"),
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nonsense", "nonsense"),
        ("cut:each=3", "each"),
        ("cut:every=0", "every"),
        ("cut:every", "every"),
        ("stall:seconds=soon", "seconds"),
        ("", "garbage"),
    ],
)
def test_wrong_faults_are_named(text, part):
    with pytest.raises(MisbehaviourError, match=part):
        Misbehaviour.parse(text)


def test_every_fault_is_explained():
    assert set(FAULTS) == set(Fault)
