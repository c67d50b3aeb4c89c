"""`trapline rejects` on a real Kafka: what the two stages reject, and what somebody else put there."""

import json
import time

import pytest

from runtime.kafka import admin_client, raw_producer, transactional_producer, true_end_offsets
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from schemas.digest import frame_digest
from schemas.errors import RejectReason
from schemas.record_headers import RejectHeaders
from schemas.timestamp import format_timestamp, timestamp_key
from tests.support.frames import T0_US, make_frame
from tests.support.waiting import timeout_s, wait_until
from trapline import cli

FRAME = make_frame(T0_US)
DETAIL = ["5000", "bytes", "(10", "kept)", "no", "frame", "0"]
LATE = ["its", "group", "is", "closed"]


class Topic:
    """A rejects topic, as the stages write it."""

    def __init__(self, bootstrap_servers, prefix, partitions):
        settings = TopicsSettings(
            bootstrap_servers=bootstrap_servers, topic_prefix=prefix, partitions=partitions
        )
        create_topics(settings)
        self.settings = settings
        self.name = settings.topics.rejects
        self.admin = admin_client(settings)
        self.producer = raw_producer(settings, queue_bytes=64 * 1024**2)

    def put(self, value, headers, key=None, partition=0):
        """Append a record, and return once another one would get a later append time (in milliseconds)."""
        appended_ms = []
        self.producer.produce(
            self.name, value=value, key=key, headers=headers, partition=partition,
            on_delivery=lambda _error, message: appended_ms.append(message.timestamp()[1]),
        )  # fmt: skip
        assert self.producer.flush(timeout_s(30)) == 0
        wait_until(lambda: time.time_ns() // 1_000_000 > appended_ms[0], "the clock's next millisecond")

    def of_connector(self, number, source="sb0", reason=RejectReason.BAD_MAGIC, partition=0):
        """Bytes between two frames, of which the first are kept."""
        headers = RejectHeaders(
            self.settings.topic_prefix, "connector", source, None, reason, f"no frame {number}",
            T0_US + number, total_bytes=5000, truncated=True,
        )  # fmt: skip
        self.put(b"x" * 10, headers.encode(), partition=partition)

    def of_grouper(self, number, source="sb1", partition=0):
        """A late window, whole."""
        self.put(FRAME, self.late(number, source).encode(), timestamp_key(T0_US), partition)

    def late(self, number, source="sb1"):
        return RejectHeaders(
            self.settings.topic_prefix, "grouper", source, T0_US, RejectReason.LATE, "its group is closed",
            T0_US + number, len(FRAME), truncated=False, digest=frame_digest(FRAME),
            raw_partition=0, raw_offset=number,
        )  # fmt: skip


@pytest.fixture
def partitions():
    return 1


@pytest.fixture
def topic(kafka, topic_prefix, partitions, monkeypatch):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFIX", topic_prefix)
    return Topic(kafka.bootstrap_servers, topic_prefix, partitions)


@pytest.fixture
def rejects(capsys):
    """Runs the verb; gives the lines on stdout."""

    def run(*args, status=0):
        assert cli.run(["rejects", *args]) == status
        captured = capsys.readouterr()
        return captured.out.splitlines() if status == 0 else captured.err.splitlines()[-1]

    return run


def test_nothing_was_rejected(topic, rejects):  # noqa: ARG001  the topic is there
    assert rejects("list") == []
    assert rejects("list", "--last", "5", "--json") == []


def test_a_line_says_what_where_and_why(topic, rejects):
    topic.of_connector(0)
    topic.of_grouper(17)
    first, second = (line.split() for line in rejects("list"))
    assert first[0] == "0:0"
    assert first[2:] == ["bad_magic", "sb0", "connector", "-", *DETAIL]
    assert second[0] == "0:1"
    assert second[2:] == [
        *("late", "sb1", "grouper", "raw", "0:17", str(len(FRAME)), "bytes"), *LATE
    ]  # fmt: skip


def test_json(topic, rejects):
    topic.of_grouper(17)
    (line,) = rejects("list", "--json")
    reject = json.loads(line)
    assert reject.pop("time").startswith("20")
    assert reject == {
        "partition": 0,
        "offset": 0,
        "reason": "late",
        "source": "sb1",
        "stage": "grouper",
        "timestamp": format_timestamp(T0_US),
        "receive_time": format_timestamp(T0_US + 17),
        "raw_partition": 0,
        "raw_offset": 17,
        "bytes": len(FRAME),
        "kept_bytes": len(FRAME),
        "truncated": False,
        "digest": frame_digest(FRAME),
        "detail": "its group is closed",
    }


def places(lines):
    return [line.split()[0] for line in lines]


def test_filters(topic, rejects):
    topic.of_connector(0, source="sb0")
    topic.of_connector(1, source="sb1", reason=RejectReason.BAD_AXES)
    topic.of_grouper(2, source="sb1")
    topic.of_grouper(3, source="sb2")
    topic.put(b"?", [("who", b"\x1b[31mknows")])
    assert places(rejects("list")) == ["0:0", "0:1", "0:2", "0:3", "0:4"]
    assert places(rejects("list", "--source", "sb1")) == ["0:1", "0:2"]
    assert places(rejects("list", "--reason", "late")) == ["0:2", "0:3"]
    assert places(rejects("list", "--reason", "late", "--reason", "bad_magic")) == ["0:0", "0:2", "0:3"]
    assert places(rejects("list", "--reason", "late", "--source", "sb1")) == ["0:2"]
    assert places(rejects("list", "--last", "2")) == ["0:3", "0:4"]
    assert places(rejects("list", "--last", "1", "--source", "sb1")) == ["0:2"]
    assert rejects("list", "--last", "0") == []
    assert "none_such" in rejects("list", "--reason", "none_such", status=2)


@pytest.mark.parametrize("partitions", [2])
def test_several_partitions(topic, rejects):
    for number in range(4):
        topic.of_grouper(number, partition=number % 2)
    assert places(rejects("list")) == ["0:0", "0:1", "1:0", "1:1"]
    assert places(rejects("list", "--last", "3")) == ["1:0", "0:1", "1:1"]  # as they came


def test_a_few_of_many_are_found_from_the_end(topic, rejects):
    topic.of_grouper(0)
    for number in range(300):
        topic.producer.produce(topic.name, value=b"x", headers=late_headers(topic, number), partition=0)
    assert topic.producer.flush(timeout_s(30)) == 0
    assert places(rejects("list", "--last", "2")) == ["0:299", "0:300"]
    assert places(rejects("list", "--last", "2", "--source", "sb1")) == ["0:0"]


def late_headers(topic, number):
    return topic.late(number, source="sb9").encode()


def test_show_and_write(topic, rejects, tmp_path):
    topic.of_grouper(17)
    file = tmp_path / "frame.bin"
    lines = rejects("show", "0:0", "--write", str(file))
    assert file.read_bytes() == FRAME
    text = "\n".join(lines)
    for words in ("late", "its group is closed", "grouper", "sb1", "partition 0, offset 17", str(len(FRAME))):
        assert words in text
    for name, value in topic.late(17).encode():
        assert f"  {name}: {value.decode()}" in lines
    assert lines[-1] == f"{len(FRAME)} bytes written to {file}"


def test_what_is_kept_of_more(topic, rejects):
    topic.of_connector(0)
    assert any("5000, of which the first 10 are kept" in line for line in rejects("show", "0:0"))


def test_somebody_elses_record_is_shown_and_does_not_steer_the_terminal(topic, rejects, tmp_path):
    topic.put(b"?", [("who", b"\x1b[31mknows"), ("empty", None)], key=b"\x1bc")
    (line,) = rejects("list")
    assert "no reject of ours" in line
    (reject,) = (json.loads(line) for line in rejects("list", "--json"))
    assert reject["reason"] is None
    file = tmp_path / "bytes"
    text = "\n".join(rejects("show", "0:0", "--write", str(file)))
    assert "\x1b" not in text + line
    assert "knows" in text
    assert file.read_bytes() == b"?"


def test_places_without_a_reject(topic, rejects):
    topic.of_connector(0)
    producer = transactional_producer(topic.settings, f"{topic.name}-test")
    producer.init_transactions(timeout_s(30))
    producer.begin_transaction()
    producer.produce(topic.name, value=b"x", headers=late_headers(topic, 1), partition=0)
    assert producer.flush(timeout_s(30)) == 0
    producer.abort_transaction(timeout_s(30))
    # The broker answers before it writes the marker.
    wait_until(lambda: true_end_offsets(topic.admin, topic.name, [0])[0] == 3, "the marker")
    topic.of_connector(2)
    assert places(rejects("list")) == ["0:0", "0:3"]
    assert "transaction's marker, or to one that was aborted" in rejects("show", "0:1", status=1)
    assert "transaction's marker" in rejects("show", "0:2", status=1)
    assert "has offsets 0 to 3" in rejects("show", "0:4", status=1)
    assert "has no partition 1: it has 1" in rejects("show", "1:0", status=1)
    assert "is not PARTITION:OFFSET" in rejects("show", "17", status=2)


def test_no_such_topic(kafka, rejects, monkeypatch):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    assert "`trapline topics create` makes it" in rejects("list", "--topic-prefix", "nobodys", status=1)


def test_a_file_that_cannot_be_written(topic, rejects, tmp_path):
    topic.of_connector(0)
    assert "No such file or directory" in rejects(
        "show", "0:0", "--write", str(tmp_path / "gone" / "f"), status=1
    )


def test_kafka_away(rejects):
    away = ("--bootstrap-servers", "127.0.0.1:1", "--broker-wait-s", "1")
    assert "Kafka does not answer" in rejects("list", *away, status=1)
