"""Two connectors on the same sources: either may die at any time, and nobody downstream notices."""

import itertools
import json
import random
import signal
from contextlib import ExitStack

from emulator.frame_server import FrameServer
from emulator.service import Emulator
from emulator.settings import EmulatorSettings
from grouper import metrics
from schemas.timestamp import format_timestamp
from tests.support.audited import audited
from tests.support.connector import read_topic, source
from tests.support.connector_process import ConnectorProcess
from tests.support.grouping import grouping
from tests.support.groups_reader import read_all, read_groups
from tests.support.metrics import Change
from tests.support.raw_topic import RawTopic, at
from tests.support.waiting import wait_until

KILLS = 6
SEED = 3
DELIVERED = "trapline_connector_delivered_records_total"
FRAMES = "trapline_connector_frames_total"
REORDER = {"reorder_grace_s": 3, "grace_s": 20, "silent_after": 1000}
QUICK = (
    "--max-frame-bytes=1MiB",
    "--queue-max-bytes=64MiB",
    "--reconnect-min-s=0.02",
    "--reconnect-max-s=0.2",
)


def sources_of(emulator):
    return [f"--source={each}" for each in emulator.sources]


def sent_by(truth):
    """Timestamp and source of each frame that the servers gave away, with its digest."""
    lines = map(json.loads, truth.read_text().splitlines())
    return {(line["timestamp"], line["source"]): line["digest"] for line in lines}


def emulated(truth, **settings):
    return Emulator(
        EmulatorSettings(
            emulator_port=0,
            emulator_sources=3,
            emulator_size=48,
            emulator_rate=10,
            emulator_truth=truth,
            emulator_backlog_frames=10_000,
            **settings,
        )
    )


def wait_for_all_handled(raw, groups):
    def done():
        audit = audited(raw, pixels=False)
        return audit.summary["groups"] >= groups and not audit.summary["in_progress"]

    wait_until(done, f"{groups} groups, and nothing in progress", 90)


def assert_complete_and_once(raw, sent):
    """Each timestamp that was sent is one group, with all its images; the auditor finds nothing."""
    groups = read_groups(raw.bootstrap_servers, raw.names.groups)
    published = {
        (group.timestamp, name): digest for group in groups for name, digest in group.digests.items()
    }
    assert published == sent
    assert sorted(group.timestamp for group in groups) == sorted({timestamp for timestamp, _ in sent})
    assert all(not group.missing for group in groups)
    done = audited(raw)
    assert done.findings == ()
    return done.summary


def test_either_is_killed_at_any_time(kafka, topic_prefix, tmp_path):
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix).create()
    truth = tmp_path / "truth.jsonl"
    dice = random.Random(SEED)
    with ExitStack() as stack, Change(metrics.WINDOWS.labels("duplicate")) as duplicates:
        # Nothing is sent before both listen: what a server sends to nobody is in no log.
        emulator = stack.enter_context(emulated(truth, emulator_wait_for_clients=2))

        def start():
            return stack.enter_context(
                ConnectorProcess(kafka.bootstrap_servers, topic_prefix, *sources_of(emulator), *QUICK)
            )

        def delivered(connector):
            figures = connector.metrics()
            return min(figures.get((DELIVERED, name), 0) for name in raw.sources)

        with grouping(raw, **REORDER):
            pair = [start(), start()]
            for victim in itertools.islice(itertools.cycle((0, 1)), KILLS):
                for connector in pair:
                    connector.wait_until_said("health and metrics are served")
                    wait_until(lambda each=connector: delivered(each) >= 1, "each source from both", 60)
                until = delivered(pair[victim]) + dice.randint(1, 12)
                wait_until(lambda: delivered(pair[victim]) >= until, "some frames", 60)  # noqa: B023
                pair[victim].signal(signal.SIGKILL)
                assert pair[victim].wait() == -signal.SIGKILL
                pair[victim] = start()
            wait_until(lambda: all(delivered(each) >= 1 for each in pair), "both again", 60)
            emulator.stop()
            for connector in pair:
                wait_until(lambda each=connector: each.get("/readyz")[0] == 503, "its sources to be gone", 60)
                connector.signal(signal.SIGTERM)
                assert connector.wait() == 0
            sent = sent_by(truth)
            wait_for_all_handled(raw, len({timestamp for timestamp, _ in sent}))
    summary = assert_complete_and_once(raw, sent)
    records = read_topic(kafka.bootstrap_servers, raw.names.raw)
    assert len(records) > len(sent) > 3 * KILLS
    assert duplicates.by == summary["duplicates"] == len(records) - len(sent)
    assert read_all(kafka.bootstrap_servers, raw.names.rejects) == []
    raw.close()


def test_conflicting_bytes_are_rejected(kafka, topic_prefix):
    """Two servers under one name that don't send the same: the first one counts, the other is rejected."""
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix).create()
    frames = {name: [raw.frame(at(second), name) for second in range(6)] for name in raw.sources}
    other = {**frames, "sb1": [*frames["sb1"][:3], raw.frame(at(3), "sb1", seed=7), *frames["sb1"][4:]]}
    with ExitStack() as stack, Change(metrics.WINDOWS.labels("duplicate")) as duplicates:
        stack.enter_context(grouping(raw, **REORDER))
        for number, of_source in enumerate((frames, other)):
            servers = {name: stack.enter_context(FrameServer(each)) for name, each in of_source.items()}
            stack.enter_context(
                ConnectorProcess(
                    kafka.bootstrap_servers,
                    topic_prefix,
                    *(f"--source={source(name, server.port)}" for name, server in servers.items()),
                    *QUICK,
                )
            )
            count = 18 * (number + 1)
            wait_until(lambda: audited(raw, pixels=False).summary["windows"] >= count, "frames", 60)  # noqa: B023
        wait_for_all_handled(raw, 6)
    groups = read_groups(kafka.bootstrap_servers, raw.names.groups)
    assert [group.timestamp for group in groups] == [format_timestamp(at(second)) for second in range(6)]
    assert all(group.sources == raw.sources for group in groups)
    (reject,) = read_all(kafka.bootstrap_servers, raw.names.rejects)
    assert reject.headers["ce_reason"] == "conflict"
    assert reject.headers["ce_subject"] == "sb1"
    assert reject.value == other["sb1"][3]
    assert duplicates.by == 17
    assert audited(raw).findings == ()
    raw.close()


def test_a_long_spool_that_is_sent_later_is_all_duplicates(kafka, topic_prefix, tmp_path):
    """The one connector had no Kafka for all the time; everything it read is known when it comes."""
    raw = RawTopic(kafka.bootstrap_servers, topic_prefix).create()
    truth, spool = tmp_path / "truth.jsonl", tmp_path / "spool"
    spooled = ("--spool=through", f"--spool-dir={spool}", "--spool-segment-bytes=256KiB", *QUICK)
    with ExitStack() as stack:
        emulator = stack.enter_context(emulated(truth, emulator_wait_for_clients=2))
        stack.enter_context(grouping(raw, **REORDER))
        present = stack.enter_context(
            ConnectorProcess(kafka.bootstrap_servers, topic_prefix, *sources_of(emulator), *QUICK)
        )
        cut_off = stack.enter_context(  # nobody listens on port 1
            ConnectorProcess("127.0.0.1:1", topic_prefix, *sources_of(emulator), *spooled)
        )
        wait_until(
            lambda: all(cut_off.metrics().get((FRAMES, name), 0) >= 100 for name in raw.sources),
            "a long spool",
            90,
        )
        cut_off.signal(signal.SIGKILL)
        assert cut_off.wait() == -signal.SIGKILL
        emulator.stop()
        wait_until(lambda: present.get("/readyz")[0] == 503, "the sources to be gone", 60)
        present.signal(signal.SIGTERM)
        assert present.wait() == 0
        sent = sent_by(truth)
        wait_for_all_handled(raw, len({timestamp for timestamp, _ in sent}))
        before = len(read_topic(kafka.bootstrap_servers, raw.names.raw))
        assert before == len(sent)
        with Change(metrics.WINDOWS.labels("duplicate")) as duplicates:
            again = stack.enter_context(
                ConnectorProcess(kafka.bootstrap_servers, topic_prefix, *sources_of(emulator), *spooled)
            )
            wait_until(lambda: not any(spool.rglob("*.frames")), "the spool to be sent", 60)
            again.signal(signal.SIGTERM)
            assert again.wait() == 0
            late = len(read_topic(kafka.bootstrap_servers, raw.names.raw)) - before
            wait_until(lambda: duplicates.by >= late, "them to be known", 60)
        assert late >= 300
        assert duplicates.by == late
    summary = assert_complete_and_once(raw, sent)
    assert summary["duplicates"] == late
    assert read_all(kafka.bootstrap_servers, raw.names.rejects) == []
    raw.close()
