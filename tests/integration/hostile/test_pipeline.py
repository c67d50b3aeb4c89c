"""The whole hostile corpus through real sockets and a real Kafka; afterwards all goes on as before."""

from collections import Counter

import pytest
from confluent_kafka import Producer

from consumer.metrics import UNREADABLE
from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from emulator.frame_server import FrameServer
from grouper.errors import GrouperError
from runtime.settings import load_settings
from schemas.digest import frame_digest
from schemas.errors import RejectReason
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders, RejectHeaders
from schemas.timestamp import format_timestamp, timestamp_key
from tests.support.audited import audited
from tests.support.connector import RunningConnector, source
from tests.support.foreign_headers import put_with_headers
from tests.support.frames import make_frame
from tests.support.grouping import grouping
from tests.support.groups_reader import read_all, read_groups
from tests.support.hostile import HostileRecord, catalogue_corpus, groups_corpus, raw_corpus, stream_corpus
from tests.support.metrics import Change
from tests.support.published_groups import SOURCES, GroupPublisher
from tests.support.raw_topic import at
from tests.support.waiting import timeout_s, wait_until

MIB = 1024**2
FIRST = 10  # seconds before belong to the corpus
LAST = 5000  # the second of what is sent after all that is hostile


def good_frame(second, name):
    return make_frame(at(second), shape=(5, 7), seed=second * 10 + int(name[-1]))


def wait_for_group(raw, second):
    """Until the group of a second is published; all groups."""

    def there():
        groups = read_groups(raw.bootstrap_servers, raw.names.groups)
        return groups if any(group.timestamp == format_timestamp(at(second)) for group in groups) else None

    return wait_until(there, f"the group of second {second}", 60)


def rejects_of(raw):
    records = read_all(raw.bootstrap_servers, raw.names.rejects)
    pairs = ([(name, value.encode()) for name, value in record.headers.items()] for record in records)
    return [(RejectHeaders.decode(headers), record) for headers, record in zip(pairs, records, strict=True)]


def foreign_headers(record):
    return [(name.encode(), value or b"") for name, value in record.headers]


def test_hostile_frames_between_good_ones_of_one_server(kafka, raw):
    """sb0 sends a good frame before and behind each hostile one; sb1 only good ones."""
    corpus = stream_corpus()
    usable = {name for name, hostile in corpus.items() if hostile.reason is None}
    script = [good_frame(FIRST, "sb0")]
    for second, hostile in enumerate(corpus.values(), start=FIRST + 1):
        script += [hostile.data, good_frame(second, "sb0")]
    seconds = range(FIRST, FIRST + len(corpus) + 1)
    beside = [good_frame(second, "sb1") for second in seconds]
    with FrameServer(script) as server, FrameServer(beside) as other:
        where = (source("sb0", server.port), source("sb1", other.port))
        with (
            grouping(raw, grace_s=60, max_frame_bytes=8 * MIB),
            RunningConnector(kafka.bootstrap_servers, raw.prefix, *where) as connector,
        ):
            connector.wait_for(frames=2 * len(seconds) + len(usable))
            server.push(good_frame(LAST, "sb0"))
            other.push(good_frame(LAST, "sb1"))
            groups = {group.timestamp: group for group in wait_for_group(raw, LAST)}
            assert connector.totals["reconnects"] == 0
            connector.stop()
    for second in (*seconds, LAST):
        assert groups[format_timestamp(at(second))].digests == {
            name: frame_digest(good_frame(second, name)) for name in raw.sources
        }
    # Each is rejected by whom, and why, the corpus says; what one read gave may be one reject.
    rejected = {(headers.stage, headers.reason) for headers, _ in rejects_of(raw)}
    assert rejected == {
        (hostile.stage, hostile.reason) for name, hostile in corpus.items() if name not in usable
    }
    assert {headers.source for headers, _ in rejects_of(raw)} == {"sb0"}
    counted = Counter(headers.stage for headers, _ in rejects_of(raw))
    assert counted == Counter(hostile.stage for name, hostile in corpus.items() if name not in usable)
    bytes_rejected = sum(headers.total_bytes for headers, _ in rejects_of(raw))
    assert bytes_rejected == sum(len(corpus[name].data) for name in corpus if name not in usable)


def test_hostile_records_put_into_raw(raw):
    corpus = raw_corpus(raw.prefix, "sb0", at(0))
    odd = HostileRecord(*good_record(raw, 0, "sb0"), RejectReason.RECORD_HEADERS)
    with grouping(raw, grace_s=60, max_frame_bytes=MIB):
        for record in corpus.values():
            raw.put(record.key, record.value, record.headers)
        raw.flush()
        put_with_headers(
            raw.bootstrap_servers,
            raw.names.raw,
            odd.key,
            odd.value,
            [*foreign_headers(odd), (b"caf\xe9", b"latin 1")],
        )
        raw.send(at(0))  # the place that all of them claimed is free
        wait_for_group(raw, 0)
        other_bytes = HostileRecord(*good_record(raw, 0, "sb0", seed=9), RejectReason.CONFLICT)
        raw.put(other_bytes.key, other_bytes.value, other_bytes.headers)
        key, value, headers = good_record(raw, 1, "sb0")
        raw.put(key, value, [*headers, *((f"x-{number}", b"y" * 20) for number in range(20_000))])
        raw.send(at(1), "sb1")
        wait_for_group(raw, 1)
        assert audited(raw).kinds == []  # each record is a member, or a reject
        key, value, headers = good_record(raw, 2, "sb0")
        false = [(name, b"xxh3-128:" + b"0" * 32 if name == "ce_digest" else old) for name, old in headers]
        raw.put(key, value, false)
        raw.send(at(2), "sb1")
        groups = wait_for_group(raw, 2)
    # Nobody on the way digests a frame again: that is the auditor's part.
    assert audited(raw).kinds == ["digest"]
    expected = [*corpus.values(), odd, other_bytes]
    rejects = rejects_of(raw)
    assert [headers.reason for headers, _ in rejects] == [record.reason for record in expected]
    assert {headers.stage for headers, _ in rejects} == {"grouper"}
    for (headers, reject), record in zip(rejects, expected, strict=True):
        assert reject.value == (record.value or b"")[:MIB]
        assert headers.total_bytes == len(record.value or b"")
        assert headers.truncated == (headers.total_bytes > MIB)
    assert [headers.raw_offset for headers, _ in rejects[: len(corpus)]] == list(range(len(corpus)))
    assert [(group.timestamp, group.sources) for group in groups] == [
        (format_timestamp(at(second)), raw.sources) for second in (0, 1, 2)
    ]
    assert groups[0].digests == {name: raw.sent[at(0), name] for name in raw.sources}


def good_record(raw, second, name, seed=0):
    frame = raw.frame(at(second), name, seed)
    headers = RawHeaders(
        raw.prefix, name, at(second), frame_digest(frame), at(second), PixelOrder.FITS
    ).encode()
    return timestamp_key(at(second)), frame, headers


@pytest.fixture
def settings(kafka, raw):
    where = {"bootstrap_servers": kafka.bootstrap_servers, "topic_prefix": raw.prefix}
    return load_settings(ConsumerSettings, overrides=where, known=[])


def put(bootstrap_servers, topic, *records):
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    for key, value, headers in records:
        producer.produce(topic, value, key=key, headers=headers)
    assert producer.flush(timeout_s(30)) == 0


def test_hostile_records_among_groups_and_catalogue(kafka, raw, settings):
    """A stream hands out the good groups around them, from the beginning and from a time on."""
    publisher = GroupPublisher(settings)
    images = groups_corpus(raw.prefix, "sb0", at(1))
    odd = HostileRecord(timestamp_key(at(1)), b"value", [("ce_type", b"trapline.image.v1")], None)
    publisher.publish(at(0))
    put(
        kafka.bootstrap_servers,
        raw.names.groups,
        *((record.key, record.value, record.headers) for record in images.values()),
    )
    put_with_headers(
        kafka.bootstrap_servers,
        raw.names.groups,
        odd.key,
        odd.value,
        [*foreign_headers(odd), (b"\xff\xfe", b"no UTF-8")],
    )
    entries = [(timestamp_key(at(1)), value, None) for value in catalogue_corpus(at(1)).values()]
    keys = [(key, b"{}", None) for key in (None, b"", b"\xff" * 27, b"now")]
    put(kafka.bootstrap_servers, raw.names.catalogue, *entries, *keys)
    publisher.publish(at(2))
    with (
        Change(UNREADABLE.labels(topic="groups")) as unreadable,
        GroupStream(settings, start="beginning", max_groups=2) as stream,
    ):
        groups = list(stream)
    assert [group.timestamp_us for group in groups] == [at(0), at(2)]
    assert all(tuple(image.source for image in group.images) for group in groups)
    assert unreadable.by == len(images) + 1
    with GroupStream(settings, start=format_timestamp(at(1)), max_groups=1) as stream:
        assert [group.timestamp_us for group in stream] == [at(2)]
    assert len(groups[0].images) == len(SOURCES)


def test_a_foreign_record_in_the_catalogue_is_named_where_the_grouper_cannot_go_on(raw):
    """The catalogue is the grouper's memory: with a broken one it stops and says which record, not more."""
    raw.send(at(0))
    put(raw.bootstrap_servers, raw.names.catalogue, (timestamp_key(at(1)), b"{}", None))
    with pytest.raises(GrouperError, match=r"catalogue.*offset 0"), grouping(raw) as service:
        wait_until(lambda: service.errors, "the grouper to stop", 60)
