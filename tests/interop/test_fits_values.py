"""What kcat wrote to disk, in the hands of astropy, fitsverify and cfitsio's tools."""

import io
import re
from datetime import datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits

from tests.interop.foreign_tools import must_run, run_tool, said
from tests.interop.pictures import NAMES

pytestmark = pytest.mark.interop

FITS_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", re.ASCII)
COMPLAINT = re.compile(rb"^\*\*\* (?:Error|Warning):.*", re.MULTILINE)
CLEAN = b"Verification found 0 warning(s) and 0 error(s)."


@pytest.fixture(params=NAMES)
def source(request):
    return request.param


@pytest.fixture
def picture(published, source):
    return published.pictures[source]


@pytest.fixture
def file(published, source):
    return published.files[source]


def words_of(file):
    """The pixels as integers, so that a NaN is equal to itself and its kind counts; checksums verified."""
    with fits.open(io.BytesIO(file.read_bytes()), checksum=True) as hdus:
        assert hdus[0].data.dtype == np.dtype(">f4")
        return hdus[0].data.byteswap().view("<u4")  # astype would make a signalling NaN a quiet one


def test_astropy_opens_it_with_the_pixels_that_were_sent(file, picture):
    assert np.array_equal(words_of(file), picture.pixels.view("<u4"))
    with fits.open(file, checksum=True) as hdus:  # a warning would be an error: see pyproject.toml
        hdus.verify("exception")
        assert len(hdus) == 1
        assert hdus[0].verify_checksum() == hdus[0].verify_datasum() == 1
        assert {name: hdus[0].header[name] for name in picture.cards} == picture.cards


def test_date_obs_has_the_standards_form_and_is_the_timestamp(published, source, file):
    """FITS 4.0, section 9.1.1: no 'Z' and no offset; the time system is that of TIMESYS."""
    header = fits.getheader(file)
    assert FITS_TIME.fullmatch(header["DATE-OBS"]), header["DATE-OBS"]
    ahead_s = {"UTC": 0, "TAI": 37}[header.get("TIMESYS", "UTC")]
    moment = datetime.fromisoformat(header["DATE-OBS"]) - timedelta(seconds=ahead_s)
    assert moment.isoformat(timespec="microseconds") + "Z" == published.records[source].key


def test_fitsverify_finds_no_error_and_no_warning(file):
    report = run_tool("fitsverify", file)
    assert (report.returncode, report.stderr) == (0, b""), said(report)
    assert CLEAN in report.stdout, said(report)
    assert must_run("fitsverify", "-q", "-e", file).startswith(b"verification OK")


def test_a_flipped_bit_is_found_by_fitsverify(published, tmp_path):
    """So a clean report says something about the pixels too."""
    damaged = bytearray(published.files["wide"].read_bytes())
    damaged[-2000] ^= 1
    (tmp_path / "damaged.fits").write_bytes(damaged)
    report = run_tool("fitsverify", tmp_path / "damaged.fits")
    assert report.returncode > 0, said(report)


def test_fitscopy_copies_it(file, picture, tmp_path):
    must_run("fitscopy", file, tmp_path / "copy.fits")
    assert np.array_equal(words_of(tmp_path / "copy.fits"), picture.pixels.view("<u4"))


def test_imcopy_copies_it(file, picture, tmp_path):
    """It reads the pixels as numbers and adds cards of its own; it does not write a new CHECKSUM."""
    must_run("imcopy", file, tmp_path / "copy.fits")
    with fits.open(tmp_path / "copy.fits") as hdus:
        assert np.array_equal(hdus[0].data, picture.pixels, equal_nan=True)
        assert hdus[0].verify_datasum() == 1


def test_cfitsio_compresses_and_restores_it(file, picture, tmp_path):
    """Without quantisation (-q 0), so that no pixel may change.

    Of what is no normal number fpack keeps less: NaNs and infinities become one NaN, the rest becomes 0.
    """
    packed, restored = tmp_path / "packed.fits.fz", tmp_path / "restored.fits"
    must_run("fpack", "-g", "-q", "0", "-O", packed, file)
    must_run("funpack", "-O", restored, packed)
    expected = picture.pixels.view("<u4").copy()
    expected[~np.isfinite(picture.pixels)] = 0xFFFFFFFF
    expected[np.abs(picture.pixels) < np.finfo(np.float32).tiny] = 0
    assert np.array_equal(words_of(restored), expected)


def test_cfitsio_cuts_a_section_where_it_was_asked_to(published, tmp_path):
    """[x, y], counted from 1, NAXIS1 first: another reader's idea of which axis is which."""
    pixels = published.pictures["transposed"].pixels
    must_run("imcopy", f"{published.files['transposed']}[5:9,2:4]", tmp_path / "section.fits")
    with fits.open(tmp_path / "section.fits") as hdus:
        assert np.array_equal(hdus[0].data, pixels[1:4, 4:9])
