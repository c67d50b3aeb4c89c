import stat

import numpy as np
import pytest
from astropy.io import fits

from consumer.fits_files import write_group
from schemas.errors import SchemaError
from tests.support.image_records import group
from tests.support.published_groups import SHAPE, START_US, pixels_of


def test_a_group_as_one_fits_file(tmp_path):
    path = tmp_path / "group.fits"
    write_group(group(sources=("sb0", "sb2"), missing=("sb1",), shape=SHAPE), path)
    with fits.open(path, checksum=True) as hdus:
        facts = hdus[0].header
        assert hdus[0].data is None
        assert facts["DATE-OBS"] == "2026-11-23T10:00:00.000000"
        assert facts["GROUPID"] == "2026-11-23T10:00:00.000000Z/r1/o0"
        assert (facts["COMPLETE"], facts["NEXPECT"], facts["NIMAGES"]) == (False, 3, 2)
        assert (facts["REVISION"], facts["MISSI1"]) == (1, "sb1")
        assert [hdu.name for hdu in hdus[1:]] == ["sb2", "sb0"]
        assert float(hdus["sb0"].header["RESTFREQ"]) == 60.0e6
        for source in ("sb0", "sb2"):
            np.testing.assert_array_equal(hdus[source].data, pixels_of(START_US, source))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "group.fits"
    write_group(group(shape=SHAPE), path)
    before = path.read_bytes()
    with pytest.raises(SchemaError):
        write_group(group(), path)  # its values are no FITS files
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_may_be_read_by_whom_the_umask_lets(tmp_path):
    path = tmp_path / "group.fits"
    write_group(group(shape=SHAPE), path)
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_the_same_in_memory():
    hdus = group(shape=SHAPE).to_hdulist()
    assert type(hdus) is fits.HDUList
    assert len(hdus) == 4


def test_every_one_of_many_sources_is_named(tmp_path):
    sources = tuple(f"sb{number}" for number in range(119, -1, -1))  # the last one has the lowest frequency
    path = tmp_path / "group.fits"
    write_group(group(sources=sources, shape=SHAPE), path)
    with fits.open(path, checksum=True) as hdus:
        facts = hdus[0].header
        assert facts["NIMAGES"] == 120
        keywords = [f"SOURCE{n}" if n < 100 else f"SOURC{n}" for n in range(1, 121)]
        assert [facts[keyword] for keyword in keywords] == [hdu.name for hdu in hdus[1:]]
