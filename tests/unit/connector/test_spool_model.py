"""Whatever is done to a spool, in whatever order: nothing unacknowledged is missing, and order is kept."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connector.records import Record, RecordMaker
from connector.spool.bound import Bound
from connector.spool.index import Title
from connector.spool.recovery import find_segments
from connector.spool.source_spool import SourceSpool
from schemas.errors import RejectReason
from schemas.frame import FrameDecoder, FrameLimits, Skipped
from schemas.pixel_order import PixelOrder
from schemas.topics import TopicNames
from tests.support.frames import T0_US, make_cards, make_frame, make_pixels, pack_frame, payload_of

NAMES = TopicNames("test")
TITLE = Title("test", "sb0", PixelOrder.TRANSPOSED)
SECOND_US = 1_000_000
SEGMENT_BYTES = 12_000


def identity(record: Record) -> tuple:
    """All of a record but how it stands in this run."""
    return record.topic, record.key, record.value, record.headers


class SpoolModel(RuleBasedStateMachine):
    """A model of one source's spool: a list of records, of which some are handed over and some acknowledged.

    What may come twice after a crash is what was handed over and not yet released; what may never happen is
    that a record is not there which Kafka has not acknowledged, or that one overtakes another.
    """

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.maker = RecordMaker(TITLE, NAMES, max_future_s=300)
        self.appended = []  # identities, in order
        self.acknowledged = set()  # numbers of records
        self.waiting = []  # handed over in this run: (number, segment)
        self.next_number = 0  # of the record that has to come out next
        self.clock_us = T0_US
        self.bound = None

    @initialize()
    def start(self):
        self.open()

    def open(self):
        self.bound = Bound(10**9, 0)
        self.spool = SourceSpool(
            self.folder,
            TITLE,
            find_segments(self.folder, TITLE).segments,
            names=NAMES,
            max_future_s=300,
            limits=FrameLimits(),
            segment_bytes=SEGMENT_BYTES,
            fsync=False,
            bound=self.bound,
        )

    def teardown(self):
        self.spool.close()
        shutil.rmtree(self.folder)

    def records(self, kind: str, number: int) -> Record:
        self.clock_us += 1000
        if kind == "skipped":
            data = b"x" * (number % 50 + 1)
            return self.maker.skipped(Skipped(data, 100, RejectReason.BAD_MAGIC, "no magic"), self.clock_us)
        decoder = FrameDecoder()
        if kind == "undated":
            frame = pack_frame(make_cards(date_obs=None), payload_of(make_pixels(seed=number)))
        else:
            shape = (16, 24) if kind == "small" else (64, 48)
            frame = make_frame(T0_US + number * SECOND_US, seed=number, shape=shape)
        decoder.feed(frame)
        return self.maker.frame(decoder.next_event(), max(self.clock_us, T0_US + number * SECOND_US))

    @rule(kind=st.sampled_from(["small", "small", "large", "undated", "skipped"]), direct=st.booleans())
    def append(self, kind, direct):
        record = self.records(kind, len(self.appended))
        behind = self.spool.backlog
        assert behind == (self.next_number < len(self.appended))
        segment, size = self.spool.append(record)
        assert size > 0
        self.appended.append(identity(record))
        if direct and not behind:
            self.spool.pass_by()
            self.waiting.append((self.next_number, segment))
            self.next_number += 1

    @rule(count=st.integers(1, 5))
    def hand_over(self, count):
        for _ in range(count):
            item = self.spool.next()
            if self.next_number == len(self.appended):
                assert item is None
                return
            record, segment, damaged = item
            assert damaged == 0
            assert identity(record) == self.appended[self.next_number]
            self.spool.handed()
            self.waiting.append((self.next_number, segment))
            self.next_number += 1

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), share=st.integers(1, 4))
    def acknowledge(self, data, share):
        """In any order: several partitions answer independently."""
        order = data.draw(st.permutations(self.waiting))
        settled = order[: max(1, len(order) // share)]
        for number, segment in settled:
            segment.settled += 1
            self.acknowledged.add(number)
        self.waiting = [each for each in self.waiting if each not in settled]

    @rule(cut=st.sampled_from(["nothing", "frames", "all"]))
    def release(self, cut):
        """Deletes what Kafka has; a crash may fall between the two files of a segment."""
        for segment in self.spool.take_acknowledged():
            if cut == "nothing":
                continue  # the crash that follows comes before the deletion
            segment.frames_path.unlink()
            if cut == "all":
                segment.index_path.unlink()
            self.bound.add(-segment.bytes)
        if cut != "all":
            self.crash()

    @rule()
    def crash(self):
        """The process is gone; what it had handed over and was not released comes again."""
        self.spool.close()
        self.open()
        self.rewind()

    @rule()
    def stop(self):
        """In order: what is acknowledged is deleted."""
        self.spool.close()
        for segment in self.spool.take_acknowledged():
            segment.frames_path.unlink()
            segment.index_path.unlink()
        self.open()
        self.rewind()

    @rule(share=st.integers(0, 99), line=st.booleans())
    def tear(self, share, line):
        """A crash within an append: a part of the frame is there, and its line, whole or not."""
        record = self.records("large", len(self.appended))
        segment, size = self.spool.append(record)
        self.spool.close()
        frame_bytes = len(record.value)
        kept = share * frame_bytes // 100
        with segment.frames_path.open("r+b") as file:
            file.truncate(segment.end.frames - frame_bytes + kept)
        if not line:
            with segment.index_path.open("r+b") as file:
                file.truncate(segment.end.index - (size - frame_bytes) // 2)
        found = find_segments(self.folder, TITLE)
        assert (found.torn, found.torn_bytes) == (int(kept > 0), kept)
        self.open()
        self.rewind()

    def rewind(self):
        """What comes out now has to be a tail of what went in, and to hold all that is not acknowledged."""
        self.waiting = []
        left = []
        while (item := self.spool.next()) is not None:
            left.append(identity(item[0]))
            self.spool.handed()
        # Whole segments were released, so what is left is not one run; but nothing else may lack.
        numbers = []
        search = 0
        for each in left:
            search = self.appended.index(each, search)
            numbers.append(search)
            search += 1
        missing = set(range(len(self.appended))) - set(numbers)
        assert missing <= self.acknowledged
        # From here on the model is of what is left.
        self.appended = left
        self.acknowledged = {index for index, number in enumerate(numbers) if number in self.acknowledged}
        self.spool.close()
        self.open()
        self.next_number = 0

    @invariant()
    def counts_agree(self):
        if self.bound is None:
            return
        on_disk = sum(path.stat().st_size for path in self.folder.iterdir())
        assert self.bound.used_bytes == self.spool.bytes == on_disk
        assert self.spool.backlog == (self.next_number < len(self.appended))


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
)
