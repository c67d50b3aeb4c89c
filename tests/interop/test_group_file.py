"""The FITS file of a whole group, which `trapline tail --write` leaves, in the hands of other tools."""

import os
import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits

from tests.interop.foreign_tools import must_run, run_tool, said
from tests.interop.pictures import NAMES
from tests.support.waiting import timeout_s

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def group_file(published, kafka, tmp_path_factory):
    path = tmp_path_factory.mktemp("group") / "group.fits"
    ended = subprocess.run(
        [sys.executable, "-m", "trapline", "tail", "--from-beginning", "--limit", "1", "--write", path],
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "TRAPLINE_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TRAPLINE_TOPIC_PREFIX": published.names.prefix,
        },
        timeout=timeout_s(60),
    )
    assert ended.returncode == 0, ended.stderr
    return path


def test_fitsverify_finds_no_error_and_no_warning_in_any_hdu(group_file):
    report = run_tool("fitsverify", group_file)
    assert (report.returncode, report.stderr) == (0, b""), said(report)
    assert b"%d Header-Data Units in this file" % (1 + len(NAMES)) in report.stdout
    assert b"Verification found 0 warning(s) and 0 error(s)." in report.stdout


def test_astropy_finds_every_image_by_its_sources_name(published, group_file):
    with fits.open(group_file, checksum=True) as hdus:
        hdus.verify("exception")
        assert len(hdus) == 1 + len(NAMES)
        for source, picture in published.pictures.items():
            assert np.array_equal(hdus[source].data, picture.pixels, equal_nan=True)
            assert {name: hdus[source].header[name] for name in picture.cards} == picture.cards


def test_cfitsio_takes_one_source_out_of_it(published, group_file, tmp_path):
    must_run("imcopy", f"{group_file}[emulator]", tmp_path / "emulator.fits")
    assert np.array_equal(fits.getdata(tmp_path / "emulator.fits"), published.pictures["emulator"].pixels)


def test_cfitsio_compresses_and_restores_all_of_it(published, group_file, tmp_path):
    packed, restored = tmp_path / "packed.fits.fz", tmp_path / "restored.fits"
    must_run("fpack", "-g", "-q", "0", "-O", packed, group_file)
    must_run("funpack", "-O", restored, packed)
    with fits.open(restored, checksum=True) as hdus:
        for source in ("emulator-1024", "emulator-transposed", "wide", "transposed", "point"):
            assert np.array_equal(hdus[source].data, published.pictures[source].pixels)


@pytest.fixture(scope="module")
def image_files(published, kafka, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    ended = subprocess.run(
        [sys.executable, "-m", "trapline", "export", "--limit", "1", "--one-file-per", "image", folder],
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "TRAPLINE_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TRAPLINE_TOPIC_PREFIX": published.names.prefix,
        },
        timeout=timeout_s(60),
    )
    assert ended.returncode == 0, ended.stderr
    return {path.stem.partition("_")[2]: path for path in folder.iterdir()}


def test_fitsverify_finds_nothing_in_the_file_of_one_image(image_files):
    assert set(image_files) == set(NAMES)
    for path in image_files.values():
        report = run_tool("fitsverify", path)
        assert (report.returncode, report.stderr) == (0, b""), said(report)
        assert b"Verification found 0 warning(s) and 0 error(s)." in report.stdout


def test_the_file_of_one_image_keeps_every_card_of_the_telescope(published, image_files):
    for source, picture in published.pictures.items():
        with fits.open(image_files[source], checksum=True) as hdus:
            assert np.array_equal(hdus[0].data, picture.pixels, equal_nan=True)
            assert {name: hdus[0].header[name] for name in picture.cards} == picture.cards
