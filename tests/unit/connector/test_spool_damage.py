"""What comes back from a disk that changed bytes: the rest, whole and in order, and the damage as rejects."""

import pytest

from connector.records import RecordMaker
from connector.spool.bound import Bound
from connector.spool.index import FrameEntry, RejectEntry, Title, entry_of, read_entry, read_title
from connector.spool.recovery import find_segments
from connector.spool.source_spool import SourceSpool
from schemas.errors import RejectReason
from schemas.frame import FrameDecoder, FrameLimits, Skipped
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders, RejectHeaders
from schemas.topics import TopicNames
from tests.support.frames import MAGIC_BYTES, T0_US, make_frame

NAMES = TopicNames("test")
TITLE = Title("test", "sb0", PixelOrder.TRANSPOSED)
OTHER = Title("test", "sb0", PixelOrder.FITS)  # what the settings say by now
SECOND_US = 1_000_000
COUNT = 6


def opened(folder, found=()) -> SourceSpool:
    return SourceSpool(
        folder,
        TITLE,
        found,
        names=NAMES,
        max_future_s=300,
        limits=FrameLimits(max_fits_bytes=2000, max_frame_bytes=2000),  # lowered since
        segment_bytes=10**6,
        fsync=True,
        bound=Bound(10**9, 0),
    )


def made(number: int):
    decoder = FrameDecoder()
    decoder.feed(make_frame(T0_US + number * SECOND_US, seed=number))
    maker = RecordMaker(TITLE, NAMES, max_future_s=300)
    return maker.frame(decoder.next_event(), T0_US + number * SECOND_US + 7)


@pytest.fixture
def written(tmp_path):
    """A segment of six frames with a reject in the middle; its records."""
    spool = opened(tmp_path)
    records = [made(number) for number in range(COUNT)]
    skipped = Skipped(b"garbage", 7, RejectReason.BAD_MAGIC, "7 bytes")
    maker = RecordMaker(TITLE, NAMES, max_future_s=300)
    records.insert(3, maker.skipped(skipped, T0_US + 99 * SECOND_US))
    for record in records:
        spool.append(record)
    spool.close()
    return records


def paths(folder):
    (frames,) = folder.glob("*.frames")
    return frames, frames.with_suffix(".index")


def read_back(folder, title=OTHER):
    """What a next run sends, and how many bytes of it are damaged."""
    found = find_segments(folder, title)
    spool = opened(folder, found.segments)
    records, damaged = [], 0
    while (item := spool.next()) is not None:
        record, segment, damaged_bytes = item
        records.append(record)
        damaged += damaged_bytes
        spool.handed()
        segment.settled += 1
    assert not spool.backlog
    assert len(spool.take_acknowledged()) == len(found.segments)
    spool.close()
    return records, damaged, found


def identity(record):
    return record.topic, record.key, record.value, record.headers


def good(records):
    return [identity(each) for each in records if isinstance(each.headers, RawHeaders)]


def flip(path, offset, size=1):
    data = bytearray(path.read_bytes())
    for place in range(offset, offset + size):
        data[place] ^= 0xFF
    path.write_bytes(data)


def test_undamaged_all_comes_back_as_it_was(tmp_path, written):
    records, damaged, found = read_back(tmp_path)
    assert [identity(each) for each in records] == [identity(each) for each in written]
    assert records[0].headers.pixel_order is PixelOrder.TRANSPOSED
    assert (damaged, found.torn, found.untitled) == (0, 0, 0)


@pytest.mark.parametrize(
    ("where", "size"),
    [("pixels", 1), ("pixels", 800), ("magic", 1), ("lengths", 8), ("date", 4), ("axes", 2), ("all", 4000)],
)
def test_a_damaged_middle_costs_what_is_damaged(tmp_path, written, where, size):
    frames, _ = paths(tmp_path)
    frame = written[2].value
    begin = len(written[0].value) + len(written[1].value)
    offset = {
        "pixels": len(frame) - 900,
        "magic": 0,
        "lengths": 8,
        "date": frame.index(b"DATE-OBS") + 11,
        "axes": frame.index(b"NAXIS1  =") + 28,
        "all": 0,
    }[where]
    flip(frames, begin + offset, min(size, len(frame) - offset))
    records, damaged, _ = read_back(tmp_path)
    assert good(records) == good(written[:2] + written[3:])
    assert damaged == len(frame)
    rejects = [each.headers for each in records if isinstance(each.headers, RejectHeaders)]
    reasons = [each.reason for each in rejects]
    assert sorted(set(reasons)) == [RejectReason.BAD_MAGIC, RejectReason.DAMAGED]
    assert sum(each.total_bytes for each in rejects if each.reason is RejectReason.DAMAGED) == len(frame)
    assert all("of the spool" in each.detail for each in rejects if each.reason is RejectReason.DAMAGED)


def test_a_lost_index_costs_times_of_arrival_alone(tmp_path, written):
    frames, index = paths(tmp_path)
    index.unlink()
    arrived_us = frames.stat().st_mtime_ns // 1000
    records, damaged, found = read_back(tmp_path)
    assert [each.value for each in records] == [
        each.value for each in written if isinstance(each.headers, RawHeaders)
    ]
    assert (damaged, found.untitled) == (0, 1)
    assert {each.headers.receive_time_us for each in records} == {arrived_us}
    assert {each.headers.pixel_order for each in records} == {PixelOrder.FITS}  # as the settings say


def test_damaged_lines_cost_no_frame(tmp_path, written):
    _, index = paths(tmp_path)
    lines = index.read_bytes().splitlines(keepends=True)
    flip(index, len(lines[0]) + 3, 20)
    flip(index, sum(map(len, lines[:6])) + 3, 20)
    records, damaged, _ = read_back(tmp_path)
    assert [each.value for each in records] == [each.value for each in written]
    assert damaged == 0


def test_a_lost_end_of_the_index(tmp_path, written):
    _, index = paths(tmp_path)
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    records, damaged, found = read_back(tmp_path)
    values = [each.value for each in written if isinstance(each.headers, RawHeaders)]
    assert [each.value for each in records] == values
    assert (damaged, found.torn) == (0, 0)


def test_a_torn_tail_is_cut_off_and_counted(tmp_path, written):
    frames, _ = paths(tmp_path)
    whole = frames.stat().st_size
    with frames.open("r+b") as file:
        file.truncate(whole - 100)
    records, damaged, found = read_back(tmp_path)
    assert [identity(each) for each in records] == [identity(each) for each in written[:-1]]
    assert (damaged, found.torn, found.torn_bytes) == (0, 1, len(written[-1].value) - 100)
    assert frames.stat().st_size == whole - len(written[-1].value)


def test_frames_that_a_false_header_would_swallow_come_back(tmp_path, written):
    """Lengths that agree with a damaged NAXIS2, and ask for more than there is."""
    frames, _ = paths(tmp_path)
    first = written[0].value
    larger = first.replace(b"NAXIS2  =                   16", b"NAXIS2  =                   96")
    pixels = 4 * 96 * 24
    lying = MAGIC_BYTES + larger[8:12] + pixels.to_bytes(4, "little") + larger[16:]
    data = frames.read_bytes()
    frames.write_bytes(lying + data[len(first) :])
    records, damaged, _ = read_back(tmp_path)
    assert good(records)[-1] == identity(written[-1])
    lost = {each[2] for each in good(written)} - {each[2] for each in good(records)}
    assert damaged >= sum(map(len, lost)) > 0


@pytest.mark.usefixtures("written")
def test_what_a_cut_deletion_left_is_removed(tmp_path):
    frames, index = paths(tmp_path)
    frames.unlink()
    assert find_segments(tmp_path, TITLE).segments == ()
    assert not index.exists()


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "notes.frames").write_bytes(b"not ours")
    assert find_segments(tmp_path, TITLE).segments == ()
    assert (tmp_path / "notes.frames").exists()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"[]\n",
        b"null\n",
        b"{}\n",
        b'{"offset":-1,"bytes":1,"receive_time_us":1,"digest":"xxh3-128:00000000000000000000000000000000"}\n',
        b'{"offset":0,"bytes":1,"receive_time_us":1,"digest":"none"}\n',
        b'{"offset":0,"bytes":"1","receive_time_us":1,"digest":"xxh3-128:00000000000000000000000000000000"}\n',
        b'{"offset":0,"reason":"no_such"}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_line_that_is_none(line):
    assert read_entry(line, TITLE) is None
    assert read_title(line) is None


def test_lines_say_what_was_written():
    assert read_title(TITLE.encode()) == TITLE
    frame = made(1)
    entry, data = entry_of(frame, 5)
    assert data is frame.value  # no copy
    assert isinstance(entry, FrameEntry)
    assert read_entry(entry.encode(), TITLE) == entry
    maker = RecordMaker(TITLE, NAMES, max_future_s=300)
    reject = maker.skipped(Skipped(b"\x00\xff" * 9, 100, RejectReason.INCOMPLETE, 'with "quotes"\n'), T0_US)
    entry, data = entry_of(reject, 5)
    assert data == b""
    assert isinstance(entry, RejectEntry)
    assert read_entry(entry.encode(), TITLE) == entry
