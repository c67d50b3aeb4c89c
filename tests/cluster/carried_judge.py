"""Whether what went into the image servers' connections came out in whole groups.

The judges are those of tests/chaos; what a restart of a connector explains is said here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from connector.share import Share
from schemas.timestamp import parse_key
from tests.chaos.explained import Explained, Span
from tests.chaos.judge import Verdict, judge
from tests.chaos.truth import Frame
from tests.cluster.kubelet import Life
from tests.cluster.scenario import SOURCES, Scenario
from tests.support.groups_reader import read_all

_NAMES: Final = tuple(f"sb{number}" for number in range(SOURCES))


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

    Of two copies of each frame none may be missing, and no group may lack one. With one connector a source a
    restart is felt: nobody has read what was in its socket when it stopped, and where its sources were silent
    for long enough, groups close without them, so that the first frames after it are late. That explains
    frames of its own sources at the time of its restart, and no others.

    Args:
        scenario: whose.
        kafka: bootstrap servers.
        truth: what was sent.
        read_lines: what a reader of groups printed.
        lives: of the processes.
        folder: for the auditor's report.
    """
    explained = Explained()
    if not scenario.redundant:
        explained.losses = explained.gaps = _restarts(scenario, lives)
    verdict = judge(kafka, scenario.name, truth, read_lines, folder=folder, explained=explained)
    whole = _whole(truth)
    verdict.counts |= {
        "timestamps": len({frame.timestamp_us for frame in truth}),
        "complete at the source": len(whole),
    }
    if scenario.redundant:
        groups: dict[int, set[str]] = {}
        for record in read_all(kafka, f"{scenario.name}.groups"):
            groups.setdefault(parse_key(record.key.encode()), set()).add(record.headers["ce_subject"])
        verdict.require_none(
            "incomplete, and was complete at the source",
            (key for key in whole if len(groups.get(key, ())) < SOURCES),
        )
    return verdict


def _restarts(scenario: Scenario, lives: Sequence[Life]) -> list[Span]:
    """From each stop of a connector until its next life was ready, of its sources."""
    spans = []
    for number, life in enumerate(lives):
        if life.component == "connector" and life.stop_s is not None:
            after = (each.ready_s for each in lives[number + 1 :] if each.pod == life.pod)
            ready_s = next(after, None)
            if ready_s is None:
                raise AssertionError(f"{life.pod} was stopped, and is not ready again")
            share = Share(int(life.pod.rpartition("-")[2]), scenario.connectors)
            spans.append(Span.around(frozenset(share.of(_NAMES, copies=1)), life.stop_s, ready_s))
    return spans


def _whole(truth: list[Frame]) -> set[int]:
    """Timestamps of which every source's frame went into a connection."""
    sources: dict[int, set[str]] = {}
    for frame in truth:
        sources.setdefault(frame.timestamp_us, set()).add(frame.source)
    return {timestamp for timestamp, those in sources.items() if len(those) == SOURCES}
