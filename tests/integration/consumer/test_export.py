"""`trapline export` as a process: what it writes, how it goes on, and how it ends."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from astropy.io import fits

from tests.support.group_topics import delete_images, make_topics, settle
from tests.support.published_groups import SECOND_US, START_US, GroupPublisher, pixels_of
from tests.support.waiting import timeout_s, wait_until

Export = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start_export(topic_prefix) -> Iterator[Export]:
    """Starts `trapline export`, and kills it after the test."""
    started = []

    def start(bootstrap_servers: str, *options: object, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "trapline", "export", *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "TRAPLINE_BOOTSTRAP_SERVERS": bootstrap_servers,
                "TRAPLINE_TOPIC_PREFIX": topic_prefix,
                **more,
            },
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def export(kafka, start_export):
    """Runs `trapline export` to its end: exit status and stderr."""

    def run(*options: object, **more: str) -> tuple[int, str]:
        process = start_export(kafka.bootstrap_servers, *options, **more)
        out, err = process.communicate(timeout=timeout_s(60))
        assert out == ""
        assert "Traceback" not in err
        return process.returncode, err

    return run


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def name(second, more=""):
    return f"2026-11-23T10-00-0{second}.000000Z{more}.fits"


def test_groups_and_then_what_came_meanwhile(publisher, settings, export, tmp_path):
    publisher.run(2)
    publisher.publish(START_US + 2 * SECOND_US, sources=("sb0", "sb2"))
    settle(settings)
    status, err = export(tmp_path)
    assert status == 0, err
    assert names(tmp_path) == [name(0), name(1), name(2)]
    with fits.open(tmp_path / name(2), checksum=True) as hdus:
        assert (hdus[0].header["COMPLETE"], hdus[0].header["MISSI1"]) == (False, "sb1")
        np.testing.assert_array_equal(hdus["sb2"].data, pixels_of(START_US + 2 * SECOND_US, "sb2"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    publisher.run(2, first_us=START_US + 3 * SECOND_US)
    settle(settings)
    status, err = export(tmp_path)
    assert '"files_written": 2' in err
    assert '"files_there_already": 3' in err
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(names(tmp_path)) == 5


def test_a_range_of_some_sources_a_file_an_image(publisher, settings, export, tmp_path):
    publisher.run(4)
    settle(settings)
    status, err = export(
        tmp_path,
        "--from",
        "2026-11-23T10:00:01",
        "--limit",
        2,
        "--sources",
        "sb0,sb1",
        "--one-file-per",
        "image",
    )
    assert status == 0, err
    assert names(tmp_path) == [name(1, "_sb0"), name(1, "_sb1"), name(2, "_sb0"), name(2, "_sb1")]


def test_images_that_are_gone_are_said_and_no_error(publisher, settings, export, tmp_path):
    published = publisher.run(3)
    settle(settings)
    delete_images(settings, published[1].entry.first_offset)
    status, err = export(tmp_path)
    assert (status, names(tmp_path)) == (0, [name(1), name(2)])
    assert "the images of 1 groups, 2026-11-23T10:00:00.000000Z" in err
    delete_images(settings, published[2].entry.last_offset + 1)
    status, err = export(tmp_path / "new")
    assert status == 3
    assert "nothing to export: the images of 3 groups" in err.splitlines()[-1]


def test_nothing_to_export(settings, publisher, export, tmp_path):
    status, err = export(tmp_path)
    assert (status, err.splitlines()[-1][:16]) == (3, "trapline: error:")
    assert "has no group yet" in err
    publisher.run(1)
    settle(settings)
    status, err = export(tmp_path, "--from", "2027-01-01")
    assert status == 3
    assert "its newest group is of 2026-11-23T10:00:00.000000Z and has the sources sb0,sb1,sb2" in err
    status, err = export(tmp_path, "--offset", "0:999")
    assert status == 1
    assert "offset 999 is not in partition 0" in err
    assert names(tmp_path) == []


def test_what_is_wrong_is_said_before_anything_is_connected(export, tmp_path, unused_port):
    nobody = {"TRAPLINE_BOOTSTRAP_SERVERS": f"127.0.0.1:{unused_port}", "TRAPLINE_BROKER_WAIT_S": "1"}
    status, err = export(tmp_path, "--from", "now", "--to", "-5m", **nobody)
    assert status == 2
    assert "is not before --to" in err
    status, err = export(tmp_path, "--last", 3, "--end", **nobody)
    assert status == 2
    assert "--end and --last exclude each other" in err
    status, err = export(tmp_path, **nobody)
    assert status == 1
    assert "TRAPLINE_BOOTSTRAP_SERVERS" in err.splitlines()[-1]
    (tmp_path / "file").touch()
    status, err = export(tmp_path / "file" / "below", **nobody)
    assert status == 1
    assert f"{tmp_path}/file" in err.splitlines()[-1]


def test_no_topic(export, topic_prefix, tmp_path):
    status, err = export(tmp_path)
    assert status == 1
    assert f"topic {topic_prefix}.groups does not exist" in err.splitlines()[-1]


def test_a_signal_tells_where_to_go_on(publisher, start_export, export, tmp_path):
    settings = publisher.settings
    live = start_export(settings.bootstrap_servers, "--end", "--limit", "99", tmp_path)
    second = iter(range(99))

    def exported():
        publisher.publish(START_US + next(second) * SECOND_US)
        return len(list(tmp_path.glob("[!.]*.fits"))) > 1  # so that the first one is counted

    wait_until(exported, "two files", 60)
    live.send_signal(signal.SIGINT)
    _, err = live.communicate(timeout=timeout_s(60))
    assert live.returncode == 130
    assert "Traceback" not in err
    first = names(tmp_path)
    (going_on,) = [line for line in err.splitlines() if "to go on" in line]
    assert going_on.startswith("trapline: to go on: trapline export --offset 0:")
    publisher.publish(START_US + 200 * SECOND_US)
    settle(settings)
    status, err = export(*shlex.split(going_on)[6:])
    assert status == 0, err
    assert set(first) < set(names(tmp_path))
    assert "2026-11-23T10-03-20.000000Z.fits" in names(tmp_path)


def test_a_broker_that_dies_in_the_middle(own_kafka, topic_prefix, start_export, tmp_path):
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    publisher = GroupPublisher(settings)
    for second in range(12):
        publisher.publish(START_US + second * SECOND_US, sources=("sb0", "sb1"), shape=(1024, 2048))
    settle(settings)
    process = start_export(
        own_kafka.bootstrap_servers, tmp_path, TRAPLINE_BROKER_WAIT_S="2", TRAPLINE_MAX_FRAME_BYTES="9000000"
    )
    wait_until(lambda: any(each.suffix == ".fits" for each in tmp_path.iterdir()), "a file", 60)
    own_kafka.kill()
    _, err = process.communicate(timeout=timeout_s(60))
    assert "Traceback" not in err
    done = names(tmp_path)
    assert all(each.endswith(".fits") for each in done)
    if process.returncode:  # all was fetched already: then it ends well
        assert process.returncode == 1
        assert "trapline: to go on: trapline export" in err
        assert "error" in err.splitlines()[-1]
    own_kafka.start()
    process = start_export(own_kafka.bootstrap_servers, tmp_path)
    _, err = process.communicate(timeout=timeout_s(60))
    assert process.returncode == 0, err
    assert len(names(tmp_path)) == 12
    assert f'"files_there_already": {len(done)}' in err


def test_a_broker_that_comes_back_is_waited_for(own_kafka, topic_prefix, start_export, tmp_path):
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    publisher = GroupPublisher(settings)
    for second in range(12):
        publisher.publish(START_US + second * SECOND_US, sources=("sb0", "sb1"), shape=(1024, 2048))
    settle(settings)
    process = start_export(
        own_kafka.bootstrap_servers, tmp_path, TRAPLINE_BROKER_WAIT_S=str(timeout_s(60)),
        TRAPLINE_MAX_FRAME_BYTES="9000000",
    )  # fmt: skip
    wait_until(lambda: any(each.suffix == ".fits" for each in tmp_path.iterdir()), "a file", 60)
    own_kafka.kill()
    own_kafka.start()
    _, err = process.communicate(timeout=timeout_s(90))
    assert process.returncode == 0, err
    assert len(names(tmp_path)) == 12


@pytest.mark.parametrize("partitions", [2])
def test_who_goes_on_after_end_loses_no_partition_that_showed_nothing(
    publisher, settings, topic_prefix, start_export, tmp_path
):
    """Kafka is named by options, not by the environment: they are part of what is told."""
    nowhere = {"TRAPLINE_BOOTSTRAP_SERVERS": "127.0.0.1:1", "TRAPLINE_TOPIC_PREFIX": "elsewhere"}
    options = ("--bootstrap-servers", settings.bootstrap_servers, "--topic-prefix", topic_prefix)
    publisher.publish(START_US, partition=1)
    settle(settings)
    live = start_export("", "--end", *options, tmp_path, **nowhere)
    second = iter(range(1, 99))

    def exported():
        publisher.publish(START_US + next(second) * SECOND_US, partition=0)
        return len(list(tmp_path.glob("[!.]*.fits"))) > 1

    wait_until(exported, "two files", 60)
    live.send_signal(signal.SIGINT)
    _, err = live.communicate(timeout=timeout_s(60))
    (going_on,) = [line for line in err.splitlines() if "to go on" in line]
    publisher.publish(START_US + 200 * SECOND_US, partition=1)
    settle(settings)
    process = start_export("", *shlex.split(going_on)[6:], **nowhere)
    _, err = process.communicate(timeout=timeout_s(60))
    assert process.returncode == 0, err
    assert "2026-11-23T10-03-20.000000Z.fits" in names(tmp_path)
    assert name(0) not in names(tmp_path)  # it was there before
