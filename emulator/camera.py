"""Images of the sky: the station's all-sky view in SIN projection, with beam and noise.

The zenith is in the middle of the image and the horizon touches the edges of its longer axis, as in an
AARTFAAC image; the sky turns through it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.cards import card
from emulator.sky import NOISE_JY, STATION_LATITUDE_DEG, Sky, sidereal_angle

BEAM_MAJOR_PIXELS = 3.6
BEAM_MINOR_PIXELS = 3.0
BEAM_ANGLE_DEG = 30.0
_STAMP_RADIUS = 7
_SIGMA_PER_FWHM = 1 / np.sqrt(8 * np.log(2))
_PIXELS_PER_SOURCE = 2500
_MIN_SOURCES, _MAX_SOURCES = 24, 300


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Pixels of an image: `naxis1` columns (fastest in FITS order), `naxis2` rows."""

    naxis1: int
    naxis2: int

    def __str__(self) -> str:
        return f"{self.naxis1}x{self.naxis2}"

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.naxis1 * self.naxis2

    @property
    def cell(self) -> float:
        """Radians a pixel in the zenith: the horizon touches the edges of the longer axis."""
        return 2.0 / max(self.naxis1, self.naxis2)


class Camera:
    """Takes images of a seed's sky. Safe for one thread; what it returns is never changed later.

    Args:
        seed: of the sky and the noise.
        size: of the images.
    """

    def __init__(self, seed: int, size: ImageSize) -> None:
        self._seed = seed
        self._size = size
        count = min(max(size.pixels // _PIXELS_PER_SOURCE, _MIN_SOURCES), _MAX_SOURCES)
        self.sky = Sky.draw(seed, count)
        self._noise = _correlated_noise(np.random.default_rng([seed, 1]), size)

    def image(self, timestamp_us: int, frequency_hz: float, exposure: tuple[int, int]) -> NDArray[np.float32]:
        """One image, Jy/beam, float32 in native order, shape (NAXIS2, NAXIS1).

        Args:
            timestamp_us: observation time, microseconds since 1970 UTC; turns the sky and makes it flare.
            frequency_hz: of the subband.
            exposure: (step, source): names the noise, so that no two exposures have the same.
        """
        image = self._noise_of(exposure)
        east, north, up = self.sky.direction_cosines(timestamp_us)
        # The element beam of a dipole falls off to the horizon about as the cosine of the zenith angle.
        flux_jy = self.sky.flux_density(timestamp_us, frequency_hz) * np.maximum(up, 0.0)
        columns = (self._size.naxis1 - 1) / 2 - east / self._size.cell
        rows = (self._size.naxis2 - 1) / 2 + north / self._size.cell
        for index in np.flatnonzero(flux_jy > 0):
            _stamp(image, float(columns[index]), float(rows[index]), float(flux_jy[index]))
        return image

    def cards(self, timestamp_us: int) -> list[bytes]:
        """World-coordinate and beam cards of an image taken at `timestamp_us`."""
        cell_deg = float(np.rad2deg(self._size.cell))
        zenith_ra_deg = float(np.rad2deg(sidereal_angle(timestamp_us)))
        return [
            card("WCSAXES", 2),
            card("CTYPE1", "RA---SIN", "orthographic, the zenith in the middle"),
            card("CRPIX1", (self._size.naxis1 + 1) / 2),
            card("CRVAL1", zenith_ra_deg, "local sidereal time of the exposure"),
            card("CDELT1", -cell_deg),
            card("CUNIT1", "deg"),
            card("CTYPE2", "DEC--SIN"),
            card("CRPIX2", (self._size.naxis2 + 1) / 2),
            card("CRVAL2", STATION_LATITUDE_DEG, "latitude of the station"),
            card("CDELT2", cell_deg),
            card("CUNIT2", "deg"),
            card("LONPOLE", 180.0),
            card("LATPOLE", STATION_LATITUDE_DEG),
            card("RADESYS", "FK5"),
            card("EQUINOX", 2000.0),
            card("BMAJ", BEAM_MAJOR_PIXELS * cell_deg, "full width at half maximum, deg"),
            card("BMIN", BEAM_MINOR_PIXELS * cell_deg, "full width at half maximum, deg"),
            card("BPA", BEAM_ANGLE_DEG, "north through east, deg"),
        ]

    def _noise_of(self, exposure: tuple[int, int]) -> NDArray[np.float32]:
        """The noise plane, shifted round by a random amount and mirrored at random: one copy, 1 ns a pixel.

        Fresh Gaussian noise with the beam's correlation costs an FFT, twenty times as much.
        """
        rng = np.random.default_rng([self._seed, 2, *exposure])
        row, column = int(rng.integers(self._size.naxis2)), int(rng.integers(self._size.naxis1))
        plane = self._noise[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
        image = np.empty_like(self._noise)
        image[:row, :column] = plane[plane.shape[0] - row :, plane.shape[1] - column :]
        image[:row, column:] = plane[plane.shape[0] - row :, : plane.shape[1] - column]
        image[row:, :column] = plane[: plane.shape[0] - row, plane.shape[1] - column :]
        image[row:, column:] = plane[: plane.shape[0] - row, : plane.shape[1] - column]
        return image


def _beam(columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The restoring beam, 1 in its middle, at offsets in pixels (columns to the west, rows to the north)."""
    angle = np.deg2rad(BEAM_ANGLE_DEG)
    # North through east; east is towards lower columns.
    along = rows * np.cos(angle) - columns * np.sin(angle)
    across = rows * np.sin(angle) + columns * np.cos(angle)
    major, minor = BEAM_MAJOR_PIXELS * _SIGMA_PER_FWHM, BEAM_MINOR_PIXELS * _SIGMA_PER_FWHM
    return np.asarray(np.exp(-0.5 * ((along / major) ** 2 + (across / minor) ** 2)))


def _stamp(image: NDArray[np.float32], column: float, row: float, flux_jy: float) -> None:
    """Add a point source as the beam shows it; what falls outside the image is left out."""
    naxis2, naxis1 = image.shape
    left, right = max(round(column) - _STAMP_RADIUS, 0), min(round(column) + _STAMP_RADIUS + 1, naxis1)
    low, high = max(round(row) - _STAMP_RADIUS, 0), min(round(row) + _STAMP_RADIUS + 1, naxis2)
    if left >= right or low >= high:
        return
    columns = np.arange(left, right, dtype=np.float64)[np.newaxis, :] - column
    rows = np.arange(low, high, dtype=np.float64)[:, np.newaxis] - row
    image[low:high, left:right] += (flux_jy * _beam(columns, rows)).astype(np.float32)


def _correlated_noise(rng: np.random.Generator, size: ImageSize) -> NDArray[np.float32]:
    """Gaussian noise of NOISE_JY with the beam's correlation, seamless; shape (NAXIS2, NAXIS1)."""
    white = rng.standard_normal((size.naxis2, size.naxis1))
    columns = np.fft.fftfreq(size.naxis1, 1 / size.naxis1).astype(np.float64)[np.newaxis, :]
    rows = np.fft.fftfreq(size.naxis2, 1 / size.naxis2).astype(np.float64)[:, np.newaxis]
    spectrum = np.multiply(np.fft.rfft2(white), np.fft.rfft2(_beam(columns, rows)))
    noise = np.fft.irfft2(spectrum, s=white.shape)
    return np.asarray(noise * (NOISE_JY / max(float(noise.std()), 1e-12)), dtype=np.float32)
