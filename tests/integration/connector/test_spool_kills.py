"""`spool: through`, the connector killed -9 again and again under load: no fully read frame is missing.

With Kafka there, and with Kafka stopped or dead at every other kill. A short form by default. The long one:

    TRAPLINE_TEST_CONNECTOR_KILLS=50 pytest tests/integration/connector/test_spool_kills.py -s
"""

import contextlib
import itertools
import json
import os
import random
import sys
from collections import Counter

from connector.steps import Step
from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from tests.support.audited import audited
from tests.support.connector import by_source, make_topics, read_topic
from tests.support.grouping import grouping
from tests.support.killed_connector import KilledConnector
from tests.support.raw_topic import RawTopic
from tests.support.waiting import timeout_s, wait_until

KILLS = int(os.environ.get("TRAPLINE_TEST_CONNECTOR_KILLS", "6"))
SEED = 4
SOURCES = ("sb0", "sb1", "sb2")
KIB = 1024
WAYS = [*(step.value for step in Step), "anywhere"]
# Without Kafka nothing is acknowledged, and nothing is released.
WAYS_WITHOUT_KAFKA = [
    *(step.value for step in (Step.BEFORE_APPEND, Step.AFTER_APPEND, Step.AFTER_PRODUCE)),
    "anywhere",
]


def test_no_frame_that_was_read_in_full_is_missing(kafka, topic_prefix, tmp_path, capsys):
    lives = [(way, contextlib.nullcontext()) for _, way in zip(range(KILLS), itertools.cycle(WAYS))]
    _kill_again_and_again(kafka, topic_prefix, tmp_path, lives, capsys)


def test_no_frame_that_was_read_in_full_is_missing_without_kafka(own_kafka, topic_prefix, tmp_path, capsys):
    """Every other life of the connector is one without Kafka: stopped in turn, or dead."""
    outages = itertools.cycle((_stopped, _dead))
    ways, without = itertools.cycle(WAYS), itertools.cycle(WAYS_WITHOUT_KAFKA)
    lives = [
        (next(without), next(outages)(own_kafka)) if number % 2 else (next(ways), contextlib.nullcontext())
        for number in range(KILLS)
    ]
    _kill_again_and_again(own_kafka, topic_prefix, tmp_path, lives, capsys)


@contextlib.contextmanager
def _stopped(own_kafka):
    """Its connections stay, and nothing is answered."""
    own_kafka.pause()
    try:
        yield
    finally:
        own_kafka.resume()


@contextlib.contextmanager
def _dead(own_kafka):
    own_kafka.kill()
    yield
    own_kafka.start()


def _kill_again_and_again(kafka, topic_prefix, tmp_path, lives, capsys):
    """A kill at the end of each life: where, and in which circumstances."""
    names = make_topics(kafka.bootstrap_servers, topic_prefix)
    truth = tmp_path / "truth.jsonl"
    settings = EmulatorSettings(
        emulator_port=0,
        emulator_sources=len(SOURCES),
        emulator_size=96,
        emulator_rate=100,
        emulator_truth=truth,
        emulator_wait_for_clients=0,
        emulator_backlog_frames=10_000,
    )
    chance = random.Random(SEED)
    with Emulator(settings) as emulator:
        connector = KilledConnector(
            tmp_path,
            bootstrap_servers=kafka.bootstrap_servers,
            topic_prefix=topic_prefix,
            sources=emulator.sources_value,
            spool="through",
            spool_dir=tmp_path / "spool",
            spool_segment_bytes=256 * KIB,
            max_frame_bytes=1024 * KIB,
            queue_max_bytes=64 * 1024 * KIB,
            reconnect_min_s=0.01,
            reconnect_max_s=0.1,
            flush_timeout_s=timeout_s(30),
        )
        for way, circumstances in lives:
            with circumstances:
                if way == "anywhere":
                    connector.live_until_frames(chance.randint(20, 300))
                else:
                    most = 20 if way == Step.RELEASING else 300
                    connector.live_until_step(way, chance.randint(1, most))
    # The sources are gone; what the last life left is sent.
    spool = tmp_path / "spool"
    connector.live_and_stop(lambda: not any(spool.rglob("*.frames")))

    sent = [json.loads(line) for line in truth.read_text().splitlines()]
    raw = read_topic(kafka.bootstrap_servers, names.raw)
    by_source(raw)  # headers, key and value of each belong together
    runs = connector.runs
    boundary = Counter()
    totals = Counter(kills=KILLS, appended=sum(run.appended_frames for run in runs), raw=len(raw))
    for name in SOURCES:
        given = [line["digest"] for line in sent if line["source"] == name]
        there = [record.headers["ce_digest"] for record in raw if record.source == name]
        once = list(dict.fromkeys(there))
        read = []
        for run in runs:
            of_run = run.read.get(name, [])
            appended = run.appended.get(name, [])
            # While it lives it reads all: a run of what the server gave away.
            if of_run:
                first = given.index(of_run[0])
                assert of_run == given[first : first + len(of_run)]
            # What was appended is what was read, but for the last frame at a kill.
            assert appended == of_run[: len(appended)]
            assert len(of_run) - len(appended) <= 1
            read += of_run
            assert set(appended) <= set(there)
            unfinished = set(of_run[len(appended) :]) - set(there)
            boundary[run.killed_at or "anywhere"] += len(unfinished)
        # What is missing is the last frame that a life read of this source, and of one that was killed.
        assert set(read) - set(there) <= {run.read[name][-1] for run in runs[:KILLS] if run.read.get(name)}
        assert len(set(read)) == len(read)
        # Each frame that was read is in raw, in order, but for those of which the append was cut short.
        assert once == [digest for digest in read if digest in set(there)]
        totals.update(sent=len(given), read=len(read), again=len(there) - len(once))
        totals.update(never_read=len(set(given) - set(read)), missing=len(set(read) - set(there)))
    assert totals["again"] > 0
    assert [run.killed_at or "anywhere" for run in runs[:-1]] == [way for way, _ in lives]
    with capsys.disabled():
        sys.stdout.write(f"\n{dict(totals)}; missing at the boundary of a kill: {dict(boundary)}\n")
    _once_after_the_grouper(RawTopic(kafka.bootstrap_servers, topic_prefix, SOURCES), raw)


def _once_after_the_grouper(topic, raw):
    """Duplicates are known by their digest: each timestamp is published once, and nothing else is amiss."""
    timestamps = {record.key for record in raw}
    with grouping(topic, grace_s=15):
        wait_until(lambda: audited(topic, pixels=False).summary["groups"] >= len(timestamps), "groups", 120)
    found = audited(topic)
    assert found.kinds == []
