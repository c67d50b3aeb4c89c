"""An audit in the test's own process."""

from dataclasses import dataclass
from typing import Any

from audit.auditor import Auditor
from audit.findings import Finding
from audit.report import summary
from audit.settings import AuditSettings
from runtime.settings import load_settings
from runtime.shutdown import Shutdown
from tests.support.raw_topic import RawTopic


@dataclass(frozen=True)
class Audited:
    findings: tuple[Finding, ...]
    summary: dict[str, Any]

    @property
    def kinds(self) -> list[str]:
        return sorted(finding.kind.value for finding in self.findings)


def audit_settings(raw: RawTopic, **more: object) -> AuditSettings:
    overrides = {"bootstrap_servers": raw.bootstrap_servers, "topic_prefix": raw.prefix, **more}
    return load_settings(AuditSettings, overrides=overrides, known=[])


def audited(raw: RawTopic, *, pixels: bool = True, **more: object) -> Audited:
    """What `trapline verify` finds now."""
    findings: list[Finding] = []
    with Auditor(audit_settings(raw, **more), findings.append, pixels=pixels) as auditor:
        auditor.run(Shutdown())
        return Audited(tuple(findings), summary(auditor.books))
