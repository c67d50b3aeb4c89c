"""The examples in Java, Go and Node find the groups that our own reader finds, and nothing else."""

import re
import uuid
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from astropy.io import fits

from schemas.timestamp import format_timestamp
from tests.interop.example_programs import EXAMPLES, LANGUAGES, build
from tests.interop.history import PARTITIONS, publish_history
from trapline.embedded.jar_lock import JarLock, packaged_lock

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def history(kafka):
    return publish_history(kafka.bootstrap_servers, f"history-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module", params=LANGUAGES)
def program(request, tmp_path_factory):
    return build(request.param, tmp_path_factory.mktemp(request.param))


def expected(group):
    """What a program must print of a group, and nothing that it may not know."""
    return {
        "timestamp": format_timestamp(group.timestamp_us),
        "group": group.group_id,
        "complete": group.complete,
        "missing": list(group.missing),
        "revision": group.revision,
        "partition": group.partition,
        "images": {
            image.source: {
                "digest": image.digest,
                "bytes": len(image.fits),
                "checksum_ok": True,
                "axes": list(reversed(image.array.shape)),
                "brightest": float(brightest(image.array)),
            }
            for image in group.images
        },
    }


def brightest(pixels):
    return pixels[np.isfinite(pixels)].max()


def said(line):
    """A program's line, its images by source and its numbers as float32."""
    images = {
        image["source"]: {**image, "brightest": float(np.float32(image["brightest"]))}
        for image in line["images"]
    }
    assert len(images) == len(line["images"])
    for image in images.values():
        del image["source"]
    return {**line, "images": images}


def skipped(log):
    return set(re.findall(r"^skipped (\S+): 2 of 3 images$", log, re.MULTILINE))


def test_it_finds_our_groups_and_skips_what_is_cut(program, history, kafka):
    """Aborted groups lie between, of one fetch and of several; images are larger than a fetch's default."""
    prefix = history.settings.topic_prefix
    run = program.run(kafka.bootstrap_servers, prefix, f"{prefix}.{uuid.uuid4().hex}", len(history.groups))
    assert [line["group"] for line in run.groups if line["group"] not in history.groups] == []
    assert {line["group"]: said(line) for line in run.groups} == {
        group_id: expected(group) for group_id, group in history.groups.items()
    }
    for partition in range(PARTITIONS):
        ours = [g for g in history.groups.values() if g.partition == partition]
        assert [line["group"] for line in run.groups if line["partition"] == partition] == [
            group.group_id for group in sorted(ours, key=lambda group: group.first_offset)
        ]
    assert skipped(run.log) == history.cut


def test_it_goes_on_after_the_last_group_that_it_printed(program, history, kafka):
    """It ends with images in hand, of groups it did not print: those groups come at the next start, whole."""
    prefix = history.settings.topic_prefix
    consumer_group = f"{prefix}.{uuid.uuid4().hex}"
    counts = (2, 5, len(history.groups) - 7)
    found = [
        line["group"]
        for count in counts
        for line in program.run(kafka.bootstrap_servers, prefix, consumer_group, count).groups
    ]
    assert len(found) == len(history.groups)
    assert set(found) == set(history.groups)


def test_it_reads_what_the_grouper_published(program, published, kafka):
    """One group of odd images: NaNs, infinities, four axes, one pixel, long headers."""
    prefix = published.names.prefix
    (line,) = program.run(kafka.bootstrap_servers, prefix, f"{prefix}.{uuid.uuid4().hex}", 1).groups
    assert line["complete"]
    assert said(line)["images"] == {
        source: {
            "digest": record.headers["ce_digest"],
            "bytes": published.files[source].stat().st_size,
            "checksum_ok": True,
            "axes": list(reversed(fits.getdata(published.files[source]).shape)),
            "brightest": float(brightest(published.pictures[source].pixels)),
        }
        for source, record in published.records.items()
    }


def test_the_java_examples_pom_names_what_its_lock_file_has():
    """Maven has no lock file of its own; the tests run what jars.lock names."""
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    pom = ET.parse(EXAMPLES / "java" / "pom.xml")  # noqa: S314  a file of this repository
    named = {
        ":".join(
            dependency.findtext(f"m:{part}", namespaces=space)
            for part in ("groupId", "artifactId", "version")
        )
        for dependency in pom.iterfind("m:dependencies/m:dependency", space)
    }
    locked = {jar.coordinates for jar in JarLock.parse((EXAMPLES / "java" / "jars.lock").read_text()).jars}
    assert named
    assert named <= locked
    assert f"org.apache.kafka:kafka-clients:{packaged_lock().kafka_version}" in named
