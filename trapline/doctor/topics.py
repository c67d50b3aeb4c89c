"""Checks of the topics: those of `trapline topics check`, in three parts."""

from collections.abc import Callable, Iterable
from typing import Final

from runtime.kafka import max_record_bytes
from runtime.topic_check import Finding, Severity
from trapline.doctor.outcome import Outcome, Problem, Verdict, not_done, of_error
from trapline.doctor.subject import Subject
from trapline.status.retention import Retention
from trapline.tables import bytes_text, duration_text

_PARTITIONS: Final = frozenset({"partitions"})
_TIMES: Final = ("message.timestamp.", "retention.")
_SET_IT: Final = "set it so on the topic: kafka-configs.sh --alter --entity-type topics"
_HIDDEN: Final = (
    "this user may not read the settings of the topics (DESCRIBE_CONFIGS); let Kafka's "
    "administrator run `trapline topics check`"
)


def topics(subject: Subject) -> Outcome:
    """They exist, and take the largest window."""
    limit = bytes_text(max_record_bytes(subject.settings))
    there = len(subject.partitions)
    summary = (
        f"{there} of 4 topics of {subject.settings.topic_prefix} are there; the largest record is {limit}"
    )
    return _outcome(subject, summary, lambda finding: not _of_partitions(finding) and not _of_times(finding))


def partitions(subject: Subject) -> Outcome:
    """Their numbers of partitions are the same: a group is written to the partition its frames came from."""
    counts = ", ".join(f"{topic} {count}" for topic, count in subject.partitions.items())
    return _outcome(subject, counts, _of_partitions)


def times(subject: Subject) -> Outcome:
    """Times of records mean what we take them for, and retention bounds what has to be bounded."""
    if subject.topic_findings is None:
        return not_done(_HIDDEN)
    kept = (f"{topic} {_kept(Retention.of(state))}" for topic, state in subject.topic_configs.items())
    return _outcome(subject, f"kept: {', '.join(kept)}", _of_times)


def _outcome(subject: Subject, summary: str, belongs: Callable[[Finding], bool]) -> Outcome:
    findings = subject.topic_findings
    if findings is None:
        return not_done(_HIDDEN)
    return Outcome(summary, tuple(_problems(filter(belongs, findings))))


def _problems(findings: Iterable[Finding]) -> Iterable[Problem]:
    for finding in findings:
        verdict = Verdict.FAIL if finding.severity is Severity.ERROR else Verdict.WARNING
        yield of_error(f"{finding.topic}: {finding.setting}: {finding.text}", _SET_IT, verdict)


def _of_partitions(finding: Finding) -> bool:
    return finding.setting in _PARTITIONS


def _of_times(finding: Finding) -> bool:
    return finding.setting.startswith(_TIMES)


def _kept(retention: Retention) -> str:
    bounds = []
    if retention.kept_s is not None:
        bounds.append(duration_text(retention.kept_s))
    if retention.kept_bytes is not None:
        bounds.append(f"{bytes_text(retention.kept_bytes)} a partition")
    return " or ".join(bounds) or "without limit"
