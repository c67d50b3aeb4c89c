import numpy as np
import pytest
from astropy.io import fits

from emulator.errors import FitsFolderError
from schemas.pixel_order import PixelOrder
from schemas.timestamp import format_timestamp
from schemas.window import decode_window


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


def write(path, value, **cards):
    """A FITS image of 7 columns and 5 rows, all different."""
    pixels = np.arange(35, dtype=np.float32).reshape(5, 7) + 100 * value
    header = fits.Header()
    for keyword, text in cards.items():
        header[keyword.replace("_", "-")] = text
    fits.PrimaryHDU(pixels, header).writeto(path)
    return pixels


def windows(readers, emulator, pixel_order=PixelOrder.FITS):
    return {
        name: [decode_window(frame, pixel_order) for frame in reader.wait_for_end()]
        for name, reader in readers(emulator).items()
    }


@pytest.mark.parametrize("order", list(PixelOrder))
def test_one_source_a_frequency_with_the_files_headers(emulate, readers, folder, order):
    images = {
        (step, band): write(
            folder / f"t{step}_b{band}.fits",
            10 * step + band,
            RESTFRQ=5e7 + band * 1e6,
            DATE_OBS="2020-01-01T00:00:00",
            OBSERVER="nobody",
            MJD_OBS=58849.0,
        )
        for step in range(2)
        for band in range(3)
    }
    emulator = emulate(fits=folder, rate="max", frames=5, pixel_order=order)
    received = windows(readers, emulator, order)
    assert list(received) == ["sb0", "sb1", "sb2"]
    for band, name in enumerate(received):
        for step, window in enumerate(received[name]):
            assert np.array_equal(window.pixels, images[step % 2, band])
            assert window.frequency_hz == 5e7 + band * 1e6
            assert window.cards.get_str("OBSERVER") == "nobody"
            assert window.cards.get_float("MJD-OBS") is None
            assert not format_timestamp(window.timestamp_us).startswith("2020")
    stamps = [[window.timestamp_us for window in received[name]] for name in received]
    assert stamps[0] == stamps[1] == stamps[2]


def test_files_go_round_where_frequencies_do_not_fit_the_sources(emulate, readers, folder):
    images = [write(folder / f"{index}.fits", index, RESTFRQ=1e8) for index in range(5)]
    emulator = emulate(fits=folder, sources=2, rate="max", frames=3)
    received = {name: reader.wait_for_end() for name, reader in readers(emulator).items()}
    pixels = {name: [decode_window(frame).pixels for frame in frames] for name, frames in received.items()}
    for shown, wanted in zip(pixels["sb0"], (images[0], images[2], images[4]), strict=True):
        assert np.array_equal(shown, wanted)
    for shown, wanted in zip(pixels["sb1"], (images[1], images[3], images[1]), strict=True):
        assert np.array_equal(shown, wanted)


def test_kept_dates_are_sent_once_in_order_and_gaps_stay_gaps(emulate, readers, folder):
    dates = {"a": "2021-05-01T00:00:02", "b": "2021-05-01T00:00:01.5", "c": "2021-05-01T00:00:02"}
    frequencies = {"a": 5e7, "b": 5e7, "c": 6e7}
    for name, date in dates.items():
        write(folder / f"{name}.fits", 1, DATE_OBS=date, RESTFRQ=frequencies[name])
    emulator = emulate(fits=folder, keep_dates=True, rate="max")
    received = windows(readers, emulator)
    assert [format_timestamp(window.timestamp_us)[11:23] for window in received["sb0"]] == [
        "00:00:01.500",
        "00:00:02.000",
    ]
    assert [format_timestamp(window.timestamp_us)[11:23] for window in received["sb1"]] == ["00:00:02.000"]


def test_scaled_integers_and_further_axes_become_plain_floats(emulate, readers, folder):
    raw = np.arange(30, dtype=np.int16).reshape(1, 1, 5, 6)
    hdu = fits.PrimaryHDU(raw)
    hdu.header["BSCALE"], hdu.header["BZERO"], hdu.header["RESTFREQ"] = 0.5, 10.0, 7e7
    hdu.writeto(folder / "scaled.fits")
    with fits.open(folder / "scaled.fits") as hdus:
        wanted = np.asarray(hdus[0].data, dtype=np.float32)
    emulator = emulate(fits=folder, rate="max", frames=1)
    (window,) = windows(readers, emulator)["sb0"]
    assert window.shape == (1, 1, 5, 6)
    assert np.array_equal(window.pixels, wanted)
    assert window.cards.get_float("BSCALE") is None
    assert window.cards.get_int("BITPIX") == -32


def test_a_compressed_image_in_an_extension_is_found(emulate, readers, folder):
    pixels = np.arange(64, dtype=np.float32).reshape(8, 8)
    hdu = fits.CompImageHDU(pixels, compression_type="GZIP_2", quantize_level=0)
    hdu.header["RESTFREQ"] = 7e7
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(folder / "compressed.fits")
    emulator = emulate(fits=folder, rate="max", frames=1)
    (window,) = windows(readers, emulator)["sb0"]
    assert np.array_equal(window.pixels, pixels)


def test_what_cannot_be_served_is_named(emulate, folder):
    with pytest.raises(FitsFolderError, match="no FITS files"):
        emulate(fits=folder)
    write(folder / "undated.fits", 1)
    with pytest.raises(FitsFolderError, match=r"undated\.fits.*DATE-OBS"):
        emulate(fits=folder, keep_dates=True)
    with pytest.raises(FitsFolderError, match="--sources 2"):
        emulate(fits=folder, sources=2)
    (folder / "torn.fits").write_bytes(b"SIMPLE, but not FITS")
    with pytest.raises(FitsFolderError, match=r"torn\.fits"):
        emulate(fits=folder)
    (folder / "torn.fits").unlink()
    fits.PrimaryHDU(np.zeros((2, 5, 5), np.float32)).writeto(folder / "cube.fits")
    with pytest.raises(FitsFolderError, match=r"cube\.fits"):
        emulate(fits=folder)
    with pytest.raises(FitsFolderError, match="nowhere"):
        emulate(fits=folder / "nowhere")


def test_two_files_of_one_source_and_date_are_refused(emulate, folder):
    for name in ("one", "two"):
        write(folder / f"{name}.fits", 1, DATE_OBS="2021-05-01T00:00:02", RESTFRQ=5e7)
    with pytest.raises(FitsFolderError, match=r"one\.fits and .*two\.fits"):
        emulate(fits=folder, keep_dates=True)
