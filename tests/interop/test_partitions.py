"""A key lands in the same partition whoever sends it, or the windows of one timestamp would part."""

import pytest

from schemas.digest import frame_digest
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders
from schemas.timestamp import format_timestamp, timestamp_key
from tests.interop.murmur2 import java_partition, murmur2
from tests.support.grouping import grouping
from tests.support.groups_reader import read_groups
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import wait_until

pytestmark = pytest.mark.interop

JAVAS_CHOICE = ("-X", "partitioner=murmur2_random")


@pytest.fixture
def raw_of(kafka, topic_prefix):
    """Topics with so many partitions."""
    topics = []

    def make(partitions):
        topics.append(RawTopic(kafka.bootstrap_servers, topic_prefix, partitions=partitions).create())
        return topics[0]

    yield make
    for topic in topics:
        topic.close()


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_reference_gives_what_kafkas_own_tests_expect(key, signed):
    assert murmur2(key) == signed % 2**32


def test_kcats_keys_and_ours_land_where_javas_do(raw_of, kcat):
    raw = raw_of(7)
    keys = [format_timestamp(at(second) + 137 * second) for second in range(100)]
    kcat.produce_lines(raw.names.raw, [(key, "kcat") for key in keys], *JAVAS_CHOICE)
    for key in keys:
        raw.put(key.encode(), b"ours", None)
    raw.flush()
    records = kcat.records(raw.names.raw)
    expected = {key: java_partition(key.encode(), 7) for key in keys}
    assert set(expected.values()) == set(range(7))
    for sender in (b"kcat", b"ours"):
        assert {r.key: r.partition for r in records if r.value == sender} == expected


def test_a_foreign_producers_windows_join_ours_in_their_partitions_number(raw_of, kcat, tmp_path):
    """sb0 comes from kcat, a file as one record; sb1 and sb2 from the connector's kind of producer."""
    raw = raw_of(3)
    seconds = range(6)
    for second in seconds:
        frame = raw.frame(at(second), "sb0")
        (tmp_path / "frame").write_bytes(frame)
        digest = raw.sent[at(second), "sb0"] = frame_digest(frame)
        headers = RawHeaders(raw.prefix, "sb0", at(second), digest, at(second), PixelOrder.FITS)
        kcat.produce_file(
            raw.names.raw, timestamp_key(at(second)), headers.encode(), tmp_path / "frame", *JAVAS_CHOICE
        )
        raw.send(at(second), "sb1", "sb2")
    with grouping(raw):
        wait_until(
            lambda: len(read_groups(raw.bootstrap_servers, raw.names.groups)) >= len(seconds),
            f"{len(seconds)} groups",
            timeout=60,
        )
    groups = read_groups(raw.bootstrap_servers, raw.names.groups)
    assert sorted(group.timestamp for group in groups) == [format_timestamp(at(s)) for s in seconds]
    assert len({group.partition for group in groups}) > 1
    for group in groups:
        assert group.sources == raw.sources
        assert group.partition == java_partition(group.timestamp.encode(), 3)
    assert {r.key: r.partition for r in kcat.records(raw.names.catalogue)} == {
        group.timestamp: group.partition for group in groups
    }
