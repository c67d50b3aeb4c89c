"""Where frames get their images from: the sky of a seed, rendered anew or in a ring."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from emulator.camera import Camera, ImageSize
from emulator.cards import card, header_text
from emulator.frame import Exposure, date_card, find_date_card
from emulator.pacing import Schedule
from schemas.pixel_order import PixelOrder

FIRST_HZ = 6_000_000
SUBBAND_STEP_HZ = 500_000

RING_BYTES = 256 * 1024 * 1024
"""Bound of the pixels that are kept for reuse."""

_MAX_RING_STEPS = 32
_MIN_RING_STEPS = 2
_LIVE_PIXELS_PER_S = 20e6
"""A core renders about 150 million pixels a second; above this the emulator would take the processor that
the stages under test need, so images are rendered beforehand."""

Step = Sequence[Exposure | None]
"""The exposures of one timestamp, one a source in the sources' order; None: the source has none."""


class Images(Protocol):
    """Exposures by step. `take` may be called from another thread than the rest, steps in rising order."""

    @property
    def source_count(self) -> int:
        """Number of sources."""

    @property
    def steps(self) -> int | None:
        """Number of steps that there are; None: any."""

    def prepare(self, schedule: Schedule) -> None:
        """Fill the memory from which steps are taken; the run begins about when this schedule does."""

    def start(self, schedule: Schedule) -> None:
        """The run begins: steps are taken at this schedule's times."""

    def take(self, step: int) -> Step:
        """The exposures of a step."""

    @property
    def instant(self) -> bool:
        """`take` costs no time: the images are in memory."""


def subband_hz(source: int) -> int:
    """Frequency of the emulated subband of a source, Hz."""
    return FIRST_HZ + SUBBAND_STEP_HZ * source


def ring_steps(asked: int | None, rate_hz: float | None, size: ImageSize, source_count: int) -> int:
    """How many steps are rendered once and then repeated; 0: each step is rendered when it is due.

    Without an explicit wish, paced runs that cost little are rendered live; all others from a ring within
    RING_BYTES. A ring has two steps at least, so that neighbouring timestamps never have the same pixels.
    """
    if asked is not None:
        return asked
    if rate_hz is not None and rate_hz * source_count * size.pixels <= _LIVE_PIXELS_PER_S:
        return 0
    return min(max(RING_BYTES // (4 * size.pixels * source_count), _MIN_RING_STEPS), _MAX_RING_STEPS)


class SkyImages:
    """Images of a seed's sky, the same sky for all sources, each at its own frequency.

    Live (`ring` 0), a step shows the sky at its time. With a ring of n steps the sky goes through n steps
    and begins again; the header's coordinates are those of the image, so sources keep their right
    ascension and declination.

    Args:
        seed: of sky and noise.
        size: of the images.
        source_count: number of sources.
        ring: steps rendered at the start and repeated; 0 for none.
        pixel_order: how pixels are packed.
    """

    steps: int | None = None

    def __init__(
        self, seed: int, size: ImageSize, source_count: int, ring: int, pixel_order: PixelOrder
    ) -> None:
        self.source_count: int = source_count
        self._size = size
        self._pixel_order = pixel_order
        self._camera = Camera(seed, size)
        self._ring_steps = ring
        self._ring: list[Step] = []
        self._schedule: Schedule | None = None

    @property
    def instant(self) -> bool:
        """Images come from the ring."""
        return self._ring_steps > 0

    def prepare(self, schedule: Schedule) -> None:
        """Render the ring, if there is one, with the sky of the schedule's first steps."""
        self._ring = [self._render(step, schedule.nominal_us(step)) for step in range(self._ring_steps)]

    def start(self, schedule: Schedule) -> None:
        """Live images show the sky at this schedule's times."""
        self._schedule = schedule

    def take(self, step: int) -> Step:
        """The exposures of a step, one a source."""
        if self._ring:
            return self._ring[step % len(self._ring)]
        if self._schedule is None:
            raise RuntimeError("take() before start()")
        return self._render(step, self._schedule.nominal_us(step))

    def _render(self, step: int, sky_us: int) -> Step:
        return [self._expose(source, step, sky_us) for source in range(self.source_count)]

    def _expose(self, source: int, step: int, sky_us: int) -> Exposure:
        frequency_hz = subband_hz(source)
        image = self._camera.image(sky_us, float(frequency_hz), (step, source))
        if self._pixel_order is PixelOrder.TRANSPOSED:
            image = image.T
        pixels = np.ascontiguousarray(image, dtype="<f4").data.cast("B")
        text = header_text(
            [
                card("SIMPLE", value=True),
                card("BITPIX", -32, "IEEE single precision"),
                card("NAXIS", 2),
                card("NAXIS1", self._size.naxis1),
                card("NAXIS2", self._size.naxis2),
                card("BUNIT", "JY/BEAM"),
                card("BTYPE", "Intensity"),
                card("TELESCOP", "LOFAR"),
                card("INSTRUME", "AARTFAAC"),
                card("ORIGIN", "Trapline emulator"),
                card("OBJECT", "zenith"),
                card("TIMESYS", "UTC"),
                date_card(sky_us),
                card("EXPTIME", 1.0, "s"),
                # Text, as the telescope's old emulator wrote it; receivers must cope.
                card("RESTFREQ", str(frequency_hz), "Hz"),
                card("RESTBW", 195312.5, "Hz"),
                *self._camera.cards(sky_us),
            ]
        )
        return Exposure(text, find_date_card(text), pixels, float(frequency_hz))
