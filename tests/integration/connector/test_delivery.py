"""Frames from real sockets into a real Kafka, and that nothing else comes of hostile streams."""

import contextlib
import json
import time

import pytest

from emulator.frame_server import FrameServer
from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from runtime.image_server.script import Close, Pause
from schemas.digest import frame_digest
from schemas.errors import RejectReason
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders, RejectHeaders
from schemas.source import ServerSource
from tests.support.connector import MIB, RunningConnector, by_source, make_topics, read_topic, source
from tests.support.frames import T0_US, hostile_frames, make_frame
from tests.support.waiting import wait_until

SECOND_US = 1_000_000


def frames(count: int, seed: int = 0, shape=(16, 24)) -> list[bytes]:
    return [
        make_frame(T0_US + number * SECOND_US, seed=seed * 1000 + number, shape=shape)
        for number in range(count)
    ]


def headers_of(record) -> list[tuple[str, bytes]]:
    return [(name, value.encode()) for name, value in record.headers.items()]


def test_a_frame_is_in_raw_byte_for_byte_with_its_key_and_headers(kafka, topic_prefix):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    sent = frames(5)
    with FrameServer(sent) as server:
        old = ServerSource("old", "127.0.0.1", server.port, pixel_order=PixelOrder.TRANSPOSED)
        before_us = time.time_ns() // 1000
        with RunningConnector(kafka.bootstrap_servers, topic_prefix, old) as connector:
            connector.wait_for(raw=5)
            assert connector.service.not_ready() is None
            assert connector.service.stuck() is None
            summary = connector.stop()
    after_us = time.time_ns() // 1000
    assert (summary.frames, summary.delivered, summary.rejects, summary.undelivered) == (5, 5, 0, 0)
    assert summary.read_bytes == sum(map(len, sent))
    records = read_topic(kafka.bootstrap_servers, names.raw)
    assert [record.value for record in records] == sent
    assert [record.key for record in records] == [b"2026-11-23T10:00:0%d.000000Z" % n for n in range(5)]
    for number, record in enumerate(records):
        headers = RawHeaders.decode(headers_of(record))
        assert headers == RawHeaders(
            topic_prefix,
            "old",
            T0_US + number * SECOND_US,
            frame_digest(sent[number]),
            headers.receive_time_us,
            PixelOrder.TRANSPOSED,
        )
        assert before_us <= headers.receive_time_us <= after_us
    assert read_topic(kafka.bootstrap_servers, names.rejects) == []


def test_each_source_keeps_its_order_and_its_bytes(kafka, topic_prefix):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    sent = {f"sb{number}": frames(40, seed=number, shape=(64, 64)) for number in range(6)}
    with contextlib.ExitStack() as stack:
        sources = [source(name, stack.enter_context(FrameServer(each)).port) for name, each in sent.items()]
        with RunningConnector(kafka.bootstrap_servers, topic_prefix, *sources) as connector:
            connector.wait_for(raw=240)
    assert by_source(read_topic(kafka.bootstrap_servers, names.raw)) == sent


def test_full_size_frames(kafka, topic_prefix):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    sent = frames(4, shape=(1024, 1024))
    with (
        FrameServer(sent) as server,
        RunningConnector(kafka.bootstrap_servers, topic_prefix, source("sb0", server.port)) as connector,
    ):
        connector.wait_for(raw=4)
    assert [record.value for record in read_topic(kafka.bootstrap_servers, names.raw)] == sent


def test_keys_choose_partitions_as_java_does(kafka, topic_prefix):
    names = make_topics(kafka.bootstrap_servers, topic_prefix, partitions=3)
    sent = frames(30)
    with FrameServer(sent) as server, FrameServer(sent) as other:
        sources = (source("sb0", server.port), source("sb1", other.port))
        with RunningConnector(kafka.bootstrap_servers, topic_prefix, *sources) as connector:
            connector.wait_for(raw=60)
    partitions = [read_topic(kafka.bootstrap_servers, names.raw, number) for number in range(3)]
    for number, records in enumerate(partitions):
        assert records
        for record in records:
            assert murmur2(record.key) % 3 == number
        # Both windows of a timestamp are in the same partition.
        assert sorted(r.key for r in records if r.source == "sb0") == sorted(
            r.key for r in records if r.source == "sb1"
        )


def murmur2(data: bytes) -> int:
    """Kafka's own hash of a key, positive (org.apache.kafka.common.utils.Utils.murmur2), written anew."""
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    value = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        value = value * multiplier & mask ^ word
    rest = data[whole:]
    if rest:
        value = (value ^ int.from_bytes(rest, "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return (value ^ value >> 15) & 0x7FFFFFFF


def test_hostile_frames_leave_the_rest_of_the_stream_untouched(kafka, topic_prefix):
    """Each lie between good frames; a second source beside it does not notice."""
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    hostile = hostile_frames()
    good = frames(len(hostile) + 1)
    script = [good[0]]
    for bad, frame in zip(hostile.values(), good[1:], strict=True):
        script += [bad, frame]
    beside = frames(20, seed=7)
    with FrameServer(script) as server, FrameServer(beside) as other:
        sources = (source("bad", server.port), source("good", other.port))
        with RunningConnector(kafka.bootstrap_servers, topic_prefix, *sources) as connector:
            wait_until(lambda: connector.totals["frames"] >= len(good) + 20, "the good frames")
            connector.stop()
            assert connector.totals["reconnects"] == 0
    raw = by_source(read_topic(kafka.bootstrap_servers, names.raw))
    assert raw["good"] == beside
    bad_ones = set(hostile.values())
    assert [value for value in raw["bad"] if value not in bad_ones] == good
    rejects = read_topic(kafka.bootstrap_servers, names.rejects)
    headers = [RejectHeaders.decode(headers_of(record)) for record in rejects]
    assert {each.source for each in headers} == {"bad"}
    assert {each.stage for each in headers} == {"connector"}
    reasons = {each.reason for each in headers}
    assert reasons >= {
        RejectReason.BAD_MAGIC,
        RejectReason.LENGTHS_REFUSED,
        RejectReason.LENGTH_MISMATCH,
        RejectReason.NO_NAXIS,
        RejectReason.BAD_AXES,
        RejectReason.NO_DATE_OBS,
        RejectReason.BAD_DATE_OBS,
        RejectReason.TIME_SYSTEM,
    }
    assert connector.totals["rejects"] == len(rejects)
    assert len({each.event_id for each in headers}) == len(headers)
    # Every byte that came is in one of the two topics, or was cut off and is counted there.
    total = sum(map(len, raw["bad"])) + sum(each.total_bytes for each in headers)
    assert total == sum(map(len, script))


def test_an_emulator_that_misbehaves(kafka, topic_prefix, tmp_path):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    truth = tmp_path / "truth.jsonl"
    settings = EmulatorSettings(
        emulator_port=0,
        emulator_sources=3,
        emulator_size="48x32",
        emulator_rate=60,
        emulator_frames=120,
        emulator_truth=truth,
        emulator_misbehave=(
            "garbage:every=7,wrong-magic:every=11,length-long:every=13,length-huge:every=17,"
            "no-date-obs:every=19,far-future:every=23,nan-pixels:every=5"
        ),
    )
    with (
        Emulator(settings) as emulator,
        RunningConnector(kafka.bootstrap_servers, topic_prefix, *emulator.sources) as connector,
    ):
        assert emulator.wait(60)
        lines = [json.loads(line) for line in truth.read_text().splitlines()]
        usable = [
            (line["timestamp"], line["source"], line["digest"]) for line in lines if "fault" not in line
        ]
        connector.wait_for(raw=len(usable))
        connector.stop()
    records = read_topic(kafka.bootstrap_servers, names.raw)
    assert sorted((r.key.decode(), r.source, r.headers["ce_digest"]) for r in records) == sorted(usable)
    assert len(usable) < len(lines)
    reasons = {record.headers["ce_reason"] for record in read_topic(kafka.bootstrap_servers, names.rejects)}
    assert reasons == {"bad_magic", "length_mismatch", "lengths_refused", "no_date_obs", "far_future"}


@pytest.mark.parametrize("bad_end", ["stall", "close"])
def test_reconnects_and_goes_on(kafka, topic_prefix, bad_end):
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    sent = frames(9)
    half = sent[3][:800]
    end = [Pause(0.1), Close()] if bad_end == "close" else []
    with (
        FrameServer([*sent[:3], half, *end], [*sent[4:6], Close()], sent[6:]) as server,
        RunningConnector(
            kafka.bootstrap_servers, topic_prefix, source("sb0", server.port), stall_timeout_s=0.5
        ) as connector,
    ):
        connector.wait_for(raw=8, rejects=1, reconnects=2)
    raw = by_source(read_topic(kafka.bootstrap_servers, names.raw))
    assert raw == {"sb0": [*sent[:3], *sent[4:]]}
    (reject,) = read_topic(kafka.bootstrap_servers, names.rejects)
    assert reject.value == half
    assert reject.headers["ce_reason"] == "incomplete"


def test_a_flood_of_small_frames_is_bounded_by_bytes_alone(kafka, topic_prefix):
    """More records wait than librdkafka's own default bound of 100,000 would let through at once."""
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    sent = frames(3000, shape=(8, 8))
    with (
        FrameServer(sent) as server,
        RunningConnector(
            kafka.bootstrap_servers,
            topic_prefix,
            source("sb0", server.port),
            max_frame_bytes=64 * 1024,
            queue_max_bytes=2 * MIB,
        ) as connector,
    ):
        connector.wait_for(raw=3000)
    assert [record.value for record in read_topic(kafka.bootstrap_servers, names.raw)] == sent
