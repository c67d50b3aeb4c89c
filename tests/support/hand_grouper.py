"""A grouper by hand: groups what a test says, with schemas alone, and puts wrong what the test asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from confluent_kafka import Consumer, TopicPartition

from runtime.kafka import LogProducer, transactional_producer
from runtime.settings import TraplineSettings, load_settings
from schemas.catalogue import CatalogueEntry, ClosedBy, Member, record_time_ms
from schemas.errors import RejectReason
from schemas.fits_image import encode_image
from schemas.offset_metadata import OffsetMetadata
from schemas.record_headers import CatalogueHeaders, ImageHeaders, RawHeaders, RejectHeaders, group_id
from schemas.timestamp import timestamp_key
from schemas.window import decode_window
from tests.support.groups_reader import Record, read_all
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import timeout_s


@dataclass
class Image:
    """An image on its way to groups; a test may change anything."""

    headers: ImageHeaders
    value: bytes
    key: bytes


@dataclass
class Publication:
    """A group on its way; a test may change anything."""

    images: list[Image]
    entry: CatalogueEntry
    partition: int


@dataclass
class HandGrouper:
    """Publishes groups, entries and rejects, a transaction each, and commits raw offsets as told."""

    raw: RawTopic
    read_to: int = 0
    _producer: LogProducer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        settings = load_settings(
            TraplineSettings, overrides={"bootstrap_servers": self.raw.bootstrap_servers}, known=[]
        )
        self._producer = transactional_producer(settings, f"{self.raw.prefix}-hand")
        self._producer.init_transactions(timeout_s(30))

    def records(self) -> list[Record]:
        """What is in raw."""
        return read_all(self.raw.bootstrap_servers, self.raw.names.raw)

    def prepare(
        self,
        second: int,
        sources: Sequence[str] | None = None,
        *,
        expected: Sequence[str] | None = None,
        revision: int = 1,
    ) -> Publication:
        """A group as the grouper would publish it, of the first window of each source in raw."""
        sources = tuple(sources or self.raw.sources)
        expected = tuple(expected or self.raw.sources)
        missing = tuple(source for source in expected if source not in sources)
        windows: dict[str, Record] = {}
        for record in self.records():
            if record.key == timestamp_key(at(second)).decode():
                windows.setdefault(record.headers["ce_subject"], record)
        chosen = [windows[source] for source in sources]
        name = group_id(at(second), revision, min(record.offset for record in chosen))
        images, members = [], []
        for index, record in enumerate(chosen):
            raw = RawHeaders.decode([(n, value.encode()) for n, value in record.headers.items()])
            window = decode_window(record.value, raw.pixel_order)
            headers = ImageHeaders(
                prefix=self.raw.prefix,
                source=raw.source,
                timestamp_us=at(second),
                group_id=name,
                index=index,
                size=len(chosen),
                expected=len(expected),
                complete=not missing,
                missing=missing,
                revision=revision,
                receive_time_us=raw.receive_time_us,
                pixel_order=raw.pixel_order,
                digest=raw.digest,
                raw_offset=record.offset,
                frequency_hz=window.frequency_hz,
            )
            images.append(Image(headers, encode_image(window), timestamp_key(at(second))))
            members.append(
                Member(raw.source, record.offset, raw.digest, window.frequency_hz, raw.receive_time_us)
            )
        read_to = max(self.read_to, *(record.offset + 1 for record in chosen))
        entry = CatalogueEntry(
            timestamp_us=at(second),
            revision=revision,
            group_id=name,
            complete=not missing,
            closed_by=ClosedBy.OVERTAKEN if missing else ClosedBy.COMPLETE,
            expected=expected,
            present=sources,
            missing=missing,
            members=tuple(members),
            first_offset=0,
            last_offset=0,
            committed_offset=read_to,
            read_to=read_to,
            catalogue_from=0,
        )
        return Publication(images, entry, chosen[0].partition)

    def publish(
        self,
        second: int,
        *args,
        wrong: Callable[[Publication], None] = lambda _: None,
        wrong_entry: Callable[[CatalogueEntry], CatalogueEntry | None] = lambda entry: entry,
        **group,
    ) -> None:
        """Publish a group in one transaction.

        Args:
            second: of its timestamp.
            args: as `prepare`.
            wrong: changes the group before it is published.
            wrong_entry: changes its entry, whose offsets are known by then; None leaves it out.
            group: as `prepare`.
        """
        publication = self.prepare(second, *args, **group)
        wrong(publication)
        self._producer.begin_transaction()
        offsets = self.put_images(publication.images, publication.partition)
        entry = wrong_entry(_at(publication.entry, offsets or [self.read_to]))
        if entry is not None:
            self.put_entry(entry, publication.partition)
        self.read_to = max(self.read_to, publication.entry.read_to)
        self.commit_transaction()

    def publish_interleaved(self, first: int, second: int) -> None:
        """Two groups in one transaction, record by record in turn."""
        groups = [self.prepare(first), self.prepare(second)]
        self._producer.begin_transaction()
        offsets: list[list[int]] = [[], []]
        for images in zip(*(group.images for group in groups), strict=True):
            for number, image in enumerate(images):
                offsets[number] += self.put_images([image], 0)
        for group, lie_at in zip(groups, offsets, strict=True):
            self.put_entry(_at(group.entry, lie_at), 0)
            self.read_to = max(self.read_to, group.entry.read_to)
        self.commit_transaction()

    def publish_in_two_transactions(self, second: int) -> None:
        """The first record in one, the others and the entry in another."""
        group = self.prepare(second)
        self._producer.begin_transaction()
        offsets = self.put_images(group.images[:1], 0)
        self.commit_transaction()
        self._producer.begin_transaction()
        offsets += self.put_images(group.images[1:], 0)
        self.put_entry(_at(group.entry, offsets), 0)
        self.read_to = max(self.read_to, group.entry.read_to)
        self.commit_transaction()

    def reject(self, raw_offset: int, reason: RejectReason, *, raw_partition: int = 0, digest=None) -> None:
        """Put a reject, whatever is in raw."""
        headers = RejectHeaders(
            prefix=self.raw.prefix,
            stage="grouper",
            source="sb0",
            timestamp_us=at(0),
            reason=reason,
            detail="by hand",
            receive_time_us=at(0),
            total_bytes=1,
            truncated=False,
            digest=digest,
            raw_partition=raw_partition,
            raw_offset=raw_offset,
        )
        self._producer.begin_transaction()
        self._producer.produce(
            self.raw.names.rejects, b"x", key=timestamp_key(at(0)), partition=0, headers=headers.encode()
        )
        self.commit_transaction()

    def put_foreign(self, topic: str) -> None:
        """Put a record that is none of ours."""
        self._producer.begin_transaction()
        self._producer.produce(topic, b"?", key=b"?", partition=0)
        self.commit_transaction()

    def leave_open(self, topic: str) -> None:
        """Put a record and leave its transaction open: nothing more can be published."""
        self._producer.begin_transaction()
        self._producer.produce(topic, b"{}", key=b"x", partition=0)
        assert self._producer.flush(timeout_s(30)) == 0

    def put_images(self, images: Sequence[Image], partition: int) -> list[int]:
        """Put records into the open transaction; return their offsets."""
        offsets: list[int] = []

        def delivered(error, message):
            assert error is None, error
            offsets.append(message.offset())

        for image in images:
            self._producer.produce(
                self.raw.names.groups,
                image.value,
                key=image.key,
                partition=partition,
                headers=image.headers.encode(),
                on_delivery=delivered,
            )
        assert self._producer.flush(timeout_s(30)) == 0
        return offsets

    def put_entry(self, entry: CatalogueEntry, partition: int) -> None:
        """Put an entry into the open transaction."""
        self._producer.produce(
            self.raw.names.catalogue,
            entry.to_json(),
            key=timestamp_key(entry.timestamp_us),
            partition=partition,
            timestamp=record_time_ms(entry.timestamp_us),
            headers=CatalogueHeaders(self.raw.prefix, entry.timestamp_us, entry.group_id).encode(),
        )

    def commit_transaction(self) -> None:
        assert self._producer.flush(timeout_s(30)) == 0
        self._producer.commit_transaction(timeout_s(30))

    def commit(self, offset: int | None = None, read_to: int | None = None, partition: int = 0) -> None:
        """Commit a raw offset, by default as far as was published."""
        offset = self.read_to if offset is None else offset
        metadata = OffsetMetadata(read_to if read_to is not None else offset, 0).encode()
        consumer = Consumer(
            {"bootstrap.servers": self.raw.bootstrap_servers, "group.id": f"{self.raw.prefix}.grouper"}
        )
        try:
            consumer.commit(
                offsets=[TopicPartition(self.raw.names.raw, partition, offset, metadata=metadata)],
                asynchronous=False,
            )
        finally:
            consumer.close()


def _at(entry: CatalogueEntry, offsets: Sequence[int]) -> CatalogueEntry:
    return replace(entry, first_offset=min(offsets), last_offset=max(offsets))
