"""A user's FITS files as images to serve.

Which file goes to which source: where all files tell their frequency and there are as many frequencies as
sources (or --sources is not given), each source serves one frequency, the lowest is sb0; otherwise the files
go to the sources in turn. Within a source they are served in the order of their names, again and again;
with kept dates once, in the order of their dates.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from emulator.errors import FitsFolderError
from emulator.frame import Exposure, find_date_card
from emulator.images import RING_BYTES, Step
from emulator.pacing import Schedule
from runtime.logs import get_logger
from schemas.cards import PIXEL_SIZE, Cards
from schemas.errors import SchemaError
from schemas.frequency import frequency_hz
from schemas.pixel_order import PixelOrder
from schemas.timestamp import format_timestamp
from schemas.window import window_timestamp

log = get_logger(__name__)

_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz")
_AXES = (2, 3, 4)
# They describe how the file stores its pixels; a frame has plain float32.
_STORAGE_CARDS = ("BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM")
# They tell the same time as DATE-OBS and would contradict it.
_TIME_CARDS = ("MJD-OBS", "DATE-BEG", "DATE-AVG", "DATE-END", "MJD-BEG", "MJD-AVG", "MJD-END")


@dataclass(frozen=True, slots=True)
class _File:
    """An image file: where, when and at which frequency (None: it does not say), and its bytes of pixels."""

    path: Path
    timestamp_us: int | None
    frequency_hz: float | None
    nbytes: int


class FitsImages:
    """The images of a folder; the module says how they are laid onto the sources.

    They are kept in memory where all fit into RING_BYTES, otherwise read when they are due.

    Args:
        folder: holds *.fits, *.fit, *.fts, or the same with .gz; the first image of each counts.
        source_count: None: as many as there are frequencies, or 1 where files do not tell theirs.
        keep_dates: frames have the files' own DATE-OBS.
        pixel_order: how pixels are packed.

    Raises:
        FitsFolderError: names the file that cannot be served, and why.
    """

    def __init__(
        self, folder: Path, source_count: int | None, *, keep_dates: bool, pixel_order: PixelOrder
    ) -> None:
        self._pixel_order = pixel_order
        self._keep_dates = keep_dates
        files = [_inspect(path, keep_dates=keep_dates) for path in _files_of(folder)]
        by_source = _lay_out(files, source_count)
        self.source_count: int = len(by_source)
        self._plan = _by_date(by_source) if keep_dates else None
        self._by_source = by_source
        self.steps: int | None = None if self._plan is None else len(self._plan)
        self._kept: dict[Path, Exposure] | None = None
        if sum(file.nbytes for file in files) <= RING_BYTES:
            self._kept = {}

    @property
    def instant(self) -> bool:
        """All images are in memory."""
        return self._kept is not None

    def prepare(self, _schedule: Schedule) -> None:
        """Read the files, where they are to be kept in memory."""
        if self._kept is not None:
            for file in (file for files in self._by_source for file in files):
                self._kept[file.path] = self._load(file)

    def start(self, _schedule: Schedule) -> None:
        """Nothing: files do not depend on the time."""

    def take(self, step: int) -> Step:
        """The exposures of a step, one a source."""
        if self._plan is not None:
            return [None if file is None else self._exposure(file) for file in self._plan[step]]
        return [self._exposure(files[step % len(files)]) for files in self._by_source]

    def _exposure(self, file: _File) -> Exposure:
        return self._load(file) if self._kept is None else self._kept[file.path]

    def _load(self, file: _File) -> Exposure:
        header, image = _read(file.path)
        if self._pixel_order is PixelOrder.TRANSPOSED:
            image = image.swapaxes(-1, -2)
        pixels = np.ascontiguousarray(image, dtype="<f4").data.cast("B")
        if not self._keep_dates:
            header["DATE-OBS"] = header.get("DATE-OBS", "")
            if "TIMESYS" in header:
                header["TIMESYS"] = "UTC"
            for keyword in _TIME_CARDS:
                header.remove(keyword, ignore_missing=True)
        text = header.tostring().encode("ascii")
        date_offset = None if self._keep_dates else find_date_card(text)
        kept_us = file.timestamp_us if self._keep_dates else None
        return Exposure(text, date_offset, pixels, file.frequency_hz, kept_us)


def _files_of(folder: Path) -> list[Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.lower().endswith(_ENDINGS))
    except OSError as error:
        raise FitsFolderError(f"--fits {folder}: {error.strerror}") from error
    if not paths:
        raise FitsFolderError(f"--fits {folder}: it holds no FITS files ({', '.join(_ENDINGS)})")
    return paths


def _first_image(hdus: Iterable[Any], path: Path) -> Any:
    """The first HDU with an image, its shape checked."""
    for hdu in hdus:
        if hdu.is_image and hdu.shape:
            shape = hdu.shape
            if len(shape) not in _AXES or 0 in shape or prod(shape[:-2]) != 1:
                raise FitsFolderError(
                    f"{path}: an image of the protocol has two axes, further ones of length 1; "
                    f"this has (NAXISn, …, NAXIS1) = {shape}"
                )
            return hdu
    raise FitsFolderError(f"{path}: it holds no image")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The first image's HDU.

    Raises:
        FitsFolderError: the file is not readable or has no image that can be served.
    """
    from astropy.io import fits  # noqa: PLC0415  half a second that only this feature costs

    try:
        with fits.open(path, memmap=False, lazy_load_hdus=True) as hdus:
            yield _first_image(hdus, path)
    except OSError as error:
        raise FitsFolderError(f"{path}: not readable as FITS: {error}") from error


def _read(path: Path) -> tuple[Any, Any]:
    """The first image of a file: its header, made true for float32, and its values."""
    from astropy.io import fits  # noqa: PLC0415  see _opened

    with _opened(path) as hdu:
        header = hdu.header.copy()
        image = np.asarray(hdu.data, dtype=np.float32)
    for keyword in _STORAGE_CARDS:
        header.remove(keyword, ignore_missing=True)
    return fits.PrimaryHDU(image, header).header, image


def _inspect(path: Path, *, keep_dates: bool) -> _File:
    with _opened(path) as hdu:
        cards = Cards.scan(hdu.header.tostring().encode("ascii"))
        nbytes = PIXEL_SIZE * prod(hdu.shape)
    timestamp_us: int | None = None
    if keep_dates:
        try:
            timestamp_us = window_timestamp(cards)
        except SchemaError as error:
            raise FitsFolderError(f"{path}: --keep-dates needs a usable DATE-OBS: {error}") from error
    try:
        frequency: float | None = frequency_hz(cards)
    except SchemaError:
        frequency = None
    return _File(path, timestamp_us, frequency, nbytes)


def _lay_out(files: Sequence[_File], source_count: int | None) -> list[list[_File]]:
    """The files of each source."""
    by_frequency: dict[float, list[_File]] = defaultdict(list)
    for file in files:
        if file.frequency_hz is not None:
            by_frequency[file.frequency_hz].append(file)
    all_tell = sum(map(len, by_frequency.values())) == len(files)
    if all_tell and source_count in {None, len(by_frequency)}:
        log.info("one source a frequency", files=len(files), sources=len(by_frequency))
        return [by_frequency[frequency] for frequency in sorted(by_frequency)]
    count = source_count or 1
    if count > len(files):
        raise FitsFolderError(
            f"{len(files)} FITS files are too few for --sources {count}; give fewer sources"
        )
    log.info("files go to the sources in turn", files=len(files), sources=count)
    return [list(files[index::count]) for index in range(count)]


def _by_date(by_source: Sequence[Sequence[_File]]) -> list[list[_File | None]]:
    """The files of each timestamp in rising order, one a source or None."""
    plan: dict[int, list[_File | None]] = {}
    for index, files in enumerate(by_source):
        for file in files:
            if file.timestamp_us is None:
                raise RuntimeError(f"{file.path} was read without its date")
            row = plan.setdefault(file.timestamp_us, [None] * len(by_source))
            other = row[index]
            if other is not None:
                raise FitsFolderError(
                    f"{other.path} and {file.path} are of the same source and have the same DATE-OBS "
                    f"{format_timestamp(file.timestamp_us)}; one of them has to go, or --keep-dates"
                )
            row[index] = file
    return [plan[timestamp_us] for timestamp_us in sorted(plan)]
