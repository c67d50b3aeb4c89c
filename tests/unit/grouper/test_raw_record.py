"""A raw record decoded on arrival is encoded inside a transaction, where it may not fail."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grouper.encoding import Encoder
from grouper.raw_record import decode_record, read_head
from schemas.digest import frame_digest
from schemas.errors import SchemaError
from schemas.fits_image import decode_image, encode_image
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders
from schemas.timestamp import timestamp_key
from schemas.window import decode_window
from tests.support.frames import hostile_frames, make_frame

AT_US = 1_795_428_000_000_000

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=80)
KEYWORDS = ["CONTINUE", "RESTFRQ ", "EXTEND  ", "CHECKSUM", "BZERO   ", "TFORM12 ", "COMMENT ", "        "]
CARDS = st.one_of(
    PRINTABLE, st.builds("{}= {}".format, st.sampled_from(KEYWORDS), PRINTABLE.filter(lambda t: len(t) < 60))
).map(lambda text: text[:80].ljust(80).encode())


def decoded(frame: bytes, order: PixelOrder = PixelOrder.FITS, **options):
    headers = RawHeaders("t", "sb0", AT_US, frame_digest(frame), AT_US, order)
    return decode_record(read_head(7, 0, timestamp_key(AT_US), headers.encode()), frame, **options)


@pytest.mark.parametrize("order", list(PixelOrder))
@given(cards=st.lists(CARDS, max_size=8))
def test_a_record_that_was_decoded_can_be_encoded(order, cards):
    frame = make_frame(AT_US, shape=(5, 7), pixel_order=order.value, extra_cards=cards)
    try:
        record = decoded(frame, order)
    except SchemaError:
        return  # refused on arrival, when it can still be rejected
    _header, pixels = decode_image(record.image())
    assert pixels.tobytes() == decode_window(frame, order).pixels.astype("<f4").tobytes()


@pytest.mark.parametrize("frame", hostile_frames().values(), ids=hostile_frames().keys())
def test_a_frame_that_cannot_be_used_is_refused_on_arrival(frame):
    with pytest.raises(SchemaError):
        decoded(frame)


def test_a_record_counts_as_its_frame():
    frame = make_frame(AT_US)
    assert decoded(frame).size == len(frame)


@pytest.mark.parametrize("shape", [(16, 16), (512, 256)], ids=["when asked", "on the encoder's thread"])
@pytest.mark.parametrize("order", list(PixelOrder))
def test_an_encoder_makes_the_same_file(order, shape):
    frame = make_frame(AT_US, shape=shape, pixel_order=order.value)
    encoder = Encoder()
    record = decoded(frame, order, encode=encoder.start)
    assert record.image() == record.image() == encode_image(decode_window(frame, order))
    encoder.close()


def test_a_frame_is_let_go_when_its_image_is_encoded():
    frame = make_frame(AT_US, shape=(512, 256))
    held = sys.getrefcount(frame)
    encoder = Encoder()
    record = decoded(frame, encode=encoder.start)
    record.image()
    encoder.start(decode_window(make_frame(AT_US, shape=(512, 256))))()  # the thread has gone on
    assert sys.getrefcount(frame) == held
    encoder.close()


def test_an_encoder_that_is_closed_begins_nothing_more():
    encoder = Encoder()
    encoder.close()
    with pytest.raises(RuntimeError):
        decoded(make_frame(AT_US, shape=(512, 256)), encode=encoder.start)
