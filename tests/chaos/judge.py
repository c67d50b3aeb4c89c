"""Whether anything was lost, doubled or torn: two judges that share no code with the grouper.

`trapline verify` holds the topics against each other. The other one knows the image servers' truth: each
frame whose record is in raw is in groups exactly once, as a member, or rejected, or a repeat of a member;
what never came to raw, groups without a source and late windows have to be explained by a fault.
"""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.settings_sources import ENV_PREFIX
from schemas.timestamp import parse_key
from tests.chaos.explained import Explained, unexplained
from tests.chaos.truth import Frame
from tests.chaos.worker import ROOT
from tests.support.groups_reader import Record, read_all
from tests.support.waiting import timeout_s

_LISTED = 5


@dataclass(slots=True)
class Verdict:
    """What was found.

    Attributes:
        problems: what must not be; empty where all is well.
        counts: of everything that was looked at.
    """

    problems: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def require_none(self, what: str, cases: Iterable[object]) -> None:
        """Count cases of what must not be, and name the first ones."""
        found = list(cases)
        self.counts[what] = len(found)
        if found:
            listed = ", ".join(map(str, found[:_LISTED]))
            self.problems.append(f"{what}: {len(found)}, of which {listed}")


def judge(
    bootstrap_servers: str,
    prefix: str,
    truth: list[Frame],
    read_lines: list[str],
    *,
    folder: Path,
    explained: Explained,
) -> Verdict:
    """Judge the topics of a prefix, once everything in raw has been handled.

    Args:
        bootstrap_servers: of Kafka.
        prefix: of the topics.
        truth: what was sent.
        read_lines: what the reader of groups printed, a line of JSON a group.
        folder: for the auditor's report.
        explained: by the faults of the round.
    """
    verdict = Verdict()
    raw = read_all(bootstrap_servers, f"{prefix}.raw")
    groups = read_all(bootstrap_servers, f"{prefix}.groups")
    rejects = read_all(bootstrap_servers, f"{prefix}.rejects")
    everything = read_all(bootstrap_servers, f"{prefix}.groups", committed=False)
    verdict.counts["aborted images"] = len(everything) - len(groups)
    _against_raw(verdict, raw, groups, rejects)
    _against_truth(verdict, raw, truth, explained)
    _complete(verdict, raw, groups, rejects, explained=explained, sent=set(truth))
    _torn(verdict, groups)
    _reader(verdict, groups, read_lines)
    _audit(verdict, bootstrap_servers, prefix, folder)
    return verdict


def _against_raw(verdict: Verdict, raw: list[Record], groups: list[Record], rejects: list[Record]) -> None:
    members = Counter(_frame(record) for record in groups)
    offsets = Counter((record.partition, int(record.headers["ce_rawoffset"])) for record in groups)
    rejected = Counter(
        (int(record.headers["ce_rawpartition"]), int(record.headers["ce_rawoffset"]))
        for record in rejects
        if "ce_rawoffset" in record.headers
    )
    frames = Counter(_frame(record) for record in raw)
    verdict.counts |= {
        "windows": len(raw),
        "frames": len(frames),
        "members": len(groups),
        "groups": len({record.headers["ce_groupid"] for record in groups}),
        "rejects": len(rejects),
        "late": sum(record.headers["ce_reason"] == "late" for record in rejects),
        "duplicates": sum(frames.values()) - len(frames),
    }
    verdict.require_none("member twice", (frame for frame, count in members.items() if count > 1))
    verdict.require_none("raw record twice", (at for at, count in (offsets + rejected).items() if count > 1))
    verdict.require_none(
        "lost",
        (
            (_frame(record), record.partition, record.offset)
            for record in raw
            if _frame(record) not in members and (record.partition, record.offset) not in rejected
        ),
    )
    verdict.require_none("out of nowhere", (frame for frame in members if frame not in frames))
    ids: dict[int, set[str]] = defaultdict(set)
    for record in groups:
        ids[parse_key(record.key.encode())].add(record.headers["ce_groupid"])
    verdict.require_none("timestamp twice", (names for names in ids.values() if len(names) > 1))


def _against_truth(verdict: Verdict, raw: list[Record], truth: list[Frame], explained: Explained) -> None:
    sent = set(truth)
    read = {_frame(record) for record in raw}
    verdict.counts["sent"] = len(sent)
    unread, unknown = sent - read, read - sent
    verdict.counts["sent, not in raw"] = len(unread)
    verdict.counts["in raw, not in truth"] = len(unknown)
    verdict.require_none("lost before raw", unexplained(unread, explained.losses))
    verdict.require_none("never sent", unexplained(unknown, explained.unwritten))


def _complete(
    verdict: Verdict,
    raw: list[Record],
    groups: list[Record],
    rejects: list[Record],
    *,
    explained: Explained,
    sent: set[Frame],
) -> None:
    """A group has all of its sources, and none comes late, but for what a fault explains.

    No fault explains a window that lies in raw before a member of its group, and is not in it: the group was
    open then.
    """
    windows: dict[tuple[int, int, str], int] = {}
    for record in raw:
        frame = _frame(record)
        windows.setdefault((record.partition, frame.timestamp_us, frame.source), record.offset)
    sent_at = {(frame.timestamp_us, frame.source) for frame in sent}
    lacking: list[Frame] = []
    left_out: list[Frame] = []
    incomplete = 0
    for records in _by_group(groups).values():
        timestamp_us = parse_key(records[0].key.encode())
        last = max(int(record.headers["ce_rawoffset"]) for record in records)
        missing = records[0].headers["ce_groupmissing"]
        incomplete += bool(missing)
        for source in filter(None, missing.split(",")):
            case = Frame(timestamp_us, source, "")
            offset = windows.get((records[0].partition, timestamp_us, source))
            if offset is not None and offset < last:
                left_out.append(case)
            elif source not in explained.silent or (timestamp_us, source) in sent_at:
                lacking.append(case)
    verdict.counts["incomplete"] = incomplete
    late = [_frame(record) for record in rejects if record.headers["ce_reason"] == "late"]
    verdict.require_none("left out", left_out)
    verdict.require_none("incomplete without a cause", unexplained(lacking, explained.gaps))
    verdict.require_none("late without a cause", unexplained(late, explained.gaps))


def _torn(verdict: Verdict, groups: list[Record]) -> None:
    verdict.require_none(
        "torn",
        (
            group
            for group, records in _by_group(groups).items()
            if [int(record.headers["ce_groupindex"]) for record in records]
            != list(range(int(records[0].headers["ce_groupsize"])))
        ),
    )


def _by_group(groups: list[Record]) -> dict[str, list[Record]]:
    by_id: dict[str, list[Record]] = defaultdict(list)
    for record in groups:
        by_id[record.headers["ce_groupid"]].append(record)
    return by_id


def _reader(verdict: Verdict, groups: list[Record], read_lines: list[str]) -> None:
    """At least once: every group, over all lives of the reader."""
    read = Counter(facts["group_id"] for facts in _whole_lines(read_lines))
    ids = {record.headers["ce_groupid"] for record in groups}
    verdict.counts["read again"] = sum(read.values()) - len(read)
    verdict.require_none("not read", ids - read.keys())
    verdict.require_none("read, not published", read.keys() - ids)


def _whole_lines(lines: list[str]) -> Iterator[dict[str, Any]]:
    """A reader that was killed may have left half a line."""
    for line in lines:
        if line.endswith("}\n"):
            yield json.loads(line)


def _audit(verdict: Verdict, bootstrap_servers: str, prefix: str, folder: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "trapline", "verify", "--json", "--log-format=json"),
            *(f"--bootstrap-servers={bootstrap_servers}", f"--topic-prefix={prefix}"),
        ],
        cwd=ROOT,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s(300),
    )
    (folder / "verify.jsonl").write_text(done.stdout)
    facts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    verdict.require_none("auditor's findings", (fact for fact in facts if "finding" in fact))
    if done.returncode or not facts:
        verdict.problems.append(f"trapline verify ended with status {done.returncode}: {done.stderr[-500:]}")
        return
    summary = facts[-1].get("summary", facts[-1])
    verdict.counts["audited windows"] = summary["windows"]
    if summary["in_progress"]:
        verdict.problems.append(f"{summary['in_progress']} windows are still in progress, says the auditor")
    if summary["windows"] != verdict.counts["windows"]:
        verdict.problems.append(
            f"the auditor saw {summary['windows']} windows, not {verdict.counts['windows']}"
        )


def _frame(record: Record) -> Frame:
    headers = record.headers
    return Frame(parse_key(record.key.encode()), headers["ce_subject"], headers["ce_digest"])
