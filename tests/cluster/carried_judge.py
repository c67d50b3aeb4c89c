"""Whether what went into the image servers' connections came out in whole groups.

On top of the judges of tests/chaos: what the source had complete is complete in groups.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from schemas.timestamp import parse_key
from tests.chaos.judge import Verdict, judge
from tests.chaos.truth import Frame
from tests.cluster.kubelet import Life
from tests.cluster.scenario import SOURCES, Scenario
from tests.support.groups_reader import read_all

_MARGIN_S: Final = 1.0


def judged(
    scenario: Scenario,
    kafka: str,
    *,
    truth: list[Frame],
    read_lines: list[str],
    lives: Sequence[Life],
    folder: Path,
) -> Verdict:
    """Judge the topics, once all is read.

    Of two copies of each frame none may be missing. With one connector a source a restart is felt: nobody
    has read what was in its socket when it stopped, and where its sources were silent for long enough, groups
    close without them, so that the first frames after it are late. These are counted, and must be of the time
    of a restart; what was read is in groups or in rejects in any case.

    Args:
        scenario: whose.
        kafka: bootstrap servers.
        truth: what was sent.
        read_lines: what a reader of groups printed.
        lives: of the processes.
        folder: for the auditor's report.
    """
    verdict = judge(
        kafka,
        scenario.name,
        truth,
        read_lines,
        folder=folder,
        may_lose_unread=not scenario.redundant,
        emulator_killed=False,
    )
    raw = {
        Frame(parse_key(record.key.encode()), record.headers["ce_subject"], record.headers["ce_digest"])
        for record in read_all(kafka, f"{scenario.name}.raw")
    }
    groups: dict[int, set[str]] = {}
    for record in read_all(kafka, f"{scenario.name}.groups"):
        groups.setdefault(parse_key(record.key.encode()), set()).add(record.headers["ce_subject"])
    timestamps = {frame.timestamp_us for frame in truth}
    lost = set(truth) - raw
    whole = _whole(truth)
    incomplete = {key for key in whole if len(groups.get(key, ())) < SOURCES}
    verdict.counts |= {"timestamps": len(timestamps), "complete at the source": len(whole)}
    times = _restarts(lives)
    verdict.require_none(
        "lost while no connector was restarted",
        (frame for frame in lost if not _within(frame.timestamp_us, times)),
    )
    if scenario.redundant:
        verdict.require_none("incomplete at the source", timestamps - whole)
    else:
        verdict.counts["incomplete, of the time of a connector's restart"] = len(incomplete)
        incomplete = {key for key in incomplete if not _within(key, times)}
    verdict.require_none("incomplete, and was complete at the source", incomplete)
    return verdict


def _restarts(lives: Sequence[Life]) -> list[tuple[float, float]]:
    """From each stop of a connector until its next life was ready."""
    times = []
    for number, life in enumerate(lives):
        if life.component == "connector" and life.stop_s is not None:
            after = (each for each in lives[number + 1 :] if each.pod == life.pod)
            ready_s = next((each.ready_s for each in after), None) or life.ended_s or time.time()
            times.append((life.stop_s - _MARGIN_S, ready_s + _MARGIN_S))
    return times


def _within(timestamp_us: int, times: list[tuple[float, float]]) -> bool:
    return any(begin_s <= timestamp_us / 1e6 <= end_s for begin_s, end_s in times)


def _whole(truth: list[Frame]) -> set[int]:
    """Timestamps of which every source's frame went into a connection."""
    sources: dict[int, set[str]] = {}
    for frame in truth:
        sources.setdefault(frame.timestamp_us, set()).add(frame.source)
    return {timestamp for timestamp, those in sources.items() if len(those) == SOURCES}
