import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from emulator.camera import Camera, ImageSize
from emulator.cards import card, header_text
from emulator.sky import NOISE_JY, Sky

NOON_US = 1_795_435_200_000_000  # 2026-11-23T12:00:00Z
HOUR_US = 3_600_000_000


@pytest.mark.parametrize("size", [ImageSize(300, 300), ImageSize(400, 250), ImageSize(250, 400)])
@pytest.mark.parametrize("hours", [0, 5, 11])
def test_the_brightest_source_is_where_the_header_says(size, hours):
    camera, time_us = Camera(seed=3, size=size), NOON_US + hours * HOUR_US
    image = camera.image(time_us, 6e6, (0, 0))
    axes = [card("NAXIS", 2), card("NAXIS1", size.naxis1), card("NAXIS2", size.naxis2)]
    wcs = WCS(fits.Header.fromstring(header_text(axes + camera.cards(time_us))))
    east, north, up = camera.sky.direction_cosines(time_us)
    margin = 1 - 10 * size.cell
    inside = (abs(east) < margin * size.naxis1 * size.cell / 2) & (
        abs(north) < margin * size.naxis2 * size.cell / 2
    )
    flux = np.where(inside, camera.sky.flux_density(time_us, 6e6) * up, 0)
    brightest = int(flux.argmax())
    column, row = wcs.wcs_world2pix(
        np.rad2deg(camera.sky.ra[brightest]), np.rad2deg(camera.sky.dec[brightest]), 0
    )
    found_row, found_column = np.unravel_index(image.argmax(), image.shape)
    assert image.shape == (size.naxis2, size.naxis1)
    assert image.dtype == np.float32
    assert found_column == pytest.approx(float(column), abs=1)
    assert found_row == pytest.approx(float(row), abs=1)
    assert image.max() == pytest.approx(flux[brightest], rel=0.2)


def test_the_same_seed_gives_the_same_image_and_another_seed_another():
    size = ImageSize(64, 48)
    first = Camera(1, size).image(NOON_US, 6e6, (4, 2))
    assert np.array_equal(first, Camera(1, size).image(NOON_US, 6e6, (4, 2)))
    assert not np.array_equal(first, Camera(2, size).image(NOON_US, 6e6, (4, 2)))


def test_noise_differs_between_exposures_and_keeps_its_level():
    camera = Camera(1, ImageSize(256, 200))
    images = [camera.image(NOON_US, 6e6, exposure) for exposure in ((0, 0), (0, 1), (1, 0))]
    for image in images:
        spread = 1.4826 * np.median(abs(image - np.median(image)))
        assert spread == pytest.approx(NOISE_JY, rel=0.25)
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


@pytest.mark.parametrize("size", [ImageSize(1, 1), ImageSize(2, 9), ImageSize(9, 2)])
def test_the_smallest_images_are_finite(size):
    image = Camera(1, size).image(NOON_US, 6e6, (0, 0))
    assert image.shape == (size.naxis2, size.naxis1)
    assert np.isfinite(image).all()


def test_sources_are_fainter_at_higher_frequencies():
    sky = Sky.draw(1, 50)
    assert (sky.flux_density(NOON_US, 8.5e6) <= sky.flux_density(NOON_US, 6e6)).mean() > 0.95


def test_some_sources_flare_and_come_back():
    sky = Sky.draw(1, 50)
    flux = np.array([sky.flux_density(NOON_US + second * 1_000_000, 6e6) for second in range(400)])
    ratio = flux.max(axis=0) / flux.min(axis=0)
    assert 0 < (ratio > 5).sum() < 27
    steady = sky.flare_jy == 0
    assert np.allclose(ratio[steady], 1)


def test_the_sky_turns_once_in_a_sidereal_day():
    sky = Sky.draw(1, 20)
    first, turned, after = (
        np.array(sky.direction_cosines(NOON_US + seconds * 1_000_000)) for seconds in (0, 43_082, 86_164)
    )
    assert np.allclose(first, after, atol=1e-4)
    assert not np.allclose(first, turned, atol=0.5)


def test_direction_cosines_have_length_one():
    sky = Sky.draw(5, 100)
    assert np.allclose(sum(axis**2 for axis in sky.direction_cosines(NOON_US)), 1)
