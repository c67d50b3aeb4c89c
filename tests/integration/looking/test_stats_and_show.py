"""`trapline stats` and `trapline show` on a real Kafka."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from consumer import latency
from consumer.errors import BrokerUnreachableError
from consumer.history import History
from consumer.latency import LatencyMeter
from consumer.stream import GroupStream
from schemas.fits_image import encode_image
from schemas.timestamp import format_timestamp
from schemas.window import decode_window
from tests.support.group_topics import delete_images, make_topics, settle
from tests.support.published_groups import (
    SECOND_US,
    SOURCES,
    START_US,
    GroupPublisher,
    frame_of,
    pixels_of,
)
from tests.support.waiting import timeout_s
from trapline import cli

START = "2026-11-23T10:00:00.000000Z"


def at(second):
    return START_US + round(second * SECOND_US)


def test_stats_of_all_and_of_a_range(settings, publisher, verb, verb_json):
    received_us = time.time_ns() // 1000 - 2 * SECOND_US
    for second in (0, 1, 2, 3, 7, 8):
        present = SOURCES if second != 2 else ("sb0",)
        publisher.publish(at(second), sources=present, receive_time_us=received_us)
    publisher.publish(at(2), revision=2)
    settle(settings)
    stats = verb_json("stats")
    assert (stats["groups"], stats["images"], stats["complete"], stats["repairs"]) == (6, 16, 5, 1)
    assert stats["closed_by"] == {"complete": 5, "grace": 1}
    assert (stats["gaps"], stats["missing_timestamps"], stats["cadence_s"]) == (1, 3, 1.0)
    assert stats["first_gaps"] == [
        {"after": "2026-11-23T10:00:03.000000Z", "before": "2026-11-23T10:00:07.000000Z", "missing": 3}
    ]
    assert stats["sources"]["sb1"] == {"expected": 6, "missing": 1}
    latency = stats["latency_s"]
    assert latency["sampled_groups"] == 6
    assert 1.9 < latency["median"] <= latency["p99"] <= latency["max"] < timeout_s(60)
    last = verb_json("stats", "--last", "3")
    assert (last["groups"], last["repairs"]) == (2, 1)
    part = verb_json("stats", "--from", START, "--to", "2026-11-23T10:00:03", "--sources", "sb0")
    assert (part["groups"], part["images"], part["complete"]) == (3, 3, 3)
    text = verb("stats")
    assert "6 groups, 16 images" in text
    assert "3 between 2026-11-23T10:00:03.000000Z and 2026-11-23T10:00:07.000000Z" in text
    assert verb_json("stats", "--cadence", "0.5")["missing_timestamps"] == 4 + 7


def test_latency_is_not_known_of_images_that_are_gone(settings, publisher, verb_json):
    groups = publisher.run(4)
    settle(settings)
    delete_images(settings, groups[2].entry.first_offset)
    latency = verb_json("stats")["latency_s"]
    assert (latency["sampled_groups"], latency["images_gone"]) == (2, 2)


def test_the_latency_of_large_images_is_of_the_whole_range(settings, publisher, verb_json, monkeypatch):
    now_us = time.time_ns() // 1000
    for second in range(40):
        received_us = now_us - (second + 1) * 1000 * SECOND_US
        publisher.publish(at(second), sources=("sb0",), receive_time_us=received_us)
    settle(settings)
    image = 2 * 2880  # bytes: header and pixels of a FITS file
    monkeypatch.setattr(latency, "MAX_BYTES", 10 * image)
    found = verb_json("stats")["latency_s"]
    assert found["sampled_groups"] == 11
    assert found["max"] > 20_000  # of the newer half
    assert found["median"] > 8_000  # of the older half is not all


def test_stats_of_nothing(settings, publisher, verb):
    assert "nothing has been published yet" in verb("stats", status=3)
    publisher.run(1)
    settle(settings)
    assert f"the newest is of {START}" in verb("stats", "--from", "2027-01-01", status=3)
    assert "--follow" in verb("stats", "--end", status=2)
    assert "is no time" in verb("stats", "--from", "soon", status=2)
    assert "does not exist" in verb("stats", "--topic-prefix", "nobodys", status=1)


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stats_follow_what_comes_until_a_signal(publisher, number):
    publisher.run(2)
    with subprocess.Popen(
        [sys.executable, "-m", "trapline", "stats", "--follow", "--interval", "0.2", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["groups"] == 0  # what is there is not new
            publisher.publish(at(2), sources=("sb0",))
            seen = {"groups": 0}
            while not seen["groups"]:
                seen = json.loads(process.stdout.readline())
            assert (seen["complete"], seen["sources"]["sb1"]["missing"]) == (0, 1)
            assert seen["latency_s"]["sampled_groups"] == 1
            process.send_signal(number)
            _, err = process.communicate(timeout=timeout_s(60))
        finally:
            process.kill()
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_range_first_and_then_what_comes(settings, publisher, verb):
    publisher.run(3)
    settle(settings)
    process = subprocess.Popen(
        [sys.executable, "-m", "trapline", "stats", "--follow", "--last", "2", "--interval", "0.2", "--json",
         "--limit", "4"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["groups"] == 2
            publisher.run(4, first_us=at(3))
            lines = [json.loads(line) for line in process.stdout]
            assert sum(line["groups"] for line in lines) == 2  # the limit is of all together
            assert process.wait(timeout_s(60)) == 0
        finally:
            process.kill()
    assert verb("stats", "--last", "5")


def test_a_limit_that_the_range_reaches_ends_the_following(settings, publisher, verb_json):
    publisher.run(3)
    settle(settings)
    assert verb_json("stats", "--follow", "--last", "2", "--limit", "2")["groups"] == 2


@pytest.mark.parametrize("partitions", [2])
def test_the_following_of_a_range_ends_with_the_range(publisher):
    """Each partition has to show its end, whatever the other one shows."""
    end = at(3)
    process = subprocess.Popen(
        [sys.executable, "-m", "trapline", "stats", "--follow", "--interval", "0.2", "--json",
         "--to", format_timestamp(end)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["groups"] == 0
            publisher.run(5, partition=0)
            seen = 0
            while seen < 3:
                seen += json.loads(process.stdout.readline())["groups"]
            publisher.publish(at(2), partition=1)  # not over yet
            while seen < 4:
                seen += json.loads(process.stdout.readline())["groups"]
            assert process.poll() is None
            publisher.publish(end, partition=1)
            lines = [json.loads(line) for line in process.stdout]
            assert seen + sum(line["groups"] for line in lines) == 4
            assert process.wait(timeout_s(60)) == 0
        finally:
            process.kill()


def test_the_following_of_a_range_that_is_past_ends_with_what_is_there(settings, publisher, verb_json):
    publisher.run(3)
    settle(settings)
    stats = verb_json("stats", "--follow", "--beginning", "--to", format_timestamp(at(2)))
    assert stats["groups"] == 2


def test_images_of_the_size_of_the_telescope_s(settings, publisher, verb_json):
    # A look fetches little, and a record that is larger has to come all the same.
    for second in range(3):
        publisher.publish(at(second), shape=(1024, 1024))
    settle(settings)
    with GroupStream(
        settings, group_id=f"{settings.topic_prefix}.one", start="beginning", max_groups=1
    ) as stream:
        list(stream)
    assert verb_json("stats")["latency_s"]["sampled_groups"] == 3
    (revision,) = verb_json("show", START)["revisions"]
    assert [image["pixels"]["shape"] for image in revision["images"]] == [[1024, 1024]] * 3
    (lag,) = (
        each for each in verb_json("status")["consumer_groups"] if each["consumer_group"].endswith(".one")
    )
    assert lag["groups_behind"] == 2
    assert lag["seconds_behind"] > 0


def test_show(settings, publisher, verb, verb_json):
    published = publisher.publish(START_US, sources=("sb0", "sb2"))
    settle(settings)
    (revision,) = verb_json("show", START)["revisions"]
    assert (revision["revision"], revision["missing"], revision["partition"]) == (1, ["sb1"], 0)
    assert (revision["first_offset"], revision["last_offset"]) == (0, 1)
    first, second = revision["images"]
    assert (first["source"], second["source"], second["offset"]) == ("sb0", "sb2", 1)
    pixels = pixels_of(START_US, "sb2")
    assert second["pixels"]["shape"] == list(pixels.shape)
    assert second["pixels"]["nan"] == 0
    assert second["pixels"]["min"] == float(pixels.min())
    assert second["pixels"]["max"] == float(pixels.max())
    assert second["pixels"]["mean"] == float(pixels.mean(dtype=np.float64))
    assert second["headers"]["ce_groupid"] == published.entry.group_id
    assert any(card.startswith("DATE-OBS= '2026-11-23T10:00:00") for card in second["cards"])
    text = verb("show", "2026-11-23T11:00:00+01:00", "--headers")
    assert "2 of 3 images, closed by grace" in text
    assert "missing: sb1" in text
    assert f"  ce_groupid: {published.entry.group_id}" in text
    assert "TELESCOP= 'AARTFAAC'" in text


def test_pixels_that_are_no_numbers(settings, publisher, verb_json):
    values = []
    for source, odd in zip(SOURCES, (np.nan, np.inf, 0.0), strict=True):
        window = decode_window(frame_of(START_US, source))
        pixels = np.full_like(window.pixels, odd) if source == "sb0" else window.pixels.copy()
        pixels.flat[0] = odd
        window = type(window)(
            window.timestamp_us, window.shape, window.frequency_hz, window.cards, pixels, window.pixel_order
        )
        values.append(encode_image(window))
    publisher.publish(START_US, values=values)
    settle(settings)
    nan, infinite, plain = (image["pixels"] for image in verb_json("show", START)["revisions"][0]["images"])
    assert (nan["nan"], nan["min"], nan["mean"]) == (48, None, None)
    assert (infinite["max"], infinite["nan"]) == ("inf", 0)
    assert plain["nan"] == 0


def test_all_revisions_and_images_that_are_gone(settings, publisher, verb, verb_json):
    first = publisher.publish(START_US, sources=("sb0",))
    publisher.publish(START_US + SECOND_US)
    publisher.publish(START_US, revision=2)
    settle(settings)
    assert [each["revision"] for each in verb_json("show", START)["revisions"]] == [1, 2]
    delete_images(settings, first.entry.last_offset + 1)
    before, after = verb_json("show", START)["revisions"]
    assert [image["gone"] for image in before["images"]] == [True]
    assert [image["gone"] for image in after["images"]] == [False] * 3
    assert "1 of 1 images are gone" in verb("show", START)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_revision_is_shown_before_the_next_one_is_looked_for(
    settings, publisher, monkeypatch, capsys, as_json
):
    publisher.publish(START_US)
    publisher.publish(START_US, revision=2)
    settle(settings)
    find = History.find

    def broken_off(self, where):
        found = find(self, where)
        yield next(found)
        raise BrokerUnreachableError("gone meanwhile")

    monkeypatch.setattr(History, "find", broken_off)
    assert cli.run(["show", START, *["--json"] * as_json]) == 1
    captured = capsys.readouterr()
    assert "gone meanwhile" in captured.err.splitlines()[-1]
    if as_json:
        (revision,) = json.loads(captured.out + "]}")["revisions"]
        assert (revision["revision"], len(revision["images"])) == (1, 3)
    else:
        assert f"{START}  revision 1  3 of 3 images" in captured.out


def test_an_image_that_is_no_fits_file(settings, publisher, verb, verb_json):
    publisher.publish(START_US, values=[b"\x1b[31m no FITS"] * 3)
    settle(settings)
    image = verb_json("show", START)["revisions"][0]["images"][0]
    assert image["pixels"] is None
    assert image["problem"]
    assert "\x1b" not in verb("show", START)


def test_a_timestamp_that_is_not_there(settings, publisher, verb):
    assert "the catalogue is empty" in verb("show", START, status=3)
    for second in (0, 10, 1, 20, 2, 30):
        publisher.publish(at(second))
    settle(settings)
    missing = verb("show", "2026-11-23T10:00:09", status=3)
    assert missing.endswith(
        ", ".join(f"2026-11-23T10:00:{second:02}.000000Z" for second in (0, 1, 2, 10, 20))
    )
    assert "is no time" in verb("show", "yesterday", status=2)
    assert "does not exist" in verb("show", START, "--topic-prefix", "nobodys", status=1)


def test_a_kafka_that_comes_back_amid_it_is_waited_for(own_kafka, topic_prefix, monkeypatch, verb_json):
    settings = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    GroupPublisher(settings).run(3)
    settle(settings)
    measure, back = LatencyMeter.measure, []

    def without_kafka(meter, sample):
        own_kafka.kill()
        back.append(threading.Thread(target=own_kafka.start))
        back[0].start()
        return measure(meter, sample)

    monkeypatch.setattr(LatencyMeter, "measure", without_kafka)
    where = ("--bootstrap-servers", own_kafka.bootstrap_servers, "--topic-prefix", topic_prefix)
    try:
        stats = verb_json("stats", *where, "--broker-wait-s", str(timeout_s(60)))
    finally:
        for thread in back:
            thread.join()
    assert stats["latency_s"]["sampled_groups"] == 3


def test_a_kafka_that_is_away(capsys):
    away = ["--bootstrap-servers", "127.0.0.1:1", "--broker-wait-s", "1", "--topic-prefix", "x"]
    for args in (["stats"], ["show", START]):
        assert cli.run([*args, *away]) == 1
        assert "Kafka does not answer" in capsys.readouterr().err.splitlines()[-1]
