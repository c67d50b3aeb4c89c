"""`trapline tail` as a process: what it prints, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from astropy.io import fits

from tests.support.group_topics import committed, settle
from tests.support.published_groups import SECOND_US, START_US, pixels_of
from tests.support.waiting import timeout_s

Tail = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def tail(kafka, topic_prefix) -> Iterator[Tail]:
    """Starts `trapline tail`, and kills it after the test."""
    started = []
    environment = {
        **os.environ,
        "TRAPLINE_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "TRAPLINE_TOPIC_PREFIX": topic_prefix,
    }

    def start(*options: str, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "trapline", "tail", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, **more},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    """Exit status, lines and stderr of a process that ends by itself."""
    out, err = process.communicate(timeout=timeout_s(60))
    return process.returncode, out.splitlines(), err


def test_lines_for_people(publisher, tail):
    publisher.publish(START_US)
    publisher.publish(START_US + SECOND_US, sources=("sb1",))
    status, lines, err = ended(tail("--from-beginning", "--limit", "2"))
    assert status == 0, err
    first, second = (line.split() for line in lines)
    assert first[:2] == ["2026-11-23T10:00:00.000000Z", "3/3"]
    assert first[3:] == ["s", "partition", "0", "offset", "0"]
    assert second[1] == "1/3"
    assert second[-2:] == ["missing", "sb0,sb2"]
    assert '"groups": 2' in err
    assert '"incomplete": 1' in err


def test_json_lines(publisher, tail):
    received_us = time.time_ns() // 1000 - 1_500_000
    publisher.publish(START_US, receive_time_us=received_us)
    publisher.publish(START_US + SECOND_US, sources=("sb1",), receive_time_us=received_us)
    status, lines, err = ended(tail("--from-beginning", "--limit", "2", "--json"))
    assert status == 0, err
    first, second = map(json.loads, lines)
    assert first["timestamp"] == "2026-11-23T10:00:00.000000Z"
    assert (first["size"], first["expected"], first["complete"], first["missing"]) == (3, 3, True, [])
    assert (first["partition"], first["offset"], first["revision"]) == (0, 0, 1)
    assert 1.5 < first["latency_s"] < 1.5 + timeout_s(60)
    assert (second["size"], second["complete"], second["missing"]) == (1, False, ["sb0", "sb2"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--last", "2"], ["02", "03"]),
        (["--from", "2026-11-23T10:00:01"], ["01", "02", "03"]),
        (["--from-beginning", "--require", "all"], ["00", "02", "03"]),
        (["--from-beginning", "--require", "3"], ["00", "02", "03"]),
        (["--beginning", "--complete-only"], ["00", "02", "03"]),
        (["--beginning", "--sources", "sb0"], ["00", "02", "03"]),
        (["--last", "1", "--to", "2026-11-23T10:00:02"], ["01"]),
        (["--offset", "0:5"], ["02", "03"]),
    ],
)
def test_where_it_starts_and_what_it_leaves_out(publisher, tail, options, expected):
    publisher.publish(START_US)
    publisher.publish(START_US + SECOND_US, sources=("sb1", "sb2"))
    publisher.run(2, first_us=START_US + 2 * SECOND_US)
    status, lines, err = ended(tail(*options, "--limit", str(len(expected))))
    assert status == 0, err
    assert [line[17:19] for line in lines] == expected


@pytest.mark.parametrize("partitions", [2])
def test_partitions_that_no_offset_names_are_left_out(publisher, tail):
    publisher.publish(START_US, partition=0)
    process = tail("--offset", "0:0", "--limit", "2")
    first = process.stdout.readline()
    publisher.publish(START_US + SECOND_US, partition=1)  # new ones, too
    publisher.publish(START_US + 2 * SECOND_US, partition=0)
    status, lines, err = ended(process)
    assert status == 0, err
    assert [line[17:19] for line in (first, *lines)] == ["00", "02"]


def test_a_partition_that_is_not_there_is_said(publisher, tail):
    publisher.publish(START_US)
    status, _, err = ended(tail("--offset", "7:0"))
    assert status == 1
    assert "has no partition 7: it has 1" in err


def test_it_ends_when_nothing_comes(publisher, tail):
    publisher.run(2)
    status, lines, err = ended(tail("--from-beginning", "--idle-timeout", "2"))
    assert (status, len(lines)) == (0, 2), err


def test_a_consumer_group_goes_on_where_it_stopped(settings, publisher, tail):
    groups = publisher.run(3)
    assert [line[17:19] for line in ended(tail("--group-id", "people", "--limit", "2"))[1]] == ["00", "01"]
    assert committed(settings, "people") == groups[1].entry.last_offset + 1
    assert [line[17:19] for line in ended(tail("--group-id", "people", "--limit", "1"))[1]] == ["02"]


def test_the_last_group_as_a_fits_file(publisher, tail, tmp_path):
    publisher.run(2)
    path = tmp_path / "group.fits"
    status, _, err = ended(tail("--from-beginning", "--limit", "2", "--write", str(path)))
    assert status == 0, err
    with fits.open(path, checksum=True) as hdus:
        assert hdus[0].header["DATE-OBS"] == "2026-11-23T10:00:01.000000"
        np.testing.assert_array_equal(hdus["sb1"].data, pixels_of(START_US + SECOND_US, "sb1"))


def test_each_group_as_a_fits_file(publisher, tail, tmp_path):
    publisher.publish(START_US)
    publisher.publish(START_US, revision=2)
    status, _, err = ended(tail("--from-beginning", "--limit", "2", "--fits", str(tmp_path)))
    assert status == 0, err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2026-11-23T10-00-00.000000Z.fits",
        "2026-11-23T10-00-00.000000Z_r2.fits",
    ]


def test_the_newest_revision_alone_and_which_it_is(publisher, tail):
    publisher.publish(START_US, sources=("sb1",))
    publisher.publish(START_US, revision=2)
    status, lines, err = ended(tail("--from-beginning", "--revisions", "last", "--limit", "1"))
    assert status == 0, err
    (line,) = lines
    assert "3/3" in line
    assert "revision 2" in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(publisher, tail, number, tmp_path):
    publisher.run(1)
    path = tmp_path / "group.fits"
    process = tail("--from-beginning", "--write", str(path))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("2026-11-23T10:00:00")
    process.send_signal(number)
    status, lines, err = ended(process)
    assert (status, lines) == (0, [])
    assert "Traceback" not in err
    assert "tail ended" in err
    assert path.exists()


def test_a_signal_ends_it_while_it_waits_for_a_broker(tail, unused_port):
    process = tail(TRAPLINE_BOOTSTRAP_SERVERS=f"127.0.0.1:{unused_port}")
    assert process.stderr is not None
    assert "Kafka client reports an error" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    status, _, err = ended(process)
    assert status == 0
    assert "Traceback" not in err


def test_a_reader_that_hangs_up_ends_it_quietly(publisher, tail):
    publisher.run(1)
    process = tail("--from-beginning")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    publisher.run(3, first_us=START_US + SECOND_US)
    process.stdout = None
    assert process.wait(timeout_s(60)) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


def test_what_goes_wrong_is_one_line_and_a_status(tail, topic_prefix, unused_port):
    missing = ended(tail())
    assert missing[0] == 1
    assert f"trapline: error: topic {topic_prefix}.groups does not exist" in missing[2]
    away = ended(tail(TRAPLINE_BOOTSTRAP_SERVERS=f"127.0.0.1:{unused_port}", TRAPLINE_BROKER_WAIT_S="1"))
    assert away[0] == 1
    assert "TRAPLINE_BOOTSTRAP_SERVERS" in away[2].splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "soon"], "'soon' is no time"),
        (["--require", "most"], "say 'all', 'any'"),
        (["--last", "2", "--beginning"], "--beginning and --last exclude each other"),
        (["--last", "2", "--from-beginning"], "--from-beginning excludes"),
        (["--from", "now", "--to", "-1s"], "is not before --to"),
        (["--on-gap", "shrug"], "on-gap"),
    ],
)
def test_a_wrong_option_is_named(tail, options, words):
    status, _, err = ended(tail(*options))
    assert status == 2
    assert words in err


def test_it_ends_at_a_time(publisher, tail):
    publisher.run(4)
    status, lines, err = ended(tail("--from", "2026-11-23T10:00:01", "--to", "2026-11-23T10:00:03"))
    assert status == 0, err
    assert [line[17:19] for line in lines] == ["01", "02"]


def test_a_range_that_is_past_ends_with_the_last_group_there_is(publisher, settings, tail):
    """As `trapline tail --help` has it: nothing comes after it that could end it."""
    now_us = time.time_ns() // 1000
    for minutes in (20, 5, 4):
        publisher.publish(now_us - minutes * 60 * SECOND_US)
    settle(settings)
    status, lines, err = ended(tail("--from", "-10m", "--to", "now"))
    assert (status, len(lines)) == (0, 2), err
