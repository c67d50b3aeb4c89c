"""`trapline connector` as a process: signals, exit statuses, and what a SIGKILL costs."""

import json
import signal
import threading
import time

import pytest

from emulator.frame_server import FrameServer
from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from tests.support.connector import by_source, make_topics, read_topic
from tests.support.connector_process import ConnectorProcess
from tests.support.frames import T0_US, make_frame
from tests.support.waiting import timeout_s, wait_until

SECOND_US = 1_000_000
FRAMES = "trapline_connector_frames_total"
DELIVERED = "trapline_connector_delivered_records_total"


def frames(count: int, shape=(64, 64)) -> list[bytes]:
    return [make_frame(T0_US + number * SECOND_US, seed=number, shape=shape) for number in range(count)]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT], ids=lambda end: end.name)
def test_a_signal_delivers_all_that_was_read(kafka, topic_prefix, end):
    """In the middle of a flood: what the last lines count is what raw holds, and no frame is cut."""
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    settings = EmulatorSettings(
        emulator_port=0, emulator_sources=3, emulator_size=256, emulator_rate="max", emulator_ring=4
    )
    with (
        Emulator(settings) as emulator,
        ConnectorProcess(
            kafka.bootstrap_servers, topic_prefix, f"--source={emulator.sources_value}"
        ) as connector,
    ):
        wait_until(lambda: connector.metrics()[DELIVERED, "sb2"] >= 50, "frames", 60)
        connector.signal(end)
        assert connector.wait() == 0
    summary = connector.said("connector stopped")[0]
    counted = {line["source"]: line for line in connector.said("counted")}
    raw = by_source(read_topic(kafka.bootstrap_servers, names.raw))
    assert {name: len(values) for name, values in raw.items()} == {
        name: line["frames"] for name, line in counted.items()
    }
    assert summary["frames"] == summary["delivered"] == sum(map(len, raw.values()))
    # Also the frame that was under way is accounted for.
    rejects = read_topic(kafka.bootstrap_servers, names.rejects)
    assert {record.headers["ce_reason"] for record in rejects} <= {"incomplete"}
    skipped = sum(int(record.headers["ce_bytes"]) for record in rejects)
    assert summary["read_bytes"] == skipped + sum(len(value) for values in raw.values() for value in values)


def test_sigterm_without_kafka_says_what_is_not_delivered(own_kafka, topic_prefix):
    names = make_topics(own_kafka.bootstrap_servers, topic_prefix)
    sent = frames(30)
    with (
        FrameServer(sent[:10]) as server,
        ConnectorProcess(
            own_kafka.bootstrap_servers,
            topic_prefix,
            f"--source=sb0=tcp://127.0.0.1:{server.port}",
            "--flush-timeout-s=1",
        ) as connector,
    ):
        wait_until(lambda: connector.metrics()[DELIVERED, "sb0"] == 10, "frames", 60)
        own_kafka.kill()
        server.push(*sent[10:])
        wait_until(lambda: connector.metrics()[FRAMES, "sb0"] == 30, "frames", 60)
        assert connector.metrics()["trapline_connector_queue_records", "sb0"] == 20
        assert connector.metrics()["trapline_connector_queue_bytes", "sb0"] == 20 * len(sent[0])
        assert connector.get("/livez")[0] == 200
        wait_until(lambda: connector.get("/readyz")[0] == 503, "it not to be ready")
        began_s = time.monotonic()
        connector.signal(signal.SIGTERM)
        assert connector.wait() == 1
        assert time.monotonic() - began_s < timeout_s(15)
    assert connector.last_line == (
        "trapline: error: 20 of the records that were read are not in Kafka: it did not acknowledge them "
        "within 1 s (TRAPLINE_FLUSH_TIMEOUT_S)"
    )
    own_kafka.start()
    assert by_source(read_topic(own_kafka.bootstrap_servers, names.raw)) == {"sb0": sent[:10]}


def test_a_sigkill_costs_what_was_in_memory_and_nothing_else(kafka, topic_prefix, tmp_path):
    """Nothing is in raw twice; what a server gave away and raw lacks is one run of frames at the kill.

    That run is what the connector had read and Kafka had not acknowledged, what was in the kernel, and
    what was sent until the connector was back: a server does not repeat itself.
    """
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    truth = tmp_path / "truth.jsonl"
    settings = EmulatorSettings(
        emulator_port=0,
        emulator_sources=3,
        emulator_size=128,
        emulator_rate=50,
        emulator_frames=400,
        emulator_truth=truth,
    )
    with Emulator(settings) as emulator:
        options = (kafka.bootstrap_servers, topic_prefix, f"--source={emulator.sources_value}")
        with ConnectorProcess(*options) as connector:
            wait_until(lambda: connector.metrics()[DELIVERED, "sb2"] >= 50, "frames", 60)
            acknowledged = {name: connector.metrics()[DELIVERED, name] for name in ("sb0", "sb1", "sb2")}
            connector.signal(signal.SIGKILL)
            assert connector.wait() == -signal.SIGKILL
        at_the_kill = {name: len(values) for name, values in raw_of(kafka, names).items()}
        with ConnectorProcess(*options) as connector:
            assert emulator.wait(60)
            wait_until(
                lambda: connector.metrics()[FRAMES, "sb2"] == connector.metrics()[DELIVERED, "sb2"] > 0,
                "the rest",
            )
            connector.signal(signal.SIGTERM)
            assert connector.wait() == 0
    raw = read_topic(kafka.bootstrap_servers, names.raw)
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    for name in ("sb0", "sb1", "sb2"):
        given = [line["digest"] for line in lines if line["source"] == name]
        there = [record.headers["ce_digest"] for record in raw if record.source == name]
        assert at_the_kill[name] >= acknowledged[name]
        assert len(set(there)) == len(there)
        first = at_the_kill[name]
        again = given.index(there[first])
        assert there == given[:first] + given[again:]
        assert 0 <= again - first < 350


def raw_of(kafka, names):
    return by_source(read_topic(kafka.bootstrap_servers, names.raw))


def test_a_stop_while_it_waits_for_kafka(topic_prefix):
    with FrameServer(frames(1)) as server:
        source = f"--source=sb0=tcp://127.0.0.1:{server.port}"
        with ConnectorProcess("127.0.0.1:1", topic_prefix, source) as connector:
            line = connector.wait_until_said("waiting for Kafka; nothing is read until it answers")
            assert line["bootstrap_servers"] == "127.0.0.1:1"
            status, text = connector.get("/readyz")
            assert status == 503
            assert "TRAPLINE_BOOTSTRAP_SERVERS" in text
            assert connector.get("/livez")[0] == 200
            connector.signal(signal.SIGTERM)
            assert connector.wait() == 0
        assert server.connections == 0


def test_a_second_signal_ends_it_at_once(own_kafka, topic_prefix):
    make_topics(own_kafka.bootstrap_servers, topic_prefix)
    with (
        FrameServer(frames(5)) as server,
        ConnectorProcess(
            own_kafka.bootstrap_servers, topic_prefix, f"--source=sb0=tcp://127.0.0.1:{server.port}"
        ) as connector,
    ):
        wait_until(lambda: connector.metrics()[DELIVERED, "sb0"] == 5, "frames", 60)
        own_kafka.pause()
        try:
            server.push(frames(6)[5])
            wait_until(lambda: connector.metrics()[FRAMES, "sb0"] == 6, "the frame", 60)
            connector.signal(signal.SIGTERM)
            connector.wait_until_said("stopping; a second signal ends the process at once")
            threading.Event().wait(0.5)
            connector.signal(signal.SIGTERM)
            assert connector.wait() == -signal.SIGTERM
        finally:
            own_kafka.resume()


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ((), 2, "names no source"),
        (("--source=sb0=udp://127.0.0.1:1",), 2, "begins with 'udp', not tcp:// or file://"),
        (("--source=sb0=tcp://127.0.0.1:1", "--source=sb0=tcp://127.0.0.1:2"), 2, "is given twice"),
        (("--source=sb0=tcp://127.0.0.1:1", "--stall-timeout-s=soon"), 2, "--stall-timeout-s"),
        (("--source=sb0=tcp://127.0.0.1:1", "--queue-max-bytes=1MiB"), 2, "--queue-max-bytes"),
        (("--source=sb0=tcp://127.0.0.1:1",), 1, "does not exist; `trapline topics create` makes it"),
    ],
)
def test_what_is_wrong_is_one_clear_line(kafka, topic_prefix, options, status, words):
    with ConnectorProcess(kafka.bootstrap_servers, topic_prefix, *options) as connector:
        assert connector.wait() == status
    errors = "".join(line for line in connector.lines if not line.startswith("{"))
    assert errors.startswith("trapline: error: ")
    assert words in errors
    assert "Traceback" not in errors
