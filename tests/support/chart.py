"""The chart's files, and what its pods start: a table that `make test` runs and `make test-chart` compares.

`make test` has no helm. It starts the processes as this table says (tests/integration/image/), and the
rendered templates have to say the same (tests/chart/).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "trapline"
VARIANTS = sorted(path.name.removesuffix("-values.yaml") for path in CHART.glob("ci/*-values.yaml"))
MINIMAL = "default-minimal"


def variant_file(name: str) -> Path:
    """The values of a variant."""
    return CHART / "ci" / f"{name}-values.yaml"


def variant_values(name: str) -> dict[str, Any]:
    """They, read."""
    return yaml.safe_load(variant_file(name).read_text())


@dataclass(frozen=True)
class Start:
    """How a pod's process is started.

    Attributes:
        args: after the image's entry point.
        environment: its variables, where the pod has the ordinal 0.
    """

    args: tuple[str, ...]
    environment: dict[str, str]


_KAFKA = {
    "TRAPLINE_BOOTSTRAP_SERVERS": "kafka:9092",
    "TRAPLINE_TOPIC_PREFIX": "aartfaac",
    "TRAPLINE_MAX_FRAME_BYTES": "64MiB",
    "TRAPLINE_SECURITY_PROTOCOL": "plaintext",
}
_SOURCES = {"TRAPLINE_SOURCES": "sb0=tcp://10.0.0.1:6666,sb1=tcp://10.0.0.2:6666"}
_LOG = {"TRAPLINE_LOG_LEVEL": "info", "TRAPLINE_LOG_FORMAT": "json"}
_HTTP = {"TRAPLINE_HTTP_HOST": "0.0.0.0", "TRAPLINE_HTTP_PORT": "9100"}  # noqa: S104  inside a pod
_TOPICS = {
    "TRAPLINE_PARTITIONS": "1",
    "TRAPLINE_REPLICATION_FACTOR": "3",
    "TRAPLINE_RETENTION_HOURS": "24",
    "TRAPLINE_RETENTION_BYTES": "500GiB",
    "TRAPLINE_CATALOGUE_RETENTION_BYTES": "10GiB",
}

STARTS = {
    "topics": Start(("topics", "create"), {**_KAFKA, **_LOG, **_TOPICS}),
    "connector": Start(
        ("connector",),
        {
            "POD_ORDINAL": "0",
            "TRAPLINE_SHARE": "0/1",
            "TRAPLINE_SHARE_COPIES": "1",
            **_KAFKA,
            **_SOURCES,
            **_LOG,
            **_HTTP,
            "TRAPLINE_FLUSH_TIMEOUT_S": "20",
            "TRAPLINE_SPOOL": "through",
            "TRAPLINE_SPOOL_DIR": "/var/spool/trapline/frames",
            "TRAPLINE_SPOOL_MAX_BYTES": str(25 * 1024**3 * 9 // 10),
            "TRAPLINE_FSYNC": "false",
        },
    ),
    "grouper": Start(
        ("grouper",),
        {
            "POD_NAME": "trapline-grouper-0",
            "TRAPLINE_GROUP_INSTANCE_ID": "trapline-grouper-0",
            "TRAPLINE_SESSION_TIMEOUT_S": "45",
            **_KAFKA,
            **_SOURCES,
            **_LOG,
            **_HTTP,
        },
    ),
    "status": Start(("status", "--follow"), {**_KAFKA, **_LOG, **_HTTP}),
    "test": Start(
        ("doctor", "--source-wait=10"),
        {**_KAFKA, **_SOURCES, "TRAPLINE_LOG_FORMAT": "json", **_TOPICS},
    ),
}
"""Container -> how it starts, of the release `trapline` with the values of the variant `default-minimal`."""
