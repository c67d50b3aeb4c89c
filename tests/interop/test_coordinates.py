"""Images land where their WCS says: astropy's WCS, on what kcat wrote to disk."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from emulator.camera import Camera, ImageSize
from tests.interop.pictures import EMULATED, EMULATOR_SEED, POINT
from tests.support.raw_topic import START_US

pytestmark = pytest.mark.interop


def read(file):
    """Pixels and coordinates; without the fixes of old headers, of which astropy warns."""
    with fits.open(file, checksum=True) as hdus:
        return hdus[0].data.copy(), WCS(hdus[0].header, fix=False)


def sky_of(pixel1, pixel2):
    """Right ascension and declination in degrees of a pixel counted from 1: the orthographic projection by
    hand, with the reference point and steps of tests.support.frames."""
    east, north = np.deg2rad((pixel1 - 7.0) * -0.25), np.deg2rad((pixel2 - 5.0) * 0.25)
    up = np.sqrt(1 - east**2 - north**2)
    zenith = np.deg2rad(52.5)
    dec = np.arcsin(north * np.cos(zenith) + up * np.sin(zenith))
    ra = np.arctan2(east, up * np.cos(zenith) - north * np.sin(zenith))
    return 120.0 + np.rad2deg(ra), np.rad2deg(dec)


@pytest.mark.parametrize("source", ["point", "point-transposed"])
def test_a_point_in_an_oblong_image_is_at_its_place_in_the_sky(published, source):
    pixels, wcs = read(published.files[source])
    row, column = np.unravel_index(np.argmax(pixels), pixels.shape)
    assert (column + 1, row + 1) == POINT
    assert np.count_nonzero(pixels) == 1
    assert np.allclose(wcs.wcs_pix2world(column, row, 0), sky_of(*POINT), rtol=0, atol=1e-9)


@pytest.mark.parametrize("source", EMULATED)
def test_the_emulators_brightest_sources_are_where_the_sky_has_them(published, source):
    pixels, wcs = read(published.files[source])
    rows, columns = pixels.shape
    sky = Camera(EMULATOR_SEED, ImageSize(columns, rows)).sky
    _, _, up = sky.direction_cosines(START_US)
    flux_jy = sky.flux_density(START_US, 6.0e6) * up
    inside = []
    for index in np.argsort(flux_jy)[::-1][:6]:
        x, y = wcs.wcs_world2pix(*np.rad2deg([sky.ra[index], sky.dec[index]]), 0)
        if 4 <= x < columns - 4 and 4 <= y < rows - 4:
            inside.append((round(float(x)), round(float(y))))
    assert len(inside) >= 2
    for x, y in inside[:2]:
        around = pixels[y - 3 : y + 4, x - 3 : x + 4]
        peak_row, peak_column = np.unravel_index(np.argmax(around), around.shape)
        assert abs(peak_row - 3) <= 1
        assert abs(peak_column - 3) <= 1
        assert around.max() > 500  # Jy: no noise


def test_both_pixel_orders_give_the_same_image(published):
    straight, _ = read(published.files["emulator"])
    transposed, _ = read(published.files["emulator-transposed"])
    assert straight.shape == (64, 96)
    assert np.array_equal(straight, transposed)
