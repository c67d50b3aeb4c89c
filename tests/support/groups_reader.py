"""A reader of the topics that shares no code with the pipeline: plain clients, plain headers.

It sees what any read_committed consumer sees; with `committed=False`, also what was aborted.
"""

import io
import json
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass

from astropy.io import fits
from confluent_kafka import Consumer, KafkaError, TopicPartition

from tests.support.waiting import timeout_s

_OPEN_S = (
    0.5  # the marker of a transaction that has ended follows its answer; for an open one none is waited for
)


@dataclass(frozen=True)
class Record:
    partition: int
    offset: int
    key: str
    headers: dict[str, str]
    value: bytes

    def pixels(self):
        """The image, by astropy, checksums verified."""
        with fits.open(io.BytesIO(self.value), checksum=True) as hdus:
            return hdus[0].data.copy()


def read_all(bootstrap_servers: str, topic: str, *, committed: bool = True) -> list[Record]:
    """Every record of a topic from its beginning to its end as it is now, by partition and offset.

    Where a transaction is open at the end, or its marker under way, it is given half a second.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"reader-{uuid.uuid4().hex}",
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 80_000_000,
            "fetch.max.bytes": 80_000_000,
            "receive.message.max.bytes": 80_001_000,
            "fetch.wait.max.ms": 50,
            "check.crcs": True,
        }
    )
    try:
        metadata = consumer.list_topics(topic, timeout=timeout_s(30)).topics[topic]
        partitions = [TopicPartition(topic, number, 0) for number in metadata.partitions]
        consumer.assign(partitions)
        at_end: set[int] = set()
        open_since: dict[int, float] = {}
        records = []
        deadline = time.monotonic() + timeout_s(60)
        while len(at_end) < len(partitions):
            assert time.monotonic() < deadline, f"{topic} was not read to its end"
            at_end |= {number for number, moment in open_since.items() if time.monotonic() > moment + _OPEN_S}
            message = consumer.poll(0.05)
            if message is None:
                continue
            number = message.partition()
            open_since.pop(number, None)
            if message.error():
                if message.error().code() == KafkaError._PARTITION_EOF:
                    _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), cached=True)
                    if message.offset() < end:  # what is behind may be committed in a moment
                        open_since[number] = time.monotonic()
                    else:
                        at_end.add(number)
                continue
            headers = {name: value.decode() for name, value in message.headers() or []}
            key = (message.key() or b"").decode(errors="replace")  # of a reject it may be anything
            records.append(
                Record(message.partition(), message.offset(), key, headers, message.value() or b"")
            )
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close()


@dataclass(frozen=True)
class SeenGroup:
    """A group as a foreign reader puts it together: by id, index and size."""

    timestamp: str
    group_id: str
    partition: int
    records: tuple[Record, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(record.headers["ce_subject"] for record in self.records)

    @property
    def missing(self) -> tuple[str, ...]:
        names = self.records[0].headers["ce_groupmissing"]
        return tuple(names.split(",")) if names else ()

    @property
    def digests(self) -> dict[str, str]:
        return {record.headers["ce_subject"]: record.headers["ce_digest"] for record in self.records}


def read_groups(bootstrap_servers: str, topic: str) -> list[SeenGroup]:
    """All groups; fails on one that is torn or mixed."""
    by_id: dict[str, list[Record]] = defaultdict(list)
    for record in read_all(bootstrap_servers, topic):
        by_id[record.headers["ce_groupid"]].append(record)
    groups = []
    for group_id, records in by_id.items():
        size = int(records[0].headers["ce_groupsize"])
        indices = [int(record.headers["ce_groupindex"]) for record in records]
        assert indices == list(range(size)), f"group {group_id} is torn: {indices} of {size}"
        assert len({record.key for record in records}) == 1
        groups.append(SeenGroup(records[0].key, group_id, records[0].partition, tuple(records)))
    return groups


def read_entries(bootstrap_servers: str, topic: str) -> list[dict]:
    """All catalogue entries as plain JSON."""
    return [json.loads(record.value) for record in read_all(bootstrap_servers, topic)]
