import pytest

from connector.metrics import PRODUCE_LATENCY, Destination, SourceCounts
from connector.outlet import Outlet
from connector.records import Record
from schemas.pixel_order import PixelOrder
from schemas.record_headers import RawHeaders
from schemas.topics import TopicNames

NAMES = TopicNames("test")
HEADERS = RawHeaders("test", "sb0", 0, "xxh3-128:" + 32 * "0", 0, PixelOrder.FITS)


class Queue:
    """Room for some records; a record that finds none waits for so many turns, or for ever."""

    def __init__(self, room: int, turns: int | None) -> None:
        self.taken: list[Record] = []
        self._room = room
        self._turns = turns
        self.waits = 0
        self.settled_total = (0, 0)

    def offer(self, record, _outlet):
        if len(self.taken) >= self._room:
            return False
        self.taken.append(record)
        return True

    def wait_for_room(self):
        self.waits += 1
        if self._turns is None:
            return self.waits < 3
        if self.waits == self._turns:
            self._room += 1
        return True

    def settled(self, records, size):
        self.settled_total = (self.settled_total[0] + records, self.settled_total[1] + size)

    def refused(self, error, _record, _outlet):
        raise AssertionError(error)


@pytest.fixture
def counts():
    return SourceCounts("outlet")


def record(size: int) -> Record:
    return Record(NAMES.raw, b"key", bytes(size), HEADERS)


def test_records_wait_until_they_are_settled(counts):
    queue = Queue(room=10, turns=1)
    outlet = Outlet("sb0", NAMES, counts, queue)
    outlet.publish(record(100))
    outlet.publish(record(50))
    assert (outlet.waiting_records, outlet.waiting_bytes) == (2, 150)
    outlet.settle(1, 100)
    assert (outlet.waiting_records, outlet.waiting_bytes) == (1, 50)
    assert queue.settled_total == (1, 100)
    assert queue.waits == 0
    assert counts.back_pressure_s.total == 0


def test_a_full_queue_is_waited_for(counts):
    queue = Queue(room=1, turns=5)
    outlet = Outlet("sb0", NAMES, counts, queue)
    outlet.publish(record(1))
    outlet.publish(record(2))
    assert [len(each.value) for each in queue.taken] == [1, 2]
    assert queue.waits == 5
    assert counts.back_pressure_s.total > 0


def test_what_is_not_taken_any_more_stays_waiting(counts):
    queue = Queue(room=1, turns=None)
    outlet = Outlet("sb0", NAMES, counts, queue)
    outlet.publish(record(1))
    outlet.publish(record(2))
    assert len(queue.taken) == 1
    assert (outlet.waiting_records, outlet.waiting_bytes) == (2, 3)


class Acknowledged:
    """A delivery report of Kafka's client, as far as it is looked at."""

    def __init__(self, latency_s: float | None) -> None:
        self._latency_s = latency_s

    def __len__(self) -> int:
        return 100

    def latency(self) -> float | None:
        return self._latency_s


def observed() -> tuple[float, float]:
    """How many latencies there are, and their sum."""
    samples = {sample.name: sample.value for metric in PRODUCE_LATENCY.collect() for sample in metric.samples}
    name = "trapline_connector_produce_latency_seconds"
    return samples[f"{name}_count"], samples[f"{name}_sum"]


def test_the_time_until_an_acknowledgement_is_observed_where_the_client_knows_it(counts):
    outlet = Outlet("sb0", NAMES, counts, Queue(room=10, turns=1))
    count, total = observed()
    for latency_s in (0.25, None, 0.5):
        outlet.publish(record(100))
        outlet.report(record(0), None, Acknowledged(latency_s))
    assert observed() == (count + 2, pytest.approx(total + 0.75))
    assert counts.delivered[Destination.RAW].total == 3
    assert outlet.waiting_records == 0
