"""What is seen in a record's bytes, by frames that were built without schemas."""

import numpy as np
import pytest

from audit.findings import FindingKind
from audit.inspection import digest_bytes, inspect_image, inspect_window
from schemas.digest import frame_digest
from schemas.errors import RecordHeaderError
from schemas.fits_image import encode_image
from schemas.pixel_order import PixelOrder
from schemas.record_headers import ImageHeaders, RawHeaders
from schemas.timestamp import timestamp_key
from schemas.window import decode_window
from tests.support.frames import T0_US, make_frame

FRAME = make_frame(T0_US, shape=(5, 7))
KEY = timestamp_key(T0_US)


def raw_headers(frame=FRAME, order=PixelOrder.FITS):
    return RawHeaders("p", "sb0", T0_US, frame_digest(frame), T0_US, order).encode()


def image_headers():
    return ImageHeaders(
        prefix="p",
        source="sb0",
        timestamp_us=T0_US,
        group_id="g",
        index=0,
        size=1,
        expected=1,
        complete=True,
        missing=(),
        revision=1,
        receive_time_us=T0_US,
        pixel_order=PixelOrder.FITS,
        digest=frame_digest(FRAME),
        raw_offset=3,
        frequency_hz=6e7,
    ).encode()


IMAGE = encode_image(decode_window(FRAME))


def test_a_frame_and_its_image_have_the_same_pixels():
    window = inspect_window(3, 7, KEY, raw_headers(), FRAME, pixels=True)
    image = inspect_image(9, KEY, image_headers(), IMAGE, pixels=True)
    assert window.digest_true
    assert window.problem is None
    assert image.problems == ()
    assert window.pixels == image.pixels
    assert window.digest == image.digest == digest_bytes(frame_digest(FRAME))


def test_transposed_pixels_are_seen_in_fits_order():
    pixels = np.arange(35, dtype=np.float32).reshape(5, 7)
    plain = make_frame(T0_US, shape=(5, 7), pixels=pixels)
    turned = make_frame(T0_US, shape=(5, 7), pixels=pixels, pixel_order="transposed")
    seen = [
        inspect_window(0, 7, KEY, raw_headers(frame, order), frame, pixels=True).pixels
        for frame, order in ((plain, PixelOrder.FITS), (turned, PixelOrder.TRANSPOSED))
    ]
    assert plain != turned
    assert seen[0] == seen[1]


def test_each_bit_of_a_pixel_counts():
    pixels = np.zeros((5, 7), dtype=np.float32)
    signed = pixels.copy()
    signed[4, 6] = -0.0
    seen = {
        inspect_window(
            0, 7, KEY, raw_headers(), make_frame(T0_US, shape=(5, 7), pixels=each), pixels=True
        ).pixels
        for each in (pixels, signed)
    }
    assert len(seen) == 2


def test_without_pixels_nothing_but_the_digest_is_looked_at():
    assert inspect_window(3, 7, KEY, raw_headers(), FRAME, pixels=False).pixels is None
    assert inspect_image(3, KEY, image_headers(), IMAGE[:-1], pixels=False).problems == ()


@pytest.mark.parametrize(
    ("key", "headers", "value", "kind"),
    [
        (KEY, [("ce_type", b"other")], FRAME, FindingKind.UNREADABLE),
        (KEY, raw_headers(), None, FindingKind.UNREADABLE),
        (KEY, raw_headers(), FRAME[:-4], FindingKind.UNREADABLE),
        (None, raw_headers(), FRAME, FindingKind.KEY),
        (timestamp_key(T0_US + 1), raw_headers(), FRAME, FindingKind.KEY),
        (KEY, raw_headers(), make_frame(T0_US + 1, shape=(5, 7)), FindingKind.KEY),
    ],
)
def test_a_raw_record_that_cannot_be_a_member(key, headers, value, kind):
    fact = inspect_window(3, 7, key, headers, value, pixels=True)
    assert fact.problem is not None
    assert fact.problem.kind is kind


def test_a_frame_of_another_digest():
    assert not inspect_window(3, 7, KEY, raw_headers(b"other"), FRAME, pixels=True).digest_true


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (IMAGE.replace(b"AARTFAAC", b"AARTFAAX"), FindingKind.CHECKSUM),
        (IMAGE[:-8] + b"12345678", FindingKind.CHECKSUM),
        (IMAGE.replace(b"DATASUM ", b"DATASUX "), FindingKind.CHECKSUM),
        (IMAGE.replace(b"CHECKSUM", b"CHECKSUX"), FindingKind.CHECKSUM),
        (IMAGE + b" ", FindingKind.CHECKSUM),
        (b"\xff" + IMAGE, FindingKind.UNREADABLE),
        (None, FindingKind.UNREADABLE),
        (IMAGE.replace(b"2026-11-23", b"2026-11-24"), FindingKind.KEY),
    ],
)
def test_an_image_that_is_not_what_was_published(value, kind):
    fact = inspect_image(9, KEY, image_headers(), value, pixels=True)
    assert kind in [problem.kind for problem in fact.problems]


def test_an_image_of_nobody():
    with pytest.raises(RecordHeaderError):
        inspect_image(9, KEY, None, IMAGE, pixels=True)
