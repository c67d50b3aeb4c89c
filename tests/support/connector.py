"""A connector in this process, and what it put into Kafka, read independently of the consumer room."""

import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, TopicPartition

from connector.metrics import Destination
from connector.service import ConnectorService, Summary
from connector.settings import ConnectorSettings
from runtime.kafka import admin_client
from runtime.settings import TraplineSettings, load_settings
from runtime.shutdown import Shutdown
from runtime.topic_settings import TopicsSettings
from runtime.topics import create_topics
from schemas.digest import frame_digest
from schemas.record_headers import RawHeaders
from schemas.source import ServerSource, Source
from schemas.timestamp import timestamp_key
from schemas.topics import TopicNames
from tests.support.waiting import timeout_s, wait_until

MIB = 1024**2
QUICK = {"reconnect_min_s": 0.02, "reconnect_max_s": 0.2, "flush_timeout_s": timeout_s(20)}


def make_topics(bootstrap_servers: str, prefix: str, **settings: object) -> TopicNames:
    """Create the topics of a prefix."""
    where = {"bootstrap_servers": bootstrap_servers, "topic_prefix": prefix}
    create_topics(load_settings(TopicsSettings, overrides={**where, **settings}, known=[]))
    return TopicNames(prefix)


def delete_topic(bootstrap_servers: str, topic: str) -> None:
    """Delete it, with all that is in it."""
    client = admin_client(TraplineSettings(bootstrap_servers=bootstrap_servers))
    for future in client.delete_topics([topic]).values():
        future.result(timeout_s(30))


def source(name: str, port: int) -> ServerSource:
    """An image server on this machine."""
    return ServerSource(name, "127.0.0.1", port)


@dataclass(frozen=True)
class Raw:
    """A record as any client reads it."""

    offset: int
    key: bytes | None
    value: bytes
    headers: dict[str, str]

    @property
    def source(self) -> str:
        return self.headers["ce_subject"]


def read_topic(bootstrap_servers: str, topic: str, partition: int = 0) -> list[Raw]:
    """Everything in a partition, up to its end at the call."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "reader-of-the-tests",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 20,
            "fetch.message.max.bytes": 64 * MIB,
            "receive.message.max.bytes": 128 * MIB,
        }
    )
    try:
        where = TopicPartition(topic, partition, 0)
        _, end = consumer.get_watermark_offsets(where, timeout=timeout_s(10))
        consumer.assign([where])
        records: list[Raw] = []
        deadline_s = time.monotonic() + timeout_s(60)
        while not records or records[-1].offset < end - 1:
            if end == 0:
                break
            assert time.monotonic() < deadline_s, f"{topic}: {len(records)} of {end} records"
            message = consumer.poll(0.2)
            if message is None:
                continue
            assert message.error() is None, message.error()
            headers = {name: value.decode() for name, value in message.headers() or []}
            records.append(Raw(message.offset(), message.key(), message.value(), headers))
        return records
    finally:
        consumer.close()


def by_source(records: list[Raw]) -> dict[str, list[bytes]]:
    """The values of each source, in the order of the log; headers and key have to be those of the value."""
    values: dict[str, list[bytes]] = {}
    for record in records:
        headers = RawHeaders.decode([(name, value.encode()) for name, value in record.headers.items()])
        assert headers.digest == frame_digest(record.value)
        assert record.key == timestamp_key(headers.timestamp_us)
        values.setdefault(record.source, []).append(record.value)
    return values


class RunningConnector:
    """`ConnectorService` in a thread, while it is entered.

    Attributes:
        service: it.
        error: what ended it.
        summary: what it did, once it has ended.
    """

    def __init__(self, bootstrap_servers: str, prefix: str, *sources: Source, **settings: object) -> None:
        small = {"max_frame_bytes": 8 * MIB, "queue_max_bytes": 64 * MIB}
        where = {"bootstrap_servers": bootstrap_servers, "topic_prefix": prefix, "sources": sources}
        self.settings = load_settings(
            ConnectorSettings, overrides={**QUICK, **small, **where, **settings}, known=[]
        )
        self.service = ConnectorService(self.settings)
        self.error: BaseException | None = None
        self.summary: Summary | None = None
        self._shutdown = Shutdown()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def totals(self) -> Counter[str]:
        """Figures of this run so far, over all sources."""
        totals: Counter[str] = Counter()
        for counts in self.service._counts.values():
            totals["frames"] += int(counts.frames.total)
            totals["rejects"] += counts.rejects
            totals["reconnects"] += int(counts.reconnects.total)
            totals["raw"] += int(counts.delivered[Destination.RAW].total)
            totals["rejects_delivered"] += int(counts.delivered[Destination.REJECTS].total)
            for refusal, count in counts.delivery_failures.items():
                totals[refusal.value] += int(count.total)
        return totals

    def wait_for(self, **figures: int) -> None:
        """Until these figures are reached, at least."""
        wait_until(
            lambda: self.error is not None or all(self.totals[n] >= v for n, v in figures.items()),
            lambda: f"{figures}; it is {dict(self.totals)}; {self.service.not_ready()}",
            60,
        )
        assert self.error is None, self.error

    def stop(self) -> Summary:
        """Ask it to end, and wait."""
        self._shutdown.request()
        self.wait_for_end()
        assert self.error is None, self.error
        assert self.summary is not None
        return self.summary

    def wait_for_end(self) -> None:
        """Until it has ended by itself."""
        self._thread.join(timeout_s(60))
        assert not self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shutdown.request()
        self._thread.join(timeout_s(60))

    def _run(self) -> None:
        try:
            self.summary = self.service.run(self._shutdown)
        except BaseException as error:  # noqa: BLE001  the test looks at it
            self.error = error
