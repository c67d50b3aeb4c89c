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

    Of two copies of each frame none may be missing. With one connector a source, what was in the socket of
    one that was being stopped may: nobody has read it. It is counted, and it must be of that time.

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
    verdict.require_none("lost while no connector was being stopped", _unexplained(lost, lives))
    if scenario.redundant:
        verdict.require_none("incomplete at the source", timestamps - whole)
    else:
        incomplete -= {frame.timestamp_us for frame in lost}
    verdict.require_none("incomplete, and was complete at the source", incomplete)
    return verdict


def _unexplained(lost: set[Frame], lives: Sequence[Life]) -> list[Frame]:
    """Frames that were not read, though no connector was being stopped when they were sent."""
    stops = [
        (life.stop_s - _MARGIN_S, (life.ended_s or time.time()) + _MARGIN_S)
        for life in lives
        if life.component == "connector" and life.stop_s is not None
    ]
    return [
        frame for frame in lost if not any(begin <= frame.timestamp_us / 1e6 <= end for begin, end in stops)
    ]


def _whole(truth: list[Frame]) -> set[int]:
    """Timestamps of which every source's frame went into a connection."""
    sources: dict[int, set[str]] = {}
    for frame in truth:
        sources.setdefault(frame.timestamp_us, set()).add(frame.source)
    return {timestamp for timestamp, those in sources.items() if len(those) == SOURCES}
