"""Facts for the auditor's books without a Kafka: what a faultless grouper would leave, in small."""

import hashlib
from dataclasses import replace

from audit.books import Books, Committed
from audit.facts import ImageFact, WindowFact
from audit.findings import Finding
from schemas.catalogue import CatalogueEntry, ClosedBy, Member
from schemas.errors import RejectReason
from schemas.pixel_order import PixelOrder
from schemas.record_headers import ImageHeaders, RejectHeaders, group_id

START_US = 1_795_428_000_000_000
SOURCES = ("sb0", "sb1", "sb2")


def at(second: int) -> int:
    return START_US + second * 1_000_000


def appended_ms(raw_offset: int) -> int:
    """When Kafka took a raw record, and its reject if it has one: two minutes after the one before."""
    return START_US // 1000 + raw_offset * 120_000


def image_appended_ms(image: ImageFact) -> int:
    """When Kafka took an image: just after its raw record."""
    return appended_ms(image.headers.raw_offset) + 1


def digest(text: object) -> bytes:
    return hashlib.md5(str(text).encode(), usedforsecurity=False).digest()


class Stage:
    """The four topics of one partition as lists, and books to read them into."""

    def __init__(self, sources=SOURCES, remember=1000, partitions=1, groups_begin=0):
        self.sources = sources
        self.findings: list[Finding] = []
        self.books = Books(partitions, self.findings.append, remember)
        self.ledger = self.books.ledgers[0]
        self.windows: list[WindowFact] = []
        self.images: list[ImageFact] = []
        self.entries: list[tuple[int, CatalogueEntry]] = []
        self.rejects: list[tuple[int, int, RejectHeaders]] = []
        self._groups_end = self.ledger.bounds.groups_begin = groups_begin

    @property
    def kinds(self):
        return sorted(finding.kind.value for finding in self.findings)

    def send(self, second, *sources, other="") -> list[int]:
        """Windows of a second; `other` makes other bytes. Returns their raw offsets."""
        offsets = []
        for source in sources or self.sources:
            name = digest((second, source, other))
            self.windows.append(
                WindowFact(
                    len(self.windows),
                    appended_ms(len(self.windows)),
                    at(second),
                    source,
                    name,
                    digest_true=True,
                    pixels=name[:8],
                    problem=None,
                )
            )
            offsets.append(len(self.windows) - 1)
        return offsets

    def publish(self, second, offsets, *, revision=1, images=None, entry=True):
        """A group of windows by their raw offsets; `images` leaves others out."""
        windows = [self.windows[offset] for offset in offsets]
        present = tuple(window.source for window in windows)
        missing = tuple(source for source in self.sources if source not in present)
        name = group_id(at(second), revision, min(offsets))
        members = []
        first = self._groups_end
        for index, window in enumerate(windows):
            text = f"xxh3-128:{window.digest.hex()}"
            members.append(Member(window.source, window.offset, text, 6e7, at(second)))
            if images is not None and index not in images:
                continue
            headers = ImageHeaders(
                prefix="p",
                source=window.source,
                timestamp_us=at(second),
                group_id=name,
                index=index,
                size=len(windows),
                expected=len(self.sources),
                complete=not missing,
                missing=missing,
                revision=revision,
                receive_time_us=at(second),
                pixel_order=PixelOrder.FITS,
                digest=text,
                raw_offset=window.offset,
                frequency_hz=6e7,
            )
            self.images.append(ImageFact(self._groups_end, headers, window.digest, window.pixels))
            self._groups_end += 1
        read_to = max(offsets) + 1
        made = CatalogueEntry(
            timestamp_us=at(second),
            revision=revision,
            group_id=name,
            complete=not missing,
            closed_by=ClosedBy.OVERTAKEN if missing else ClosedBy.COMPLETE,
            expected=self.sources,
            present=present,
            missing=missing,
            members=tuple(members),
            first_offset=first,
            last_offset=max(first, self._groups_end - 1),
            committed_offset=read_to,
            read_to=max(read_to, *(entry.read_to for _, entry in self.entries), 0),
            catalogue_from=0,
        )
        self._groups_end += 1  # the transaction's marker
        if entry:
            self.entries.append((2 * len(self.entries), made))

    def reject(self, raw_offset, reason=RejectReason.LATE):
        window = self.windows[raw_offset] if raw_offset < len(self.windows) else None
        headers = RejectHeaders(
            prefix="p",
            stage="grouper",
            source=window.source if window else None,
            timestamp_us=window.timestamp_us if window else None,
            reason=reason,
            detail="",
            receive_time_us=START_US,
            total_bytes=1,
            truncated=False,
            digest=None if window is None or window.digest is None else f"xxh3-128:{window.digest.hex()}",
            raw_partition=0,
            raw_offset=raw_offset,
        )
        self.rejects.append((2 * len(self.rejects), appended_ms(raw_offset), headers))

    def change_image(self, number, **fields):
        self.images[number] = replace(self.images[number], **fields)

    def feeds(self):
        """Each topic's facts as calls, in their order."""
        return [
            [lambda fact=fact: self.ledger.window(fact) for fact in self.windows],
            [lambda fact=fact: self.ledger.image(image_appended_ms(fact), fact) for fact in self.images],
            [lambda entry=entry: self.ledger.entry(*entry) for entry in self.entries],
            [lambda reject=reject: self.ledger.reject(*reject) for reject in self.rejects],
        ]

    def rounds(self, count=3, committed=None, read_to=None, waiting=frozenset()):
        """Rounds in which nothing new comes."""
        end = len(self.windows)
        offset = end if committed is None else committed
        for _ in range(count):
            self.books.begin_round(
                {
                    ledger.partition: Committed(offset, offset if read_to is None else read_to, waiting)
                    for ledger in self.books.ledgers
                },
                dict.fromkeys(range(len(self.books.ledgers)), end),
            )
            self.books.end_round()

    def audit(self, **bounds):
        """All of it read in the order of the topics, then judged."""
        for feed in self.feeds():
            for call in feed:
                call()
        self.rounds(**bounds)
        return self.kinds
