"""`trapline serve` as a process: what its clients get, how it goes on, and how it ends."""

import itertools
import shlex
from contextlib import ExitStack

import pytest

from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from schemas.digest import frame_digest
from schemas.fits_image import encode_image
from schemas.pixel_order import PixelOrder
from schemas.source import ServerSource
from schemas.timestamp import format_timestamp
from schemas.window import decode_window
from tests.support.connector import RunningConnector, delete_topic
from tests.support.frame_reader import FrameReader
from tests.support.grouping import grouping
from tests.support.groups_reader import read_all, read_entries, read_groups
from tests.support.raw_topic import RawTopic, at
from tests.support.serving import SimpleReader, delete_raw, record
from tests.support.waiting import wait_until

QUICK = ("--speed", "max")


def read_to_end(sources: dict[str, ServerSource]) -> dict[str, list[bytes]]:
    """All frames of each source, once the servers have ended."""
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(FrameReader(source.host, source.port))
            for name, source in sources.items()
        }
        return {name: reader.wait_for_end() for name, reader in readers.items()}


def digests(frames: dict[str, list[bytes]]) -> dict[tuple[int, str], str]:
    """As `RawTopic.sent`."""
    return {
        (decode_window(frame).timestamp_us, source): frame_digest(frame)
        for source, each in frames.items()
        for frame in each
    }


def groups_of(bootstrap_servers: str, prefix: str) -> dict[str, dict[str, str]]:
    return {group.timestamp: group.digests for group in read_groups(bootstrap_servers, f"{prefix}.groups")}


@pytest.mark.parametrize("order", PixelOrder)
def test_a_recorded_run_taken_in_again_gives_the_same_groups(kafka, topic_prefix, start, order):
    """Image servers, connector, grouper; then serve, connector, grouper: the same digests and FITS values."""
    emulator = EmulatorSettings(
        emulator_port=0,
        emulator_sources=3,
        emulator_size="40x24",
        emulator_rate=None,
        emulator_cadence_s=0.05,
        emulator_start="2026-11-23T10:00:00",
        emulator_frames=30,
        emulator_pixel_order=order,
    )
    again = f"{topic_prefix}-again"
    where = kafka.bootstrap_servers

    def take_in(prefix, sources):
        raw = RawTopic(where, prefix, sources=tuple(source.name for source in sources)).create()
        with grouping(raw), RunningConnector(where, prefix, *sources) as connector:
            connector.wait_for(raw=90)
            wait_until(lambda: len(read_entries(where, f"{prefix}.catalogue")) == 30, "the groups", 60)

    with Emulator(emulator) as servers:
        take_in(topic_prefix, servers.sources)
    serve = start(where, "--speed", "2")
    take_in(again, tuple(serve.sources().values()))
    assert serve.wait() == 0
    first = groups_of(where, topic_prefix)
    assert len(first) == 30
    assert groups_of(where, again) == first
    values = [
        [record.value for group in read_groups(where, f"{prefix}.groups") for record in group.records]
        for prefix in (topic_prefix, again)
    ]
    assert values[0] == values[1]
    assert read_all(where, f"{again}.rejects") == []


def test_a_range_of_some_sources(raw, start):
    record(raw, range(6))
    options = ("--from", format_timestamp(at(1)), "--to", format_timestamp(at(4)), "--sources", "sb2,sb0")
    serve = start(raw.bootstrap_servers, *QUICK, *options)
    sources = serve.sources()
    assert list(sources) == ["sb2", "sb0"]
    assert digests(read_to_end(sources)) == {
        key: digest for key, digest in raw.sent.items() if key[1] != "sb1" and at(1) <= key[0] < at(4)
    }
    assert serve.wait() == 0
    assert "has no port" not in serve.err


def test_a_group_that_lacks_a_source_and_frames_among_each_other(raw, start):
    """Frames of two timestamps in turn, and one that is not there."""
    with grouping(raw):
        raw.send(at(0), "sb0", "sb1")
        raw.send(at(1), "sb0")
        raw.send(at(0), "sb2")
        raw.send(at(1), "sb1")
        raw.send(at(2))
        wait_until(lambda: len(read_entries(raw.bootstrap_servers, raw.names.catalogue)) == 3, "groups", 60)
    serve = start(raw.bootstrap_servers, *QUICK)
    frames = read_to_end(serve.sources())
    assert digests(frames) == raw.sent
    assert {source: len(each) for source, each in frames.items()} == {"sb0": 3, "sb1": 3, "sb2": 2}
    assert serve.wait() == 0


def test_a_repaired_group_comes_once_and_whole(raw, start):
    with grouping(raw, late="repair"):
        raw.send(at(0), "sb0", "sb1")
        raw.send(at(1))
        raw.send(at(2))
        wait_until(lambda: len(read_entries(raw.bootstrap_servers, raw.names.catalogue)) == 3, "groups", 60)
        raw.send(at(0), "sb2")
        wait_until(lambda: len(read_entries(raw.bootstrap_servers, raw.names.catalogue)) == 4, "repair", 60)
    serve = start(raw.bootstrap_servers, *QUICK)
    frames = read_to_end(serve.sources())
    assert serve.wait() == 0
    assert digests(frames) == raw.sent
    for each in frames.values():  # in the order of time
        assert [decode_window(frame).timestamp_us for frame in each] == [at(0), at(1), at(2)]
    serve = start(raw.bootstrap_servers, *QUICK, "--revisions", "first")
    assert [len(each) for each in read_to_end(serve.sources()).values()] == [3, 3, 2]
    assert serve.wait() == 0


def test_frames_that_raw_has_lost_are_rebuilt_or_their_groups_left_out(raw, start):
    record(raw, range(4))
    delete_raw(raw, 5)  # of the second group two
    serve = start(raw.bootstrap_servers, *QUICK)
    frames = read_to_end(serve.sources())
    assert serve.wait() == 0
    sent = digests(frames)
    assert {key for key in raw.sent if sent[key] != raw.sent[key]} == {
        *((at(0), source) for source in raw.sources),
        (at(1), "sb0"),
        (at(1), "sb1"),
    }
    for source, each in frames.items():
        for second, frame in enumerate(each):
            original = decode_window(raw.frame(at(second), source))
            assert encode_image(decode_window(frame)) == encode_image(original)
    assert "rebuilt from the groups topic" in serve.err
    assert '"rebuilt": 5' in serve.err
    serve = start(raw.bootstrap_servers, *QUICK, "--verbatim-only")
    assert digests(read_to_end(serve.sources())) == {k: d for k, d in raw.sent.items() if k[0] >= at(2)}
    assert serve.wait() == 0
    assert '"left_out": 2' in serve.err


def test_a_raw_topic_that_was_made_anew_or_is_not_there(raw, start):
    """Other frames lie where the catalogue says: what was grouped is served, rebuilt."""
    record(raw, range(2))
    delete_topic(raw.bootstrap_servers, raw.names.raw)
    serve = start(raw.bootstrap_servers, *QUICK)
    assert serve.wait() == 1
    assert f"topic {raw.names.raw} does not exist" in serve.err.splitlines()[-1]
    raw.create()
    raw.send(at(50), "sb0", "sb1", "sb2", "sb0")
    serve = start(raw.bootstrap_servers, *QUICK)
    frames = read_to_end(serve.sources())
    assert serve.wait() == 0
    for source, each in frames.items():
        for second, frame in enumerate(each):
            original = decode_window(raw.frame(at(second), source))
            assert encode_image(decode_window(frame)) == encode_image(original)
    assert [len(each) for each in frames.values()] == [2, 2, 2]
    assert "was raw made anew" in serve.err
    assert '"rebuilt": 6' in serve.err


def test_what_comes_is_served_until_it_is_stopped(raw, start):
    record(raw, [0])
    serve = start(raw.bootstrap_servers, "--end")
    sources = serve.sources()
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(FrameReader(source.host, source.port))
            for name, source in sources.items()
        }
        with grouping(raw):
            second = itertools.count(1)

            def served():
                raw.send(at(next(second)))
                return all(len(reader.frames) >= 3 for reader in readers.values())

            wait_until(served, "three groups", 60)
        serve.interrupt()
        got = digests({name: reader.wait_for_end() for name, reader in readers.items()})
    assert serve.wait() == 0
    assert got.items() <= raw.sent.items()
    assert (at(0), "sb0") not in got
    assert "trapline: to go on: trapline serve --offset 0:" in serve.err


def test_a_signal_tells_where_to_go_on_and_nothing_comes_twice(raw, start):
    record(raw, range(8))
    serve = start(raw.bootstrap_servers, "--speed", "2")
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(FrameReader(source.host, source.port))
            for name, source in serve.sources().items()
        }
        readers["sb0"].wait_for(2)
        serve.interrupt()
        first = {name: reader.wait_for_end() for name, reader in readers.items()}
    assert serve.wait() == 130
    (going_on,) = [line for line in serve.err.splitlines() if "to go on" in line]
    words = shlex.split(going_on)
    assert words[4:7] == ["trapline", "serve", "--offset"]
    rest = start(raw.bootstrap_servers, *words[6:], "--speed", "max")
    second = read_to_end(rest.sources())
    assert rest.wait() == 0
    together = {name: first[name] + second[name] for name in first}
    assert digests(together) == raw.sent
    assert [len(each) for each in together.values()] == [8, 8, 8]


def test_a_dry_run_opens_no_port(raw, start):
    record(raw, range(4))
    serve = start(raw.bootstrap_servers, "--dry-run", "--speed", "0.5")
    assert serve.wait() == 0
    assert [line.split() for line in serve.out.splitlines()] == [
        ["sources", "sb0,sb1,sb2"],
        ["groups", "4"],
        ["times", "2026-11-23T10:00:00.000000Z", "to", "2026-11-23T10:00:03.000000Z"],
        ["takes", "0:00:06", "at", "--speed", "0.5"],
    ]
    delete_raw(raw, 5)
    serve = start(raw.bootstrap_servers, "--dry-run", "--limit", "3")
    assert serve.wait() == 0
    assert "groups    3\n" in serve.out
    assert "rebuilt   2 groups: raw no longer has all their frames\n" in serve.out


def test_nothing_to_serve(raw, start):
    serve = start(raw.bootstrap_servers)
    assert serve.wait() == 3
    assert "has no group yet" in serve.err.splitlines()[-1]
    serve = start(raw.bootstrap_servers, "--end")
    assert serve.wait() == 3
    assert "--sources sb0,sb1" in serve.err.splitlines()[-1]
    record(raw, [0])
    serve = start(raw.bootstrap_servers, "--from", "2027-01-01")
    assert serve.wait() == 3
    assert "its newest group is of 2026-11-23T10:00:00.000000Z" in serve.err.splitlines()[-1]
    serve = start(raw.bootstrap_servers, "--dry-run", "--from", "2027-01-01")
    assert serve.wait() == 3


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        (("--from", "yesterday"), 2, "is no time"),
        (("--speed", "-1"), 2, "is no speed"),
        (("--end", "--speed", "2"), 2, "--end and --speed exclude each other"),
        (("--from", "now", "--to", "-5m"), 2, "is not before --to"),
        ((), 1, "TRAPLINE_BOOTSTRAP_SERVERS"),
    ],
)
def test_what_is_wrong_is_said(start, unused_port, options, status, word):
    serve = start(f"127.0.0.1:{unused_port}", *options, TRAPLINE_BROKER_WAIT_S="1")
    assert serve.wait() == status
    assert word in serve.err


def test_no_topic_and_no_port(kafka, raw, start, topic_prefix):
    serve = start(kafka.bootstrap_servers, prefix=f"{topic_prefix}-other")
    assert serve.wait() == 1
    assert f"topic {topic_prefix}-other.groups does not exist" in serve.err.splitlines()[-1]
    record(raw, [0])
    taken = start(kafka.bootstrap_servers)
    port = taken.sources()["sb0"].port
    serve = start(kafka.bootstrap_servers, "--port", port)
    assert serve.wait() == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in serve.err.splitlines()[-1]


def test_a_broker_that_dies_in_the_middle(own_kafka, topic_prefix, start):
    raw = RawTopic(own_kafka.bootstrap_servers, topic_prefix, sources=("sb0", "sb1")).create()
    record(raw, range(14), shape=(1024, 2048))  # 224 MiB: more than is fetched and read ahead
    serve = start(
        own_kafka.bootstrap_servers,
        *QUICK,
        TRAPLINE_BROKER_WAIT_S="2",
        TRAPLINE_MAX_FRAME_BYTES="9000000",
        TRAPLINE_READ_AHEAD_GROUPS="2",
    )
    sources = serve.sources()
    with ExitStack() as stack:
        one = stack.enter_context(FrameReader(sources["sb0"].host, sources["sb0"].port))
        other = SimpleReader(sources["sb1"])
        one.wait_for(1)
        own_kafka.kill()
        frames = one.wait_for_end()
        other.join()
    assert serve.wait() == 1
    assert 0 < len(frames) < 14
    assert serve.err.splitlines()[-1].startswith("trapline: error:")
    assert "trapline: to go on: trapline serve --offset 0:" in serve.err


def test_a_signal_while_kafka_says_nothing(own_kafka, topic_prefix, start):
    raw = RawTopic(own_kafka.bootstrap_servers, topic_prefix).create()
    record(raw, [0])
    serve = start(own_kafka.bootstrap_servers, "--end", TRAPLINE_BROKER_WAIT_S="600")
    serve.sources()
    own_kafka.pause()
    try:
        serve.interrupt()
        assert serve.wait() == 0
    finally:
        own_kafka.resume()
    assert "serve ended" in serve.err


def test_who_goes_on_after_end_gets_what_came_in_any_partition(kafka, topic_prefix, start):
    """Also where nothing had come before; Kafka is named by options, which are part of what is told."""
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix, partitions=2).create()
    record(raw, range(4))
    options = ("--bootstrap-servers", kafka.bootstrap_servers, "--topic-prefix", topic_prefix)
    serve = start("127.0.0.1:1", "--end", *options, prefix="elsewhere")
    serve.sources()
    serve.interrupt()
    assert serve.wait() == 0
    (going_on,) = [line for line in serve.err.splitlines() if "to go on" in line]
    record(raw, range(10, 18))
    new = [
        group
        for group in read_groups(raw.bootstrap_servers, raw.names.groups)
        if group.timestamp >= "2026-11-23T10:00:10"
    ]
    assert {group.partition for group in new} == {0, 1}
    rest = start("127.0.0.1:1", *shlex.split(going_on)[6:], "--speed", "max", prefix="elsewhere")
    frames = read_to_end(rest.sources())
    assert rest.wait() == 0
    assert digests(frames) == {key: digest for key, digest in raw.sent.items() if key[0] >= at(10)}


def test_what_repairs_a_group_lies_behind_the_limit(raw, start):
    """The first group that is played is played whole, and a dry run counts groups and not publications."""
    with grouping(raw, late="repair"):
        raw.send(at(0), "sb0", "sb1")
        raw.send(at(1))
        raw.send(at(2))
        wait_until(lambda: len(read_entries(raw.bootstrap_servers, raw.names.catalogue)) == 3, "groups", 60)
        raw.send(at(0), "sb2")
        wait_until(lambda: len(read_entries(raw.bootstrap_servers, raw.names.catalogue)) == 4, "repair", 60)
    serve = start(raw.bootstrap_servers, *QUICK, "--limit", "1")
    frames = read_to_end(serve.sources())
    assert serve.wait() == 0
    assert digests(frames) == {key: digest for key, digest in raw.sent.items() if key[0] == at(0)}
    serve = start(raw.bootstrap_servers, "--dry-run")
    assert serve.wait() == 0
    assert "groups    3, 1 of them repaired\n" in serve.out
    delete_raw(raw, 1)
    serve = start(raw.bootstrap_servers, "--dry-run", "--revisions", "last")
    assert serve.wait() == 0
    assert "rebuilt   1 groups" in serve.out
