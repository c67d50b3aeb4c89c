"""A sky to look at: where the sources are, how bright at a time and a frequency.

The sky is a function of a seed and the time alone, so two runs with the same seed see the same sources
flare at the same observation times. Four of the sources are the brightest of the low-frequency northern sky
at their true places; the others are drawn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOISE_JY = 10.0
"""Standard deviation of an image's noise, Jy/beam: about what AARTFAAC reaches in one second."""

REFERENCE_HZ = 6.0e6
"""Frequency at which a source's flux density is given."""

STATION_LONGITUDE_DEG = 6.8685
STATION_LATITUDE_DEG = 52.9153
"""The LOFAR core near Exloo, where AARTFAAC is."""

# Cas A, Cyg A, Tau A, Vir A: right ascension and declination (degrees), share of the brightest flux.
_BRIGHTEST = ((350.866, 58.812, 1.0), (299.868, 40.734, 0.95), (83.633, 22.014, 0.2), (187.706, 12.391, 0.25))
_BRIGHTEST_JY = 6000.0
_FLARING_SHARE = 0.15
_J2000_US = 946_728_000_000_000


def sidereal_angle(timestamp_us: int) -> float:
    """Local sidereal time at the station, radians: the right ascension that stands in the zenith.

    The linear part of the Earth rotation angle (IAU 2000); precession and nutation are left out, a
    fraction of a pixel.
    """
    days = (timestamp_us - _J2000_US) / 86_400e6
    turns = 0.7790572732640 + 1.00273781191135448 * days
    return float(2 * np.pi * (turns % 1.0) + np.deg2rad(STATION_LONGITUDE_DEG)) % (2 * np.pi)


@dataclass(frozen=True, slots=True)
class Sky:
    """Point sources, one element a source in each array (float64).

    Attributes:
        ra: right ascension, radians.
        dec: declination, radians.
        flux_jy: quiet flux density at REFERENCE_HZ, Jy.
        spectral_index: exponent of the frequency.
        flare_jy: height of a flare at REFERENCE_HZ, Jy; 0 for a steady source.
        flare_period_s: seconds from one flare to the next.
        flare_phase_s: seconds after 1970 (modulo the period) at which flares begin.
        flare_decay_s: seconds in which a flare falls to 1/e.
    """

    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    flux_jy: NDArray[np.float64]
    spectral_index: NDArray[np.float64]
    flare_jy: NDArray[np.float64]
    flare_period_s: NDArray[np.float64]
    flare_phase_s: NDArray[np.float64]
    flare_decay_s: NDArray[np.float64]

    @classmethod
    def draw(cls, seed: int, count: int) -> "Sky":
        """The sky of a seed: the four brightest and `count` drawn sources, the same for every caller."""
        rng = np.random.default_rng([seed, 0])
        total = count + len(_BRIGHTEST)
        ra = rng.uniform(0.0, 2 * np.pi, total)
        dec = np.arcsin(rng.uniform(-1.0, 1.0, total))
        # Source counts of a Euclidean universe: the number above S falls as S ** -1.5.
        flux_jy = np.minimum(5 * NOISE_JY * (1.0 - rng.uniform(size=total)) ** (-1 / 1.5), _BRIGHTEST_JY / 4)
        spectral_index = rng.normal(-0.7, 0.15, total)
        flares = rng.uniform(size=total) < _FLARING_SHARE
        flare_period_s = rng.uniform(20.0, 180.0, total)
        flare_phase_s = rng.uniform(0.0, 1.0, total) * flare_period_s
        flare_jy = np.where(flares, rng.uniform(20.0, 100.0, total) * NOISE_JY, 0.0)
        flare_decay_s = rng.uniform(2.0, 10.0, total)
        for index, (ra_deg, dec_deg, share) in enumerate(_BRIGHTEST):
            ra[index], dec[index] = np.deg2rad(ra_deg), np.deg2rad(dec_deg)
            flux_jy[index], flare_jy[index] = share * _BRIGHTEST_JY, 0.0
        # A flaring source is quiet below the noise between its flares: a transient.
        flux_jy = np.where(flare_jy > 0, 0.5 * NOISE_JY, flux_jy)
        return cls(ra, dec, flux_jy, spectral_index, flare_jy, flare_period_s, flare_phase_s, flare_decay_s)

    def flux_density(self, timestamp_us: int, frequency_hz: float) -> NDArray[np.float64]:
        """Flux densities at a time and a frequency, Jy, one a source; flares rise at once and decay."""
        since_flare_s = (timestamp_us / 1e6 - self.flare_phase_s) % self.flare_period_s
        reference_jy = self.flux_jy + self.flare_jy * np.exp(-since_flare_s / self.flare_decay_s)
        return np.asarray(reference_jy * (frequency_hz / REFERENCE_HZ) ** self.spectral_index)

    def direction_cosines(
        self, timestamp_us: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Direction cosines (l east, m north, n up) of the sources as the station sees them."""
        hour = self.ra - sidereal_angle(timestamp_us)
        zenith = np.deg2rad(STATION_LATITUDE_DEG)
        east = np.cos(self.dec) * np.sin(hour)
        north = np.sin(self.dec) * np.cos(zenith) - np.cos(self.dec) * np.sin(zenith) * np.cos(hour)
        up = np.sin(self.dec) * np.sin(zenith) + np.cos(self.dec) * np.cos(zenith) * np.cos(hour)
        return np.asarray(east), np.asarray(north), np.asarray(up)
