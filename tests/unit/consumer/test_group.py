import pickle
from datetime import UTC, datetime

import numpy as np
import pytest
from astropy.io import fits

from consumer.group import Image
from schemas.errors import PixelsError, SchemaError
from schemas.fits_image import encode_image
from schemas.window import decode_window
from tests.support.image_records import DIGEST, group, image_record
from tests.support.published_groups import SHAPE, START_US, frame_of, frequency_hz, pixels_of


def image(shape: tuple[int, ...] = SHAPE) -> Image:
    return Image(image_record(value=encode_image(decode_window(frame_of(START_US, "sb0", shape)))))


def test_a_group_says_what_its_headers_say():
    one = group(sources=("sb0", "sb2"), missing=("sb1",), partition=3, first_offset=40, revision=2)
    assert one.timestamp == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert one.timestamp_us == START_US
    assert (one.missing, one.expected, one.complete, one.revision) == (("sb1",), 3, False, 2)
    assert (one.partition, one.first_offset, one.last_offset) == (3, 40, 41)
    assert not one.out_of_order


def test_images_are_ordered_by_frequency():
    one = group(sources=("sb0", "sb1", "sb2"))
    assert one.sources == ("sb2", "sb1", "sb0")
    assert [each.frequency_hz for each in one.images] == sorted(map(frequency_hz, one.sources))


def test_an_image_says_where_it_came_from():
    one = Image(image_record(offset=7, index=2, size=3, source="sb1"))
    assert (one.source, one.digest, one.raw_offset, one.offset) == ("sb1", DIGEST, 107, 7)
    assert one.receive_time == datetime(2026, 11, 23, 10, 0, 0, 2, tzinfo=UTC)


def test_the_array_is_the_sent_one_native_and_writable():
    array = image().array
    assert array.shape == SHAPE
    assert array.dtype == np.float32
    assert array.dtype.isnative
    assert array.flags.writeable
    np.testing.assert_array_equal(array, pixels_of(START_US, "sb0"))


def test_further_axes_are_left_out_of_the_array_and_kept_elsewhere():
    shape = (1, 1, *SHAPE)
    one = image(shape)
    assert one.array.shape == SHAPE
    assert one.header["NAXIS"] == 4
    assert one.to_hdu().data.shape == shape
    np.testing.assert_array_equal(one.array, pixels_of(START_US, "sb0", shape)[0, 0])


def test_an_axis_of_length_one_stays_where_it_is_one_of_the_two():
    assert image((1, 8)).array.shape == (1, 8)


def test_nothing_is_decoded_until_it_is_asked_for():
    one = Image(image_record(value=b"no FITS file"))
    assert one.frequency_hz == frequency_hz("sb0")
    with pytest.raises(SchemaError):
        one.array  # noqa: B018 - asking is the test


def test_more_than_one_plane_is_no_array():
    planes = np.zeros((2, 3, 4), dtype=np.float32)
    hdu = fits.PrimaryHDU(planes)
    one = Image(image_record(value=hdu.header.tostring().encode() + planes.tobytes()))
    with pytest.raises((PixelsError, SchemaError)):
        one.array  # noqa: B018 - asking is the test


def test_the_hdu_has_the_telescopes_cards_and_the_pixels():
    hdu = image().to_hdu()
    assert type(hdu) is fits.PrimaryHDU
    assert hdu.header["DATE-OBS"] == "2026-11-23T10:00:00.000000"
    assert float(hdu.header["RESTFREQ"]) == 60.0e6
    assert hdu.header["TELESCOP"] == "AARTFAAC"
    assert "CHECKSUM" not in hdu.header
    assert "DATASUM" not in hdu.header
    np.testing.assert_array_equal(hdu.data, pixels_of(START_US, "sb0"))


def test_the_header_is_a_copy_for_each_hdu():
    one = image()
    one.to_hdu().header["TELESCOP"] = "another"
    assert one.header["TELESCOP"] == "AARTFAAC"
    assert "CHECKSUM" in one.header


def test_a_group_can_be_pickled():
    one = group(shape=SHAPE)
    again = pickle.loads(pickle.dumps(one))  # noqa: S301 - our own
    assert again.sources == one.sources
    np.testing.assert_array_equal(again.images[0].array, one.images[0].array)
