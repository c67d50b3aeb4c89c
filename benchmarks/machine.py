"""What the figures were measured on."""

import os
import platform
import resource
import subprocess
import time
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


class Neighbours:
    """How much of the machine others used meanwhile: what they take, every absolute figure lacks."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._busy_s = _busy_s()
        self._ours_s = _ours_s()

    def cores(self) -> float:
        """Cores in use since the beginning by anybody but this process and its children that have ended."""
        busy_s = _busy_s() - self._busy_s
        ours_s = _ours_s() - self._ours_s
        return max(0.0, busy_s - ours_s) / (time.monotonic() - self._began_s)


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _ours_s() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


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
