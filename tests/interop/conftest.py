"""One group of many pictures, published for all tests here; kcat; and topics of a test's own."""

import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.digest import frame_digest
from schemas.record_headers import RawHeaders
from schemas.timestamp import timestamp_key
from schemas.topics import TopicNames
from tests.interop.kcat import Kcat, SeenRecord
from tests.interop.pictures import SYNTHETIC, Picture, emulated
from tests.support.grouping import grouping
from tests.support.groups_reader import read_entries
from tests.support.raw_topic import START_US, RawTopic
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class PublishedPictures:
    """Pictures as one group.

    Attributes:
        names: of the topics.
        pictures: what was sent, by source.
        records: what kcat sees in groups, by source.
        files: each value, written to disk by kcat, by source.
    """

    names: TopicNames
    pictures: dict[str, Picture]
    records: dict[str, SeenRecord]
    files: dict[str, Path]


@pytest.fixture(scope="session")
def kcat(kafka) -> Kcat:
    return Kcat(kafka.bootstrap_servers)


@pytest.fixture
def raw(kafka, topic_prefix):
    """The topics of this test, and windows for raw."""
    topic = RawTopic(kafka.bootstrap_servers, topic_prefix).create()
    yield topic
    topic.close()


@pytest.fixture(scope="session")
def publish(kafka, kcat, tmp_path_factory):
    """Put pictures into raw, group them into one group, and let kcat write it to disk."""

    def run(pictures: dict[str, Picture]) -> PublishedPictures:
        raw = RawTopic(kafka.bootstrap_servers, f"pictures-{uuid.uuid4().hex[:8]}", sources=tuple(pictures))
        raw.create()
        for source, picture in pictures.items():
            headers = RawHeaders(
                raw.prefix,
                source,
                START_US,
                frame_digest(picture.frame),
                time.time_ns() // 1000,
                picture.pixel_order,
            )
            raw.put(timestamp_key(START_US), picture.frame, headers.encode())
        raw.flush()
        raw.close()
        with grouping(raw):
            wait_until(
                lambda: read_entries(kafka.bootstrap_servers, raw.names.catalogue),
                "the group of all pictures",
                timeout=60,
            )
        folder = tmp_path_factory.mktemp("pictures")
        records = {record.headers["ce_subject"]: record for record in kcat.records(raw.names.groups)}
        files = {source: folder / f"{source}.fits" for source in records}
        for source, record in records.items():
            kcat.save(raw.names.groups, record.partition, record.offset, files[source])
        return PublishedPictures(raw.names, pictures, records, files)

    return run


@pytest.fixture(scope="session")
def published(publish) -> PublishedPictures:
    """All pictures that a FITS reader has nothing against."""
    return publish({**SYNTHETIC, **emulated()})
