"""Whether anything was lost, doubled or torn: two judges that share no code with the grouper.

`trapline verify` holds the topics against each other. The other one knows the image servers' truth: each
frame whose record is in raw is in groups exactly once, as a member, or rejected, or a repeat of a member.
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
    may_lose_unread: bool,
    emulator_killed: bool,
) -> Verdict:
    """Judge the topics of a prefix, once everything in raw has been handled.

    Args:
        bootstrap_servers: of Kafka.
        prefix: of the topics.
        truth: what was sent.
        read_lines: what the reader of groups printed, a line of JSON a group.
        folder: for the auditor's report.
        may_lose_unread: frames that are not in raw are no problem: a fault took what was on the wire or
            in the connector's memory.
        emulator_killed: it may not have come to write down its last frame.
    """
    verdict = Verdict()
    raw = read_all(bootstrap_servers, f"{prefix}.raw")
    groups = read_all(bootstrap_servers, f"{prefix}.groups")
    rejects = read_all(bootstrap_servers, f"{prefix}.rejects")
    everything = read_all(bootstrap_servers, f"{prefix}.groups", committed=False)
    verdict.counts["aborted images"] = len(everything) - len(groups)
    _against_raw(verdict, raw, groups, rejects)
    _against_truth(verdict, raw, truth, may_lose_unread=may_lose_unread, emulator_killed=emulator_killed)
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


def _against_truth(
    verdict: Verdict, raw: list[Record], truth: list[Frame], *, may_lose_unread: bool, emulator_killed: bool
) -> None:
    sent = set(truth)
    read = {_frame(record) for record in raw}
    verdict.counts["sent"] = len(sent)
    unread, unknown = sent - read, read - sent
    verdict.counts["sent, not in raw"] = len(unread)
    verdict.counts["in raw, not in truth"] = len(unknown)
    if not may_lose_unread:
        verdict.require_none("lost before raw", unread)
    if not emulator_killed:
        verdict.require_none("never sent", unknown)


def _torn(verdict: Verdict, groups: list[Record]) -> None:
    by_id: dict[str, list[Record]] = defaultdict(list)
    for record in groups:
        by_id[record.headers["ce_groupid"]].append(record)
    verdict.require_none(
        "torn",
        (
            group
            for group, records in by_id.items()
            if [int(record.headers["ce_groupindex"]) for record in records]
            != list(range(int(records[0].headers["ce_groupsize"])))
        ),
    )


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
