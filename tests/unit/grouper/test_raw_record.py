"""A raw record decoded on arrival is encoded inside a transaction, where it may not fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grouper.raw_record import decode_record, read_head
from schemas.digest import frame_digest
from schemas.errors import SchemaError
from schemas.fits_image import decode_image
from schemas.record_headers import RawHeaders
from schemas.timestamp import timestamp_key
from schemas.window import PixelOrder, decode_window
from tests.support.frames import hostile_frames, make_frame

AT_US = 1_795_428_000_000_000

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=80)
KEYWORDS = ["CONTINUE", "RESTFRQ ", "EXTEND  ", "CHECKSUM", "BZERO   ", "TFORM12 ", "COMMENT ", "        "]
CARDS = st.one_of(
    PRINTABLE, st.builds("{}= {}".format, st.sampled_from(KEYWORDS), PRINTABLE.filter(lambda t: len(t) < 60))
).map(lambda text: text[:80].ljust(80).encode())


def decoded(frame: bytes, order: PixelOrder = PixelOrder.FITS):
    headers = RawHeaders("t", "sb0", AT_US, frame_digest(frame), AT_US, order)
    return decode_record(read_head(7, 0, timestamp_key(AT_US), headers.encode()), frame)


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
