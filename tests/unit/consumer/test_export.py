import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from consumer.errors import ExportError
from consumer.export import Exporter, facts_of
from consumer.fits_files import GroupFacts
from consumer.group import Group
from schemas.catalogue import CatalogueEntry, ClosedBy, Member
from schemas.record_headers import group_id
from tests.support.image_records import group
from tests.support.published_groups import SHAPE, START_US, pixels_of


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def again_published() -> Group:
    return replace(group(shape=SHAPE), group_id=group_id(START_US, 1, 99))


def test_a_file_a_group(tmp_path):
    with Exporter(tmp_path / "new" / "folder", "group") as exporter:
        (path,) = exporter.write(group(shape=SHAPE))
    assert path.name == "2026-11-23T10-00-00.000000Z.fits"
    with fits.open(path, checksum=True) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "sb2", "sb1", "sb0"]
        assert [hdus[0].header[f"SOURCE{n}"] for n in (1, 2, 3)] == ["sb2", "sb1", "sb0"]
    assert (exporter.written, exporter.kept) == (1, 0)
    assert exporter.written_bytes == path.stat().st_size


def test_a_file_an_image(tmp_path):
    with Exporter(tmp_path, "image") as exporter:
        paths = exporter.write(group(shape=SHAPE))
    assert [path.name for path in paths] == [f"2026-11-23T10-00-00.000000Z_sb{n}.fits" for n in (2, 1, 0)]
    with fits.open(paths[0], checksum=True) as hdus:
        np.testing.assert_array_equal(hdus[0].data, pixels_of(START_US, "sb2"))
        assert hdus[0].header["DATE-OBS"] == "2026-11-23T10:00:00.000000"
        assert hdus[0].header["CTYPE1"] == "RA---SIN"
        assert float(hdus[0].header["RESTFREQ"]) == 59.0e6
        assert hdus[0].header["GROUPID"] == "2026-11-23T10:00:00.000000Z/r1/o0"


@pytest.mark.parametrize("one_file_per", ["group", "image"])
def test_what_is_finished_is_not_written_again(tmp_path, one_file_per):
    with Exporter(tmp_path, one_file_per) as exporter:
        paths = exporter.write(group(shape=SHAPE))
    for path in paths:
        os.utime(path, (1, 1))
    paths[-1].unlink()
    with Exporter(tmp_path, one_file_per) as exporter:
        assert exporter.write(group(shape=SHAPE)) == paths
    assert (exporter.written, exporter.kept) == (1, len(paths) - 1)
    assert [path.stat().st_mtime for path in paths[:-1]] == [1] * (len(paths) - 1)


def test_names_sort_by_time_and_a_revision_comes_behind_the_first(tmp_path):
    with Exporter(tmp_path, "group") as exporter:
        later = exporter.write(group(timestamp_us=START_US + 1, shape=SHAPE))
        repaired = exporter.write(group(revision=2, shape=SHAPE))
        first = exporter.write(group(shape=SHAPE))
    assert names(tmp_path) == [path.name for (path,) in (first, repaired, later)]
    assert repaired[0].name == "2026-11-23T10-00-00.000000Z_r2.fits"


@pytest.mark.parametrize("one_file_per", ["group", "image"])
def test_a_second_group_of_the_same_time_has_a_name_of_its_own(tmp_path, one_file_per):
    with Exporter(tmp_path, one_file_per) as exporter:
        exporter.write(group(shape=SHAPE))
        again = exporter.write(again_published())
        assert exporter.write(again_published()) == again
    assert all(path.stem.endswith("_o99") for path in again)
    assert len(names(tmp_path)) == 2 * len(again)
    assert exporter.kept == len(again)


def test_a_file_of_other_images_is_never_replaced(tmp_path):
    with Exporter(tmp_path, "group") as exporter:
        (path,) = exporter.write(group(shape=SHAPE).only(["sb1"]))
        before = path.read_bytes()
        with pytest.raises(ExportError, match="other images of this group"):
            exporter.write(group(shape=SHAPE))
        path.write_bytes(b"a letter")
        with pytest.raises(ExportError, match="is not of an export"):
            exporter.write(group(shape=SHAPE))
        path.write_bytes(before)
        assert exporter.write(group(shape=SHAPE).only(["sb1"])) == [path]


def test_what_a_killed_export_left_is_cleared(tmp_path):
    left = tmp_path / ".2026-11-23T10-00-00.000000Z.fits.part"
    left.write_bytes(b"half")
    with Exporter(tmp_path, "group") as exporter:
        exporter.write(group(shape=SHAPE))
    assert names(tmp_path) == ["2026-11-23T10-00-00.000000Z.fits"]


def test_two_exports_into_one_folder_are_refused(tmp_path):
    with Exporter(tmp_path, "group"), pytest.raises(ExportError, match="another export is writing there"):
        Exporter(tmp_path, "group")
    Exporter(tmp_path, "group").close()


def test_a_full_disk_is_named_and_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    with Exporter(tmp_path, "group") as exporter:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device.*10-00-00.000000Z.fits"):
            exporter.write(group(shape=SHAPE))
        monkeypatch.undo()
    assert names(tmp_path) == []


def test_the_entry_says_the_same_of_a_group_as_its_images():
    published = group(sources=("sb0", "sb2"), missing=("sb1",), shape=SHAPE)
    entry = CatalogueEntry(
        timestamp_us=published.timestamp_us,
        revision=1,
        group_id=published.group_id,
        complete=False,
        closed_by=ClosedBy.GRACE,
        expected=("sb0", "sb1", "sb2"),
        present=("sb0", "sb2"),
        missing=("sb1",),
        members=tuple(
            Member(image.source, 0, image.digest, image.frequency_hz, 0)
            for image in reversed(published.images)
        ),
        first_offset=0,
        last_offset=1,
        committed_offset=0,
        read_to=0,
        catalogue_from=0,
    )
    assert facts_of(entry) == GroupFacts.of(published)
