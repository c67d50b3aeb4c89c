"""The hostile corpus against decoder and record reading, without Kafka: what it says of itself is so."""

import pytest

from grouper.raw_record import decode_record, read_head
from schemas.catalogue import CatalogueEntry
from schemas.errors import CatalogueError, RecordHeaderError, RejectReason, SchemaError
from schemas.frame import Frame, FrameDecoder
from schemas.record_headers import ImageHeaders
from schemas.window import decode_window, window_timestamp
from tests.support.frames import T0_US, make_frame
from tests.support.hostile import catalogue_corpus, groups_corpus, raw_corpus, stream_corpus

STREAM = stream_corpus()
RAW = raw_corpus("t", "sb0", T0_US)
GROUPS = groups_corpus("t", "sb0", T0_US)
CATALOGUE = catalogue_corpus(T0_US)
GOOD = make_frame(T0_US)


def events_of(stream, chunk):
    decoder = FrameDecoder()
    events = []
    for start in range(0, len(stream), chunk):
        decoder.feed(stream[start : start + chunk])
        while (event := decoder.next_event()) is not None:
            events.append(event)
    assert decoder.close() is None
    return events


@pytest.mark.parametrize("chunk", [1 << 30, 1499], ids=["whole", "in pieces"])
@pytest.mark.parametrize("name", STREAM)
def test_a_hostile_frame_swallows_no_good_one(name, chunk):
    """Each between two good frames, which come out; it is skipped, or it is a frame that is refused later."""
    hostile = STREAM[name]
    first, found, last = events_of(GOOD + hostile.data + GOOD, chunk)
    assert first.data == last.data == GOOD
    if isinstance(found, Frame):
        assert found.data == hostile.data
        if hostile.reason is RejectReason.FAR_FUTURE:
            assert window_timestamp(found.cards) > T0_US
        elif hostile.reason is None:
            decode_window(found.data)
        else:
            with pytest.raises(SchemaError) as caught:
                decode_window(found.data)
            assert caught.value.reason is hostile.reason
    else:
        assert found.total_bytes == len(hostile.data)
        assert hostile.data.startswith(found.data)
        assert (hostile.stage, hostile.reason) == ("connector", found.reason)


@pytest.mark.parametrize("chunk", [1 << 30, 1499], ids=["whole", "in pieces"])
def test_the_whole_corpus_in_one_stream(chunk):
    pieces = [piece for hostile in STREAM.values() for piece in (hostile.data, GOOD)]
    events = events_of(b"".join(pieces), chunk)
    assert sum(event.data == GOOD for event in events) == len(STREAM)
    assert sum(getattr(event, "total_bytes", len(event.data)) for event in events) == sum(map(len, pieces))


@pytest.mark.parametrize("name", RAW)
def test_a_hostile_raw_record_is_refused_with_its_reason(name):
    record = RAW[name]
    if record.reason is RejectReason.UNKNOWN_SOURCE:  # for the assembler, which knows the sources
        assert read_head(0, 0, record.key, record.headers).headers.source == "stranger"
        return
    with pytest.raises(SchemaError) as caught:
        decode_record(read_head(0, 0, record.key, record.headers), record.value)
    assert caught.value.reason is record.reason


@pytest.mark.parametrize("name", [name for name in GROUPS if name != "no value"])
def test_a_hostile_record_of_groups_is_no_image(name):
    with pytest.raises(RecordHeaderError):
        ImageHeaders.decode(GROUPS[name].headers)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_hostile_record_of_the_catalogue_is_no_entry(name):
    with pytest.raises(CatalogueError):
        CatalogueEntry.from_json(CATALOGUE[name])


def test_the_corpus_is_the_same_each_time():
    assert stream_corpus() == STREAM
    assert raw_corpus("t", "sb0", T0_US) == RAW
    assert groups_corpus("t", "sb0", T0_US) == GROUPS
    assert catalogue_corpus(T0_US) == CATALOGUE
