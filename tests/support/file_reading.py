"""A reader of files with a list in the place of Kafka: what it hands over, in order."""

import itertools
import threading
from pathlib import Path

from connector.file_source import FileReader
from connector.intake import Intake, RecordTaker
from connector.metrics import FileOutcome, SourceCounts
from connector.records import Record, RecordMaker
from connector.settings import ConnectorSettings
from schemas.record_headers import RawHeaders, RejectHeaders
from schemas.source import FileSource
from tests.support.waiting import timeout_s, wait_until

_numbers = itertools.count()
MIB = 1024**2


class ReadFiles:
    """Reads a file or a folder.

    Attributes:
        records: what was handed over.
        waiting_bytes: what Kafka is said not to have acknowledged.
        looks: how often it was asked.
        gate: closed (cleared), nothing is taken: as a full queue does.
    """

    def __init__(self, path: Path, *, max_waiting_bytes: int = 64 * MIB, **settings: object) -> None:
        name = f"files{next(_numbers)}"
        self.source = FileSource(name, path)
        small = {"max_frame_bytes": 16 * MIB, "queue_max_bytes": 64 * MIB, "sources": (self.source,)}
        self.settings = ConnectorSettings(**{**small, **settings})
        self.records: list[Record] = []
        self.waiting_bytes = 0
        self.looks = 0
        self.gate = threading.Event()
        self.gate.set()
        self.counts = SourceCounts(name)
        self.stop = threading.Event()
        maker = RecordMaker(self.source, self.settings.topics, max_future_s=self.settings.max_future_s)
        taker = RecordTaker(name, maker, self._publish, self.counts)
        self.reader = FileReader(
            self.source,
            self.settings,
            intake=Intake(self.counts, taker),
            stop=self.stop,
            waiting_bytes=self._look,
            max_waiting_bytes=max_waiting_bytes,
            at=taker.at,
        )

    @property
    def frames(self) -> list[bytes]:
        """Values that go to raw."""
        return [record.value for record in list(self.records) if isinstance(record.headers, RawHeaders)]

    @property
    def rejects(self) -> list[RejectHeaders]:
        """Headers of those that go to rejects."""
        return [record.headers for record in list(self.records) if isinstance(record.headers, RejectHeaders)]

    def files(self, outcome: FileOutcome) -> int:
        """How many files have come to this."""
        return int(self.counts.files[outcome].total)

    def start(self) -> "ReadFiles":
        """Find and read."""
        self.reader.find()
        self.reader.start()
        return self

    def wait(self) -> "ReadFiles":
        """Until it has read all, and every byte of it is accounted for."""
        wait_until(
            lambda: self.reader.finished or self.reader.failure is not None, lambda: self.reader.problem
        )
        assert self.reader.failure is None
        assert self.reader.wait_until_idle(timeout_s(10))
        skipped = sum(each.total_bytes for each in self.rejects if each.digest is None)
        whole = sum(each.total_bytes for each in self.rejects if each.digest is not None)
        assert self.counts.read_bytes.total == sum(map(len, self.frames)) + whole + skipped
        assert self.counts.skipped_bytes.total == skipped
        assert self.counts.rejects == len(self.rejects)
        return self

    def all(self) -> "ReadFiles":
        """Read everything."""
        return self.start().wait()

    def _look(self) -> int:
        self.looks += 1
        return self.waiting_bytes

    def _publish(self, record: Record) -> None:
        self.gate.wait()
        self.records.append(record)
