"""A source's reader with a list in the place of Kafka: what it hands over, in order."""

import itertools
import threading
from types import TracebackType
from typing import Self

from connector.intake import Intake, RecordTaker
from connector.metrics import SourceCounts
from connector.records import Record, RecordMaker
from connector.settings import ConnectorSettings
from connector.source import SourceReader
from schemas.record_headers import RawHeaders, RejectHeaders
from schemas.source import ServerSource
from tests.support.waiting import timeout_s, wait_until

_numbers = itertools.count()
MIB = 1024**2


class ReadSource:
    """Reads one server while it is entered.

    Attributes:
        records: what was handed over.
        gate: closed (cleared), nothing is taken: as a full queue does.
        counts: of this reader alone.
    """

    def __init__(self, port: int, *, gate_open: bool = True, **settings: object) -> None:
        name = f"read{next(_numbers)}"
        self.source = ServerSource(name, "127.0.0.1", port)
        quick = {"reconnect_min_s": 0.02, "reconnect_max_s": 0.1, "sources": (self.source,)}
        small = {"max_frame_bytes": 16 * MIB, "queue_max_bytes": 64 * MIB}
        self.settings = ConnectorSettings(**{**quick, **small, **settings})
        self.records: list[Record] = []
        self.gate = threading.Event()
        if gate_open:
            self.gate.set()
        self.counts = SourceCounts(name)
        self.stop = threading.Event()
        maker = RecordMaker(self.source, self.settings.topics, max_future_s=self.settings.max_future_s)
        intake = Intake(self.counts, RecordTaker(name, maker, self._publish, self.counts))
        self.reader = SourceReader(self.source, self.settings, intake=intake, stop=self.stop)

    @property
    def frames(self) -> list[bytes]:
        """Values that go to raw."""
        return [record.value for record in list(self.records) if isinstance(record.headers, RawHeaders)]

    @property
    def rejects(self) -> list[RejectHeaders]:
        """Headers of those that go to rejects."""
        return [record.headers for record in list(self.records) if isinstance(record.headers, RejectHeaders)]

    def wait_for(self, records: int) -> None:
        """Until so many were handed over."""
        wait_until(
            lambda: len(self.records) >= records or self.reader.failure is not None,
            lambda: f"{records} records; there are {len(self.records)}; {self.reader.problem}",
        )
        assert self.reader.failure is None
        assert len(self.records) == records

    def end(self) -> None:
        """Stop, and wait until all is handed over."""
        self.gate.set()
        self.stop.set()
        assert self.reader.wait_until_idle(timeout_s(10))
        assert self.reader.failure is None

    def __enter__(self) -> Self:
        self.reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def _publish(self, record: Record) -> None:
        self.gate.wait()
        self.records.append(record)
