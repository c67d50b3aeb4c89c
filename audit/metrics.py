"""The auditor's metrics, for an audit that runs beside a live system."""

from prometheus_client import Counter, Gauge

from audit.findings import FindingKind

FINDINGS = Counter("trapline_audit_findings_total", "What the audit found, by kind.", ["kind"])
RECORDS = Counter("trapline_audit_records_total", "Records looked at, by topic.", ["topic"])
BYTES = Counter("trapline_audit_bytes_total", "Bytes of values looked at, by topic.", ["topic"])
WAITING = Gauge("trapline_audit_waiting_windows", "Windows of raw that have no fate yet.")

TOPICS = ("raw", "catalogue", "groups", "rejects")


def touch() -> None:
    """Make every series exist before the first scrape."""
    for kind in FindingKind:
        FINDINGS.labels(kind.value)
    for topic in TOPICS:
        RECORDS.labels(topic)
        BYTES.labels(topic)
