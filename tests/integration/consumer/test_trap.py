"""The drop-in, used as TraP uses tkp.stream.stream_generator."""

import pickle
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from astropy.io import fits

from consumer.errors import GapError
from consumer.metrics import UNDECODABLE
from tests.support.group_topics import committed, delete_images, make_topics
from tests.support.metrics import Change
from tests.support.published_groups import SECOND_US, START_US, GroupPublisher, frequency_hz, pixels_of
from tests.support.waiting import wait_until
from trapline import stream_generator

Lists = Iterator[list[fits.HDUList]]


@pytest.fixture
def environment(monkeypatch, settings):
    """As a TraP user sets it: the prefix; the servers come as hosts and ports."""
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFIX", settings.topic_prefix)
    monkeypatch.setenv("TRAPLINE_READER_SESSION_TIMEOUT_S", "6")
    return monkeypatch


@pytest.fixture
def generate(settings, environment) -> Iterator[Lists]:
    """Opens generators, and closes them after the test."""
    environment.setenv("TRAPLINE_TRAP_REQUIRE", "any")
    opened = []
    host, port = settings.bootstrap_servers.split(":")

    def generator() -> Lists:
        opened.append(stream_generator(hosts=[host], ports=[int(port)]))
        return opened[-1]

    yield generator
    for each in opened:
        each.close()


def times(lists: list[list[fits.HDUList]]) -> list[str]:
    return [images[0][0].header["DATE-OBS"][17:19] for images in lists]


def test_the_lists_are_what_trap_takes(publisher, generate):
    publisher.run(1)
    (images,) = [next(generate())]
    assert isinstance(images, list)
    assert len(images) == 3
    for source, image in zip(("sb2", "sb1", "sb0"), images, strict=True):
        assert type(image) is fits.HDUList  # TraP compares types
        assert [type(hdu) for hdu in image] == [fits.PrimaryHDU]
        (hdu,) = image
        np.testing.assert_array_equal(hdu.data, pixels_of(START_US, source))
        assert hdu.data.dtype == np.float32
        assert hdu.data.dtype.isnative
        header = hdu.header
        assert header["DATE-OBS"] == "2026-11-23T10:00:00.000000"
        assert float(header["RESTFREQ"]) == frequency_hz(source)
        # What tkp.accessors.fitsimage reads.
        assert (header["crval1"], header["crpix1"], header["cdelt1"]) == (90.0, 4.0, -0.1)
        assert (header["ctype2"], header["cunit2"], header["timesys"]) == ("DEC--SIN", "deg", "UTC")
        assert (header["BMAJ"], header["BMIN"], header["BPA"]) == (1.0, 0.5, 0.0)
        # And how: a float64 copy, axes swapped.
        assert np.float64(hdu.data.squeeze()).transpose().shape == (8, 6)


def test_the_lists_survive_pickling(publisher, generate):
    """TraP hands them to worker processes."""
    publisher.run(1)
    images = next(generate())
    again = pickle.loads(pickle.dumps(images))  # noqa: S301 - our own
    assert type(again[0]) is fits.HDUList
    for before, after in zip(images, again, strict=True):
        assert after[0].header.tostring() == before[0].header.tostring()
        np.testing.assert_array_equal(after[0].data, before[0].data)


def test_a_new_consumer_group_starts_with_the_oldest_group(publisher, generate):
    publisher.run(3)
    lists = generate()
    assert times([next(lists) for _ in range(3)]) == ["00", "01", "02"]


def test_it_can_be_told_to_start_live(publisher, generate, environment, settings):
    environment.setenv("TRAPLINE_TRAP_START", "end")
    environment.setenv("TRAPLINE_TRAP_GROUP_ID", "live")
    publisher.run(3)
    got = []
    reading = threading.Thread(target=lambda: got.append(next(generate())))
    reading.start()
    wait_until(lambda: committed(settings, "live") is not None, "the start to be remembered")
    publisher.run(1, first_us=START_US + 3 * SECOND_US)
    reading.join()
    assert times(got) == ["03"]


def test_the_position_is_kept_and_the_list_in_work_comes_again(publisher, generate, settings):
    groups = publisher.run(4)
    lists = generate()
    assert times([next(lists) for _ in range(2)]) == ["00", "01"]
    group_id = f"{settings.topic_prefix}.trap"
    wait_until(lambda: committed(settings, group_id) == groups[0].entry.last_offset + 1, "the commit")
    lists.close()
    again = generate()
    assert times([next(again) for _ in range(3)]) == ["01", "02", "03"]


def test_first_revisions_only(publisher, generate):
    publisher.publish(START_US, sources=("sb0",))
    publisher.publish(START_US + SECOND_US)
    publisher.publish(START_US, revision=2)
    publisher.publish(START_US + 2 * SECOND_US)
    lists = generate()
    got = [next(lists) for _ in range(3)]
    assert times(got) == ["00", "01", "02"]
    assert [len(images) for images in got] == [1, 3, 3]


def test_complete_groups_alone(publisher, generate, environment):
    environment.setenv("TRAPLINE_TRAP_REQUIRE", "all")
    publisher.publish(START_US, sources=("sb0",))
    publisher.publish(START_US + SECOND_US)
    assert times([next(generate())]) == ["01"]


@pytest.mark.parametrize("partitions", [3])
def test_several_partitions_come_in_timestamp_order(publisher, generate):
    for second, partition in enumerate([2, 0, 1, 1, 0, 2, 0, 2, 1]):
        publisher.publish(START_US + second * SECOND_US, partition=partition)
    lists = generate()
    assert times([next(lists) for _ in range(9)]) == [f"0{second}" for second in range(9)]


def test_an_image_that_cannot_be_decoded_does_not_stop_trap_for_good(publisher, generate):
    publisher.publish(START_US, values=[b"no FITS file"] * 3)
    publisher.publish(START_US + SECOND_US)
    with Change(UNDECODABLE) as left_out:
        assert times([next(generate())]) == ["01"]
    assert left_out.by == 1


def test_a_timestep_that_trap_gives_up_is_done_when_the_next_is_asked_for(publisher, generate, settings):
    """TraP's loop logs the error and goes on; docs/trap.md says how to process the group again."""
    groups = publisher.run(2)
    logged = []
    for images in generate():
        try:
            _ = images[0][0].header["no such keyword"]
        except KeyError:
            logged.extend(times([images]))
        if len(logged) == 2:
            break
    assert logged == ["00", "01"]
    group_id = f"{settings.topic_prefix}.trap"
    wait_until(lambda: committed(settings, group_id) == groups[0].entry.last_offset + 1, "the commit")


def test_retention_that_is_faster_than_trap_is_an_error_that_can_be_skipped(
    publisher, generate, settings, environment
):
    groups = publisher.run(4)
    lists = generate()
    assert times([next(lists)]) == ["00"]
    lists.close()
    delete_images(settings, groups[2].entry.first_offset)
    with pytest.raises(GapError, match="TRAPLINE_ON_GAP=skip"):
        next(generate())
    environment.setenv("TRAPLINE_ON_GAP", "skip")
    again = generate()
    assert times([next(again), next(again)]) == ["02", "03"]


def test_a_broker_that_is_not_there_yet_is_waited_for(own_kafka, topic_prefix, monkeypatch):
    """As the old receiver did: TraP may be started first."""
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    GroupPublisher(settings).run(1)
    own_kafka.stop()
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("TRAPLINE_BROKER_WAIT_S", "1")  # holds for everybody but TraP
    host, port = settings.bootstrap_servers.split(":")
    lists = stream_generator([host], [port])
    got = []
    reading = threading.Thread(target=lambda: got.append(next(lists)))
    reading.start()
    reading.join(3.0)
    assert reading.is_alive()
    own_kafka.start()
    reading.join()
    assert times(got) == ["00"]
    lists.close()
