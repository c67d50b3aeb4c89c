"""What clients of `trapline serve` get: when they may come, in which order frames reach them."""

import json
from contextlib import ExitStack

import numpy as np

from schemas.timestamp import format_timestamp
from schemas.window import decode_window
from tests.integration.consumer.test_serve import QUICK, digests
from tests.support.frame_reader import FrameReader
from tests.support.groups_reader import read_groups
from tests.support.raw_topic import RawTopic, at
from tests.support.serving import SimpleReader, SlowClient, record
from tests.support.waiting import wait_until
from trapline.embedded.ports import HOST, free_port


def test_two_clients_a_source_and_what_is_printed(raw, start):
    record(raw, range(6))
    serve = start(raw.bootstrap_servers, *QUICK, "--wait-for-clients", 2)
    sources = serve.sources()
    with ExitStack() as stack:
        readers = [
            stack.enter_context(FrameReader(source.host, source.port))
            for source in sources.values()
            for _ in range(2)
        ]
        got = [reader.wait_for_end() for reader in readers]
    assert serve.wait() == 0
    assert got[0::2] == got[1::2]
    assert digests(dict(zip(sources, got[0::2], strict=True))) == raw.sent
    ports = ",".join(str(source.port) for source in sources.values())
    assert serve.out.splitlines() == [
        ",".join(map(str, sources.values())),
        "hosts = '127.0.0.1,127.0.0.1,127.0.0.1'",
        f"ports = '{ports}'",
    ]
    (ended,) = [json.loads(line) for line in serve.err.splitlines() if "serve ended" in line]
    assert (ended["groups"], ended["frames"], ended["rebuilt"]) == (6, 18, 0)


def test_the_plainest_reader(raw, start):
    record(raw, range(3))
    serve = start(raw.bootstrap_servers, *QUICK)
    readers = {name: SimpleReader(source) for name, source in serve.sources().items()}
    for name, reader in readers.items():
        images = reader.join()
        assert [header["DATE-OBS"] for header, _ in images] == [
            format_timestamp(at(second)).removesuffix("Z") for second in range(3)
        ]
        for second, (_, pixels) in enumerate(images):
            np.testing.assert_array_equal(pixels, decode_window(raw.frame(at(second), name)).pixels)
    assert serve.wait() == 0


def test_ports_of_named_sources_are_open_before_kafka_answers(own_kafka, topic_prefix, start):
    raw = RawTopic(own_kafka.bootstrap_servers, topic_prefix).create()
    record(raw, range(4))
    port = free_port()

    def connected() -> FrameReader | None:
        try:
            return FrameReader(HOST, port)
        except ConnectionRefusedError:
            return None

    own_kafka.pause()
    try:
        serve = start(own_kafka.bootstrap_servers, *QUICK, "--sources", "sb1", "--port", port)
        reader = wait_until(connected, lambda: f"a port: {serve.err}", 60)
        assert "serving" not in [json.loads(line)["event"] for line in serve.err.splitlines()]
        assert serve.out == ""
    finally:
        own_kafka.resume()
    with reader:
        frames = reader.wait_for_end()
    assert serve.wait() == 0
    assert digests({"sb1": frames}) == {key: digest for key, digest in raw.sent.items() if key[1] == "sb1"}
    assert serve.sources()["sb1"].port == port


def test_several_partitions_are_one_stream_a_timestamp_after_the_other(kafka, topic_prefix, start):
    """A client takes a frame's beginning only: until it has the rest, nobody gets a byte of the next one."""
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix, partitions=3).create()
    shape = (1280, 1280)  # a frame of 6.5 MB: more than fits into a connection
    seconds = (1, 2, 3, 4, 6)  # whose keys go to the partitions 1, 2, 1, 2, 0
    record(raw, seconds, shape=shape)
    groups = sorted(read_groups(raw.bootstrap_servers, raw.names.groups), key=lambda each: each.timestamp)
    assert [group.partition for group in groups] == [1, 2, 1, 2, 0]
    serve = start(raw.bootstrap_servers, *QUICK)
    sources = serve.sources()
    slow, length = "sb1", len(raw.frame(at(0), "sb1", shape=shape))
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(FrameReader(source.host, source.port))
            for name, source in sources.items()
            if name != slow
        }
        client = stack.enter_context(SlowClient(sources[slow]))
        frames = []
        for number in range(len(seconds)):
            for reader in readers.values():
                reader.wait_for(number + 1)
            beginning = client.take(1_000_000)
            assert {reader.bytes_read for reader in readers.values()} == {(number + 1) * length}
            frames.append(beginning + client.take(length - len(beginning)))
        got = {name: reader.wait_for_end() for name, reader in readers.items()} | {slow: frames}
    assert serve.wait() == 0
    for each in got.values():
        assert [decode_window(frame).timestamp_us for frame in each] == [at(second) for second in seconds]
    assert digests(got) == raw.sent
