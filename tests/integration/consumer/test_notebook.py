"""Groups of the past in Python: what the documentation shows, and what it does not."""

import doctest
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

import trapline
from consumer import past_groups
from consumer.errors import ImagesGoneError, RangeError
from consumer.group_range import group_range
from consumer.history import find_groups
from consumer.past_groups import open_groups
from schemas.timestamp import format_timestamp
from tests.support.group_topics import delete_entries, delete_images, make_topics, seconds, settle
from tests.support.published_groups import SECOND_US, START_US, GroupPublisher, pixels_of


def at(second):
    return START_US + second * SECOND_US


@pytest.fixture(scope="module")
def settings(kafka):
    """Six seconds; sb2 is missing in the third, and the fourth came last."""
    settings = make_topics(kafka.bootstrap_servers, f"notebook-{os.urandom(4).hex()}", 2)
    publisher = GroupPublisher(settings)
    for second in (0, 1, 2, 4, 5, 3):
        sources = ("sb0", "sb1") if second == 2 else ("sb0", "sb1", "sb2")
        publisher.publish(at(second), sources=sources, partition=second % 2)
    settle(settings)
    return settings


@pytest.fixture
def in_a_notebook(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", settings.bootstrap_servers)
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFIX", settings.topic_prefix)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("in_a_notebook")
def test_the_examples_of_the_documentation():
    page = Path(trapline.__file__).parent.parent / "docs" / "history.md"
    ran = doctest.testfile(str(page), module_relative=False)
    assert (ran.failed, ran.attempted > 15) == (0, True)


@pytest.mark.usefixtures("in_a_notebook")
def test_the_examples_of_the_module():
    ran = doctest.testmod(past_groups)
    assert (ran.failed, ran.attempted > 5) == (0, True)


def test_slices_by_number_and_by_time(settings):
    with open_groups(settings) as groups:
        assert seconds(list(groups)) == [0, 1, 2, 3, 4, 5]
        assert seconds([groups[-1], groups[0]]) == [5, 0]
        assert seconds(list(groups[4:1:-1])) == [4, 3, 2]
        middle = groups[Time("2026-11-23T10:00:02") : "2026-11-23T10:00:04.5"]
        assert seconds(list(middle)) == [2, 3, 4]
        assert seconds(list(middle["2026-11-23T10:00:04":])) == [4]
        assert len(groups["2027-01-01":]) == 0
        assert list(middle.timestamps_us) == [at(2), at(3), at(4)]
        assert middle.times[0] == Time(format_timestamp(at(2)).removesuffix("Z"))
        with pytest.raises(IndexError):
            groups[6]
        with pytest.raises(RangeError, match="is no time"):
            groups["soon":]


def test_slices_by_time_go_forward(settings):
    """What searches ascending times would silently give the wrong groups of descending ones."""
    with open_groups(settings) as groups:
        backwards = groups[::-1]
        with pytest.raises(RangeError, match="in reverse"):
            backwards["2026-11-23T10:00:04":"2026-11-23T10:00:01"]
        with pytest.raises(RangeError, match="in reverse"):
            backwards["2026-11-23T10:00:01":]
        with pytest.raises(RangeError, match="goes forward"):
            groups["2026-11-23T10:00:04":"2026-11-23T10:00:01":-1]
        assert seconds(list(backwards[1:3])) == [4, 3]
        assert seconds(list(groups["2026-11-23T10:00:02":"2026-11-23T10:00:04"][::-1])) == [3, 2]
        assert seconds(list(groups["2026-11-23T10:00:01"::2])) == [1, 3, 5]


def test_a_repaired_timestamp_is_on_the_time_axis_once(kafka, topic_prefix):
    settings = make_topics(kafka.bootstrap_servers, topic_prefix)
    publisher = GroupPublisher(settings)
    publisher.publish(at(0), sources=("sb0",))
    publisher.publish(at(1))
    publisher.publish(at(0), sources=("sb0", "sb1"), revision=2)
    publisher.publish(at(2))
    publisher.publish(at(0), revision=3)
    settle(settings)

    def found(**said):
        with open_groups(settings, **said) as groups:
            return [(*seconds([group]), group.revision, len(group.images)) for group in groups]

    assert found() == [(0, 1, 1), (1, 1, 3), (2, 1, 3)]
    assert found(revisions="last") == [(0, 3, 3), (1, 1, 3), (2, 1, 3)]
    assert found(revisions="all") == [(0, 1, 1), (0, 2, 2), (0, 3, 3), (1, 1, 3), (2, 1, 3)]
    assert found(limit=2) == [(0, 1, 1), (1, 1, 3)]
    assert found(revisions="last", limit=2) == [(0, 3, 3), (1, 1, 3)]
    assert found(revisions="all", limit=3) == [(0, 1, 1), (0, 2, 2), (1, 1, 3)]
    with open_groups(settings) as groups:
        assert groups.to_array().shape[0] == 3
    with pytest.raises(RangeError, match="say 'first', 'last' or 'all'"):
        open_groups(settings, revisions="newest")


def test_all_pixels_in_one_array(settings):
    with open_groups(settings, from_="2026-11-23T10:00:01", to="2026-11-23T10:00:03") as groups:
        cube = groups.to_array()
        assert groups.sources() == ("sb2", "sb1", "sb0")
        assert (cube.shape, cube.dtype) == ((2, 3, 6, 8), np.float32)
        assert cube.mask.any(axis=(2, 3)).tolist() == [[False] * 3, [True, False, False]]
        assert np.isnan(cube.data[1, 0]).all()
        np.testing.assert_array_equal(cube[0, 2], pixels_of(at(1), "sb0"))
        np.testing.assert_array_equal(groups.to_array(["sb1"])[1, 0], pixels_of(at(2), "sb1"))
        with pytest.raises(ValueError, match="none of the 2 groups has an image of sb9"):
            groups.to_array(["sb9"])


def test_images_of_different_shapes_make_no_array(kafka, topic_prefix):
    settings = make_topics(kafka.bootstrap_servers, topic_prefix)
    publisher = GroupPublisher(settings)
    publisher.publish(at(0))
    publisher.publish(at(1), shape=(5, 5))
    settle(settings)
    with open_groups(settings) as groups, pytest.raises(ValueError, match=r"shape \(5, 5\), others \(6, 8\)"):
        groups.to_array()


def test_the_catalogue_as_a_table(settings):
    with open_groups(settings, sources="sb2,sb0") as groups:
        table = groups.table()
    assert isinstance(table, Table)
    assert list(table["complete"]) == [True, True, False, True, True, True]
    assert list(table["missing"]) == ["", "", "sb2", "", "", ""]
    assert list(table["images"]) == [2, 2, 1, 2, 2, 2]
    assert set(table["expected"]) == {2}
    assert list(table["partition"]) == [0, 1, 0, 1, 0, 1]
    assert table["time"][3] == Time("2026-11-23T10:00:03")
    assert all(table["has_images"])


def test_nothing_in_the_range(settings):
    with open_groups(settings, to="2020-01-01") as groups:
        assert (len(groups), list(groups), repr(groups)) == (0, [], "PastGroups(0 groups)")
        assert len(groups.table()) == 0
        assert groups.sources() == ()


def test_files_are_those_of_an_export(settings, tmp_path):
    with open_groups(settings, limit=2) as groups:
        files = groups.to_fits(tmp_path, one_file_per="image")
        assert groups.to_fits(tmp_path, one_file_per="image") == files
    assert len(files) == 6
    assert fits.getdata(files[0]).shape == (6, 8)


def test_images_that_are_gone(kafka, topic_prefix):
    settings = make_topics(kafka.bootstrap_servers, topic_prefix)
    published = GroupPublisher(settings).run(3)
    settle(settings)
    delete_images(settings, published[1].entry.first_offset)
    with open_groups(settings) as groups:
        assert seconds(list(groups)) == [1, 2]
        assert groups.gone.groups == 1
        assert seconds(list(groups)) == [1, 2]
        assert groups.gone.groups == 1  # however often it is looked at
        assert groups.to_array().mask.all(axis=(1, 2, 3)).tolist() == [True, False, False]
        assert list(groups.table()["has_images"]) == [False, True, True]
        with pytest.raises(ImagesGoneError, match="retention has deleted them"):
            groups[0]
        assert groups.gone.groups == 1


def test_entries_that_go_while_the_groups_are_open(kafka, topic_prefix):
    settings = make_topics(kafka.bootstrap_servers, topic_prefix)
    GroupPublisher(settings).run(4)
    settle(settings)
    entries = list(find_groups(settings, group_range()))
    with open_groups(settings) as groups:
        delete_entries(settings, entries[2].offset)
        with pytest.raises(ImagesGoneError, match="retention has deleted them"):
            groups[0]
        assert seconds([groups[2]]) == [2]
        assert seconds(list(groups)) == [2, 3]
        assert groups.to_array().mask.all(axis=(1, 2, 3)).tolist() == [True, True, False, False]
        delete_entries(settings, entries[3].offset + 1)
        with pytest.raises(ImagesGoneError):
            groups[3]
        assert list(groups) == []


def test_every_public_name_can_be_imported():
    assert all(hasattr(trapline, name) for name in trapline.__all__)
