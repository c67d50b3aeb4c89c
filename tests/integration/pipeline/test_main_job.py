"""The whole main job as separate processes: what the image servers sent is what a foreign reader gets."""

import json
import os
import signal
from collections import defaultdict

import numpy as np
import pytest

from schemas.digest import frame_digest
from schemas.window import decode_window
from tests.support.groups_reader import read_all, read_entries, read_groups
from tests.support.waiting import timeout_s, wait_until
from trapline.demo.processes import Stage, Stages


class Pipeline:
    """Emulator, connector and grouper of one prefix; any of them may be killed and started again."""

    def __init__(self, stages: Stages, bootstrap: str, prefix: str, folder):
        self.stages, self.bootstrap, self.prefix, self.folder = stages, bootstrap, prefix, folder
        self.truth = folder / "truth.jsonl"
        stages.tell(bootstrap_servers=bootstrap, topic_prefix=prefix, log_format="json")

    def start(self, *emulator, grouper=("--session-timeout-s=6", "--group-instance-id=g0")):
        self.stages.run("topics", "create")
        ports = self.folder / "ports"
        self.emulator = self.stages.start(
            "emulator",
            "--port=0",
            "--wait-for-clients=1",
            f"--ports-file={ports}",
            f"--truth={self.truth}",
            *emulator,
        )
        self.stages.tell(sources=self.stages.wait_for_file(ports, timeout_s(60)))
        self.grouper_options = grouper
        self.start_grouper()
        self.start_connector()

    def start_grouper(self):
        self.grouper = self.stages.start("grouper", *self.grouper_options)

    def start_connector(self):
        self.connector = self.stages.start("connector")

    def kill(self, stage: Stage):
        """SIGKILL."""
        os.kill(stage.pid, signal.SIGKILL)
        assert stage.wait(timeout_s(10)) == -signal.SIGKILL

    def sent(self) -> dict[tuple[str, str], str]:
        lines = (
            json.loads(line) for line in self.truth.read_text().splitlines(keepends=True) if line[-1] == "\n"
        )
        return {(line["timestamp"], line["source"]): line["digest"] for line in lines}

    def groups(self):
        return read_groups(self.bootstrap, f"{self.prefix}.groups")

    def wait_for_groups(self, count: int, timeout: float = 90):
        wait_until(
            lambda: len(read_entries(self.bootstrap, f"{self.prefix}.catalogue")) >= count,
            timeout=timeout,
            message=f"{count} groups",
        )

    def raw_frames(self):
        return {r.offset: r.value for r in read_all(self.bootstrap, f"{self.prefix}.raw")}


@pytest.fixture
def pipeline(kafka, topic_prefix, tmp_path):
    with Stages(tmp_path) as stages:
        yield Pipeline(stages, kafka.bootstrap_servers, topic_prefix, tmp_path)


def assert_equal_to_truth(pipeline: Pipeline):
    """By digest and by pixel, each timestamp once, nothing rejected."""
    expected = defaultdict(dict)
    for (timestamp, source), digest in pipeline.sent().items():
        expected[timestamp][source] = digest
    groups = pipeline.groups()
    assert [group.timestamp for group in groups] == sorted(expected)
    frames = pipeline.raw_frames()
    for group in groups:
        assert group.digests == expected[group.timestamp]
        for record in group.records:
            frame = frames[int(record.headers["ce_rawoffset"])]
            assert frame_digest(frame) == expected[group.timestamp][record.headers["ce_subject"]]
            window = decode_window(frame)
            assert np.array_equal(record.pixels(), window.pixels)
    assert read_all(pipeline.bootstrap, f"{pipeline.prefix}.rejects") == []


def test_full_size_images_faster_than_real_time(pipeline):
    """6 x 1024 x 1024 float32, as fast as they are read: 576 MiB."""
    pipeline.start("--sources=6", "--size=1024", "--rate=max", "--frames=24")
    pipeline.wait_for_groups(24, timeout=180)
    assert_equal_to_truth(pipeline)


def test_full_size_images_in_real_time(pipeline):
    pipeline.start("--sources=6", "--size=1024", "--rate=1", "--frames=5")
    pipeline.wait_for_groups(5)
    assert_equal_to_truth(pipeline)


def test_oblong_transposed_images(pipeline):
    """NAXIS2 fastest, as the old emulator packs them: the source's URL says so."""
    pipeline.start("--sources=3", "--size=40x24", "--rate=20", "--frames=10", "--pixel-order=transposed")
    pipeline.wait_for_groups(10)
    frames = pipeline.raw_frames()
    groups = pipeline.groups()
    assert len(groups) == 10
    for group in groups:
        for record in group.records:
            assert record.headers["ce_pixelorder"] == "transposed"
            pixels = record.pixels()
            assert pixels.shape == (24, 40)
            payload = np.frombuffer(frames[int(record.headers["ce_rawoffset"])][-40 * 24 * 4 :], "<f4")
            assert np.array_equal(pixels, payload.reshape(40, 24).T)


def test_the_grouper_killed_three_times_under_a_flood(pipeline):
    """SIGKILL wherever it happens to be; each life takes over from the last under its static name."""
    pipeline.start("--sources=6", "--size=64", "--rate=100", "--frames=600")
    for count in (50, 150, 250):
        pipeline.wait_for_groups(count)
        pipeline.kill(pipeline.grouper)
        pipeline.start_grouper()
    pipeline.wait_for_groups(600)
    assert_equal_to_truth(pipeline)


def test_the_connector_killed_publishes_nothing_twice_and_loses_only_what_it_had_not_delivered(pipeline):
    """Without a spool, what is lost is what was read and not yet acknowledged; nothing comes twice."""
    pipeline.start("--sources=3", "--size=64", "--rate=50", "--frames=600", "--backlog-frames=600")
    pipeline.wait_for_groups(100)
    pipeline.kill(pipeline.connector)
    pipeline.start_connector()
    pipeline.emulator.wait(timeout_s(90))
    last = max(timestamp for timestamp, _source in pipeline.sent())
    wait_until(lambda: pipeline.groups()[-1].timestamp == last, timeout=60)
    sent = pipeline.sent()
    groups = pipeline.groups()
    timestamps = [group.timestamp for group in groups]
    assert len(set(timestamps)) == len(timestamps)
    in_groups = {
        (group.timestamp, source): digest for group in groups for source, digest in group.digests.items()
    }
    assert in_groups.items() <= sent.items()
    # What raw has is in groups: from the broker's acknowledgement on, nothing is lost.
    raw = {(r.key, r.headers["ce_subject"]) for r in read_all(pipeline.bootstrap, f"{pipeline.prefix}.raw")}
    assert raw == in_groups.keys()
    missing = {timestamp for timestamp, _source in sent.keys() - in_groups.keys()}
    # All that is missing lies in one gap: from the kill to the new connection of the last source.
    gap = [
        t
        for t in sorted({t for t, _source in sent})
        if min(missing, default="") <= t <= max(missing, default="")
    ]
    assert missing == set(gap)
    assert len(gap) < 300
