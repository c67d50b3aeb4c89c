"""Files as sources, on a real Kafka: what was captured comes out as it was sent, and nothing is lost."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connector.topics import wait_for_kafka
from emulator.frame_server import FrameServer
from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from schemas.source import FileSource
from schemas.timestamp import format_timestamp
from tests.support.audited import audited
from tests.support.capturing import RunningCapture
from tests.support.connector import MIB, RunningConnector, by_source, make_topics, read_topic, source
from tests.support.connector_process import ConnectorProcess
from tests.support.frames import T0_US, make_frame
from tests.support.grouping import grouping
from tests.support.groups_reader import read_groups
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import timeout_s, wait_until

DELIVERED = "trapline_connector_delivered_records_total"


def frames(count: int, *, shape=(16, 24)) -> list[bytes]:
    return [make_frame(T0_US + number * 1_000_000, seed=number, shape=shape) for number in range(count)]


def raw_of(kafka, names) -> dict[str, list[bytes]]:
    return by_source(read_topic(kafka.bootstrap_servers, names.raw))


def test_what_was_captured_is_what_was_sent(kafka, topic_prefix, tmp_path):
    """Emulator -> capture -> files -> connector -> raw, held against the emulator's truth file."""
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    truth = tmp_path / "truth.jsonl"
    settings = EmulatorSettings(
        emulator_port=0,
        emulator_sources=3,
        emulator_size=200,
        emulator_rate="max",
        emulator_frames=40,
        emulator_wait_for_clients=1,
        emulator_truth=truth,
    )
    with (
        Emulator(settings) as emulator,
        RunningCapture(
            tmp_path / "night", *emulator.sources, capture_frames=40, capture_segment_bytes="1MiB"
        ) as capture,
    ):
        captured = capture.wait()
    assert [each.files for each in captured] == [7, 7, 7]
    with ConnectorProcess(
        kafka.bootstrap_servers, topic_prefix, *(f"--source={each.source}" for each in captured)
    ) as connector:
        assert connector.wait() == 0
    (summary,) = connector.said("connector stopped")
    assert (summary["frames"], summary["delivered"], summary["rejects"]) == (120, 120, 0)
    counted = {line["source"]: line["frames"] for line in connector.said("counted")}
    assert counted == {"sb0": 40, "sb1": 40, "sb2": 40}
    sent = [json.loads(line) for line in truth.read_text().splitlines()]
    records = read_topic(kafka.bootstrap_servers, names.raw)
    by_source(records)  # looks at key and headers
    for name in counted:
        assert [record.headers["ce_digest"] for record in records if record.source == name] == [
            line["digest"] for line in sent if line["source"] == name
        ]


def test_it_ends_only_when_kafka_has_everything(own_kafka, topic_prefix, tmp_path, monkeypatch):
    """Kafka goes away before the first frame: the files wait for it, longer than a stop would."""
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = frames(40, shape=(512, 512))  # 1 MiB each: more than files may have in the queue
    (tmp_path / "night").write_bytes(b"".join(sent))

    def found_and_lost(*args: object) -> bool:
        found = wait_for_kafka(*args)
        own_kafka.kill()
        return found

    monkeypatch.setattr("connector.service.wait_for_kafka", found_and_lost)
    with RunningConnector(
        own_kafka.bootstrap_servers,
        topic_prefix,
        FileSource("sb0", tmp_path / "night"),
        max_frame_bytes=2 * MIB,
        queue_max_bytes=16 * MIB,
        flush_timeout_s=0.1,
    ) as connector:
        connector.wait_for(frames=4)
        wait_until(lambda: connector.service.not_ready() is not None, "it not to be ready")
        assert connector.totals["frames"] <= 6
        assert connector.totals["raw"] == 0
        own_kafka.start()
        connector.wait_for_end()
    assert connector.error is None
    assert connector.summary is not None
    assert connector.summary.delivered == 40
    assert raw_of(own_kafka, names) == {"sb0": sent}


def test_files_beside_a_server(kafka, topic_prefix, tmp_path):
    """The files come to their end and the server goes on; a file that can't be read is told in the end."""
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    folder = tmp_path / "night"
    folder.mkdir()
    (folder / "1").write_bytes(b"".join(frames(3)))
    (folder / "2").symlink_to(tmp_path / "gone")
    (folder / "3").write_bytes(frames(4)[3] + b"garbage")
    with (
        FrameServer(frames(2)) as server,
        RunningConnector(
            kafka.bootstrap_servers, topic_prefix, source("sb0", server.port), FileSource("sb1", folder)
        ) as connector,
    ):
        connector.wait_for(raw=6, rejects_delivered=1)
        wait_until(lambda: connector.service._readers[1].finished, "the end of the files")
        server.push(*frames(5)[2:])
        connector.wait_for(raw=9)
        assert connector.service.not_ready() is None
        connector._shutdown.request()
        connector.wait_for_end()
    assert str(connector.error).startswith(
        "files that could not be read, or not to their end: 1 of sb1; the log says which and why"
    )
    assert raw_of(kafka, names) == {"sb0": frames(5), "sb1": frames(4)}
    (reject,) = read_topic(kafka.bootstrap_servers, names.rejects)
    assert (reject.value, reject.headers["ce_reason"]) == (b"garbage", "bad_magic")
    assert reject.headers["ce_detail"].startswith("3: ")


def test_folders_of_other_lengths_and_rates_give_complete_groups(kafka, topic_prefix, tmp_path):
    """Small images, large ones, and a source with every other image: no source runs ahead of the others.

    Left alone, the reader of the small ones opens as many groups as there may be at a time before the large
    ones have come to the first of them. Two folders are longer than the third.
    """
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix).create()
    seconds = {"sb0": range(120), "sb1": range(100), "sb2": range(0, 120, 2)}
    shapes = {"sb0": (16, 24), "sb1": (512, 512), "sb2": (64, 64)}
    for number, (name, times) in enumerate(seconds.items()):
        (tmp_path / name).mkdir()
        for part in range(0, len(times), 10 + 7 * number):  # one stream, in files of other lengths
            data = (
                raw.frame(at(second), name, shape=shapes[name])
                for second in times[part : part + 10 + 7 * number]
            )
            (tmp_path / name / f"{part:04}.frames").write_bytes(b"".join(data))
    with ConnectorProcess(
        kafka.bootstrap_servers,
        topic_prefix,
        *(f"--source={name}=file://{tmp_path}/{name}" for name in seconds),
        "--max-frame-bytes=2MiB",
        "--queue-max-bytes=64MiB",
    ) as connector:
        assert connector.wait() == 0
    in_order = [record.key for record in read_topic(kafka.bootstrap_servers, raw.names.raw)]
    assert in_order == sorted(in_order)
    with grouping(raw, max_open_groups=4, silent_after=1000, grace_s=5):
        wait_until(lambda: audited(raw, pixels=False).summary["groups"] >= 120, "all groups", 60)
    groups = read_groups(kafka.bootstrap_servers, raw.names.groups)
    assert len(groups) == 120
    for second, group in enumerate(groups):
        assert group.timestamp == format_timestamp(at(second))
        assert set(group.sources) == {name for name, times in seconds.items() if second in times}
    done = audited(raw)
    assert done.findings == ()
    assert done.summary["windows"] == done.summary["members"] == 120 + 100 + 60
    assert read_topic(kafka.bootstrap_servers, raw.names.rejects) == []
    raw.close()


def test_a_stop_ends_between_two_frames_and_reading_again_gives_the_rest(kafka, topic_prefix, tmp_path):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    sent = frames(400, shape=(256, 256))
    (tmp_path / "night").write_bytes(b"".join(sent))
    options = (
        kafka.bootstrap_servers,
        topic_prefix,
        f"--source=sb0=file://{tmp_path}/night",
        "--max-frame-bytes=1MiB",
        "--queue-max-bytes=4MiB",
    )
    with ConnectorProcess(*options) as connector:
        wait_until(lambda: connector.metrics()[DELIVERED, "sb0"] >= 1, "a frame", 60)
        connector.signal(signal.SIGTERM)
        assert connector.wait() == 0
    there = raw_of(kafka, names)["sb0"]
    assert there == sent[: len(there)]
    with ConnectorProcess(*options) as connector:
        assert connector.wait() == 0
    assert raw_of(kafka, names)["sb0"][len(there) :] == sent
    assert read_topic(kafka.bootstrap_servers, names.rejects) == []


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--source=sb0=file:///gone/night",), 1, "source sb0: /gone/night: No such file or directory"),
        (("--source=sb0=file:///gone,sb1=file:///dev/null",), 1, "source sb1: /dev/null: it is no file"),
        (("--source=sb0=file://night",), 2, "three slashes"),
        (("--source=sb0=file:///night?follow",), 2, "only one pixel_order is known"),
    ],
)
def test_what_is_wrong_is_one_clear_line(kafka, topic_prefix, options, status, words):
    with ConnectorProcess(kafka.bootstrap_servers, topic_prefix, *options) as connector:
        assert connector.wait() == status
    errors = "".join(line for line in connector.lines if not line.startswith("{"))
    assert errors.startswith("trapline: error: ")
    assert words in errors
    assert "Traceback" not in errors


def test_a_capture_that_was_killed_costs_the_frame_under_way(tmp_path, kafka, topic_prefix):
    """SIGKILL of `trapline capture` in full swing; what it leaves behind is published."""
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    truth = tmp_path / "truth.jsonl"
    settings = EmulatorSettings(
        emulator_port=0,
        emulator_sources=1,
        emulator_size=512,
        emulator_rate="max",
        emulator_wait_for_clients=1,
        emulator_truth=truth,
    )
    folder = tmp_path / "night" / "sb0"
    with Emulator(settings) as emulator:
        capture = subprocess.Popen(
            [
                *(sys.executable, "-m", "trapline", "capture", f"--source={emulator.sources_value}"),
                *("--output", str(tmp_path / "night"), "--segment-bytes=20MB"),
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: size_of(folder) > 50_000_000, "a recording", 60)
        finally:
            capture.kill()
            capture.wait(timeout_s(10))
    with ConnectorProcess(
        kafka.bootstrap_servers, topic_prefix, f"--source=sb0=file://{folder}", "--max-frame-bytes=2MiB"
    ) as connector:
        assert connector.wait() == 0
    (summary,) = connector.said("connector stopped")
    assert summary["rejects"] <= 1
    there = [record.headers["ce_digest"] for record in read_topic(kafka.bootstrap_servers, names.raw)]
    lines = [json.loads(line) for line in truth.read_text().splitlines(keepends=True) if line[-1] == "\n"]
    assert len(there) == summary["frames"] >= 40
    assert there == [line["digest"] for line in lines][: len(there)]


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else 0
