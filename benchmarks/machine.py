"""What the figures were measured on."""

import os
import platform
import subprocess
from pathlib import Path

import confluent_kafka
import psutil

from trapline.embedded.jar_lock import packaged_lock
from trapline.version import __version__

ROOT = Path(__file__).resolve().parent.parent


def machine_facts() -> dict[str, object]:
    """Cores, memory, versions, revision, and how busy the machine was at the start."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "load_at_start": [round(each, 2) for each in os.getloadavg()],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "trapline": __version__,
        "confluent_kafka": confluent_kafka.version(),
        "librdkafka": confluent_kafka.libversion()[0],
        "kafka": packaged_lock().kafka_version,
        "revision": _revision(),
    }


def _revision() -> str:
    """The git revision, with '+' where the tree has other content; 'unknown' outside of a clone."""
    try:
        revision = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{revision}{'+' if changed else ''}"


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
