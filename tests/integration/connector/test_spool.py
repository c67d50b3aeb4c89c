"""Kafka away for longer than memory holds, a full spool, a disk that refuses: all arrives, in order."""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from connector.errors import SpoolError
from emulator.frame_server import FrameServer
from runtime.image_server.script import Send
from schemas.pixel_order import PixelOrder
from schemas.source import ServerSource
from tests.support.connector import MIB, RunningConnector, by_source, make_topics, read_topic, source
from tests.support.connector_process import ConnectorProcess
from tests.support.frames import T0_US, make_frame
from tests.support.waiting import wait_until

SECOND_US = 1_000_000
KIB = 1024
SMALL = {"max_frame_bytes": MIB, "queue_max_bytes": 4 * MIB, "spool_segment_bytes": 2 * MIB}
DISK_ERRORS = "trapline_connector_spool_disk_errors_total"
FRAMES = "trapline_connector_frames_total"
DELIVERED = "trapline_connector_delivered_records_total"


def frames(count: int, seed: int = 0, shape=(256, 256)) -> list[bytes]:
    return [
        make_frame(T0_US + number * SECOND_US, seed=seed * 10_000 + number, shape=shape)
        for number in range(count)
    ]


def segments(folder) -> list:
    return sorted(folder.rglob("*.frames"))


def taken_bytes(folder) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.*") if path.is_file())


@pytest.mark.parametrize("mode", ["overflow", "through"])
def test_kafka_is_away_for_longer_than_the_queue_holds(own_kafka, topic_prefix, tmp_path, mode):
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = {f"sb{number}": frames(90, seed=number) for number in range(2)}
    servers = {name: FrameServer() for name in sent}
    for server in servers.values():
        server.start()
    spool = tmp_path / "spool"
    try:
        with RunningConnector(
            own_kafka.bootstrap_servers,
            topic_prefix,
            *(source(name, server.port) for name, server in servers.items()),
            spool=mode,
            spool_dir=spool,
            **SMALL,
        ) as connector:
            wait_until(lambda: all(server.clients for server in servers.values()), "connections")

            def push(start, end):
                for number in range(start, end):
                    for name, server in servers.items():
                        server.push(sent[name][number])

            push(0, 10)
            connector.wait_for(raw=20)
            own_kafka.kill()
            push(10, 60)  # 25 MiB with a queue of 4: all of it is read
            connector.wait_for(frames=120)
            assert taken_bytes(spool) > 20 * MIB
            own_kafka.start()
            push(60, 70)
            connector.wait_for(raw=140)
            own_kafka.pause()
            push(70, 90)
            connector.wait_for(frames=180)
            own_kafka.resume()
            connector.wait_for(raw=180)
            wait_until(lambda: not segments(spool), "the spool to be empty")
            assert connector.totals["broken"] == 0
            assert connector.stop().spooled == 0
    finally:
        for server in servers.values():
            server.stop()
    assert by_source(read_topic(own_kafka.bootstrap_servers, names.raw)) == sent
    assert not any(path.name != "lock" for path in spool.iterdir())


@pytest.mark.parametrize("mode", ["overflow", "through"])
def test_a_full_spool_stops_reading_and_it_goes_on_afterwards(own_kafka, topic_prefix, tmp_path, mode):
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = frames(300)  # 75 MiB
    spool = tmp_path / "spool"
    bound = 8 * MIB
    accepted = []

    class Receipt:
        def sent(self):
            accepted.append(1)

        def lost(self):
            raise AssertionError("a frame did not arrive")

    with (
        FrameServer([Send.of(frame, receipt=Receipt()) for frame in sent]) as server,
        RunningConnector(
            own_kafka.bootstrap_servers,
            topic_prefix,
            source("sb0", server.port),
            spool=mode,
            spool_dir=spool,
            spool_max_bytes=bound,
            **SMALL,
        ) as connector,
    ):
        connector.wait_for(raw=1)
        own_kafka.kill()
        counts = connector.service._counts["sb0"]
        wait_until(
            lambda: counts.back_pressure_s.total > 3 or connector.totals["frames"] == 300,
            lambda: f"back pressure: {counts.back_pressure_s.total}",
            60,
        )
        read_bytes = counts.read_bytes.total
        before_s = counts.back_pressure_s.total
        wait_until(lambda: counts.back_pressure_s.total > before_s + 1, "more of it")
        assert counts.read_bytes.total == read_bytes < 200 * len(sent[0])
        assert bound - 2 * MIB - len(sent[0]) * 2 < taken_bytes(spool) <= bound
        assert connector.error is None
        assert connector.service.stuck() is None
        own_kafka.start()
        connector.wait_for(raw=300)
        assert len(accepted) == 300
        assert connector.totals["reconnects"] == 0
    assert by_source(read_topic(own_kafka.bootstrap_servers, names.raw))["sb0"] == sent


@pytest.mark.parametrize("mode", ["overflow", "through"])
def test_a_stop_without_kafka_keeps_all_for_the_next_run(own_kafka, topic_prefix, tmp_path, mode):
    """The next one begins while Kafka is still away, reads on, and sends both in order."""
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = frames(60)
    options = (
        f"--spool={mode}",
        f"--spool-dir={tmp_path / 'spool'}",
        "--max-frame-bytes=1MiB",
        "--queue-max-bytes=4MiB",
        "--flush-timeout-s=1",
    )
    with FrameServer(sent[:10]) as server:
        options += (f"--source=sb0=tcp://127.0.0.1:{server.port}",)
        with ConnectorProcess(own_kafka.bootstrap_servers, topic_prefix, *options) as connector:
            wait_until(lambda: connector.metrics()[DELIVERED, "sb0"] == 10, "frames", 60)
            # A segment goes once Kafka has all of it: more frames in it would keep the first ten there.
            wait_until(lambda: not segments(tmp_path / "spool"), "the spool to be empty", 60)
            own_kafka.kill()
            server.push(*sent[10:40])  # more than the queue holds
            wait_until(lambda: connector.metrics()[FRAMES, "sb0"] == 40, "frames", 60)
            connector.signal(signal.SIGTERM)
            assert connector.wait() == 0
            assert connector.said("connector stopped")[0]["spooled"] == 30
            assert connector.said("left in the spool, for the next run")[0]["records"] == 30
    with (
        FrameServer(sent[40:]) as server,
        ConnectorProcess(
            own_kafka.bootstrap_servers,
            topic_prefix,
            *options[:-1],
            f"--source=sb0=tcp://127.0.0.1:{server.port}",
        ) as connector,
    ):
        assert (
            connector.wait_until_said("the spool holds what an earlier run left; it is sent first")["records"]
            == 30
        )
        wait_until(lambda: connector.metrics()[FRAMES, "sb0"] == 20, "frames without Kafka", 60)
        own_kafka.start()
        wait_until(lambda: connector.metrics()[DELIVERED, "sb0"] == 50, "all frames", 60)
        connector.signal(signal.SIGTERM)
        assert connector.wait() == 0
        assert connector.said("connector stopped")[0]["spooled"] == 0
    values = by_source(read_topic(own_kafka.bootstrap_servers, names.raw))["sb0"]
    assert list(dict.fromkeys(values)) == sent


def test_the_spool_of_a_source_that_is_gone_is_sent(own_kafka, topic_prefix, tmp_path):
    """With its pixel order and the time of its arrival, which the frames themselves don't say."""
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = frames(5, shape=(16, 24))
    how = {"spool": "through", "spool_dir": tmp_path / "spool", "flush_timeout_s": 0.5, **SMALL}
    with FrameServer() as server:
        gone = ServerSource("gone", "127.0.0.1", server.port, pixel_order=PixelOrder.TRANSPOSED)
        with RunningConnector(own_kafka.bootstrap_servers, topic_prefix, gone, **how) as connector:
            wait_until(lambda: server.clients, "the connection")
            own_kafka.pause()
            server.push(*sent)
            connector.wait_for(frames=5)
            assert connector.stop().spooled == 5
    (index,) = (tmp_path / "spool").rglob("*.index")
    lines = index.read_text()
    own_kafka.resume()
    with (
        FrameServer() as server,
        RunningConnector(
            own_kafka.bootstrap_servers, topic_prefix, source("other", server.port), **how
        ) as connector,
    ):
        wait_until(lambda: not segments(tmp_path / "spool"), "the spool to be empty")
        assert connector.service._counts["gone"].undelivered.total == 0
    raw = [r for r in read_topic(own_kafka.bootstrap_servers, names.raw) if r.source == "gone"]
    values = by_source(raw)["gone"]
    assert list(dict.fromkeys(values)) == sent
    for record in raw:
        assert record.headers["ce_pixelorder"] == "transposed"
        assert record.headers["ce_digest"] in lines


@dataclass(frozen=True)
class RefusingDisk:
    """A disk that refuses what is written, and later takes it.

    Attributes:
        folder: on it.
        refuse: makes it refuse, given the connector and the bytes of a frame.
        take: makes it take all again, given the connector.
        cause: what the system says meanwhile.
    """

    folder: Path
    refuse: Callable[[ConnectorProcess, int], None]
    take: Callable[[ConnectorProcess], None]
    cause: str


def bounded_files(folder):
    """A disk on which the connector's files may only have two and a half frames."""

    def bound(connector, size):
        _, hard = psutil.Process(connector.pid).rlimit(resource.RLIMIT_FSIZE)
        psutil.Process(connector.pid).rlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))

    return RefusingDisk(
        folder,
        refuse=lambda connector, frame_bytes: bound(connector, frame_bytes * 5 // 2),
        take=lambda connector: bound(connector, None),
        cause="File too large",
    )


def small_tmpfs(folder):
    """A real one of 6 MiB, smaller than spool_max_bytes, which grows."""

    def refuse(_connector, frame_bytes):
        assert shutil.disk_usage(folder).total < 30 * frame_bytes

    def take(_connector):
        assert shutil.disk_usage(folder).free < MIB
        assert _mount("-o", "remount,size=64m", folder).returncode == 0

    return RefusingDisk(folder, refuse=refuse, take=take, cause="No space left on device")


@pytest.fixture
def full_disk(tmp_path):
    """A small disk. Who is not root may mount none, and gets the other one that refuses within a frame."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        yield bounded_files(folder)
        return
    done = _mount("-t", "tmpfs", "-o", "size=6m", "tmpfs", folder)
    if done.returncode:
        pytest.fail(
            "the proof of a full disk needs the right to mount a tmpfs (CAP_SYS_ADMIN), which this root has "
            f"not: {done.stderr.strip()}"
        )
    try:
        yield small_tmpfs(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _mount(*options):
    return subprocess.run(["mount", *options], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("mode", ["overflow", "through"])
def test_a_disk_that_refuses_is_waited_for(own_kafka, topic_prefix, tmp_path, mode):
    """As a full disk does: a part of a frame is taken, then an error comes. Afterwards it goes on."""
    _refused_and_waited_for(own_kafka, topic_prefix, bounded_files(tmp_path), mode)


@pytest.mark.parametrize("mode", ["overflow", "through"])
def test_a_full_disk_is_waited_for_and_nothing_is_lost(own_kafka, topic_prefix, full_disk, mode):
    """It grows, and all of it goes on."""
    _refused_and_waited_for(own_kafka, topic_prefix, full_disk, mode)


def _refused_and_waited_for(own_kafka, topic_prefix, disk, mode):
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = frames(60)
    with (
        FrameServer(sent[:2]) as server,
        ConnectorProcess(
            own_kafka.bootstrap_servers,
            topic_prefix,
            f"--source=sb0=tcp://127.0.0.1:{server.port}",
            f"--spool={mode}",
            f"--spool-dir={disk.folder / 'spool'}",
            "--max-frame-bytes=1MiB",
            "--queue-max-bytes=4MiB",
        ) as connector,
    ):
        wait_until(lambda: connector.metrics()[DELIVERED, "sb0"] == 2, "frames", 60)
        own_kafka.pause()
        disk.refuse(connector, len(sent[0]))
        server.push(*sent[2:])
        line = connector.wait_until_said("the disk refuses; it is tried again, and nothing is discarded")
        assert (line["operation"], line["cause"]) == ("write", disk.cause)
        wait_until(
            lambda: (
                connector.said("the source is not read")
                and connector.said("the source is not read")[0]["cause"] == "the spool can't be written"
            ),
            "the source not to be read",
        )
        read = connector.metrics()[FRAMES, "sb0"]
        assert read < 50
        assert connector.get("/livez")[0] == 200
        disk.take(connector)
        connector.wait_until_said("the spool can be written again")
        wait_until(lambda: connector.metrics()[FRAMES, "sb0"] == 60, "all frames", 60)
        own_kafka.resume()
        wait_until(lambda: connector.metrics()[DELIVERED, "sb0"] == 60, "all frames in Kafka", 60)
        connector.signal(signal.SIGTERM)
        assert connector.wait() == 0
    assert by_source(read_topic(own_kafka.bootstrap_servers, names.raw))["sb0"] == sent


def test_two_connectors_on_one_spool_are_refused(kafka, topic_prefix, tmp_path):
    make_topics(kafka.bootstrap_servers, topic_prefix)
    how = (
        f"--source=sb0=tcp://127.0.0.1:{1}",
        "--spool=through",
        f"--spool-dir={tmp_path / 'spool'}",
    )
    with ConnectorProcess(kafka.bootstrap_servers, topic_prefix, *how) as first:
        first.wait_until_said("can't connect")
        with ConnectorProcess(kafka.bootstrap_servers, topic_prefix, *how) as second:
            assert second.wait() == 1
        assert f"is used by another connector (process {first.pid} on " in second.last_line
        assert "Traceback" not in "".join(second.lines)
    # The lock is gone with its process, which was killed.
    with ConnectorProcess(kafka.bootstrap_servers, topic_prefix, *how) as third:
        third.wait_until_said("can't connect")


def test_a_spool_for_other_topics_is_refused(own_kafka, topic_prefix, tmp_path):
    make_topics(own_kafka.bootstrap_servers, topic_prefix)
    how = {"spool": "through", "spool_dir": tmp_path / "spool", "flush_timeout_s": 0.5, **SMALL}
    with FrameServer() as server:
        with RunningConnector(
            own_kafka.bootstrap_servers, topic_prefix, source("sb0", server.port), **how
        ) as connector:
            wait_until(lambda: server.clients, "the connection")
            own_kafka.kill()
            server.push(*frames(2, shape=(16, 24)))
            connector.wait_for(frames=2)
            assert connector.stop().spooled == 2
        with pytest.raises(
            SpoolError, match=f"holds frames for the topics of '{topic_prefix}', not of 'other'"
        ):
            RunningConnector(own_kafka.bootstrap_servers, "other", source("sb0", server.port), **how)
