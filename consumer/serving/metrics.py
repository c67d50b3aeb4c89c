"""Counters of serving, and the same counts for its log; each way in which something is not sent has one."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import Counter, Gauge, Histogram


class LeftOut(StrEnum):
    """Why a group that was meant is not played: the labels of the counter."""

    GONE = "gone"
    """Retention has deleted its frames and its images."""
    UNREADABLE = "unreadable"
    """Its catalogue entry, or a record of it, is not what it has to be."""
    NOT_VERBATIM = "not_verbatim"
    """With --verbatim-only: raw no longer has all of its frames."""


GROUPS = Counter("trapline_serve_groups_total", "Groups played.")
FRAMES = Counter("trapline_serve_frames_total", "Frames that at least one client got wholly.", ["source"])
BYTES = Counter("trapline_serve_bytes_total", "Bytes of those frames.", ["source"])
REBUILT = Counter(
    "trapline_serve_rebuilt_frames_total",
    "Frames that were rebuilt from the groups topic, with another digest, because raw has let go of them.",
    ["source"],
)
UNSEEN = Counter(
    "trapline_serve_unseen_frames_total",
    "Frames that no client got: none was connected, or all went away before its end.",
    ["source"],
)
UNSERVED = Counter(
    "trapline_serve_unserved_frames_total",
    "Frames of sources that have no port, because they were not known at the start.",
)
LEFT_OUT = Counter("trapline_serve_left_out_total", "Groups that were meant and not played.", ["reason"])
LATE = Counter(
    "trapline_serve_late_groups_total", "Groups sent later after their time than groups follow each other."
)
STALLED_CLIENTS = Counter(
    "trapline_serve_stalled_clients_total", "Clients disconnected because they took no byte for too long."
)
CLIENTS = Gauge("trapline_serve_clients", "Clients connected now.", ["source"])
LATENESS = Histogram(
    "trapline_serve_lateness_seconds",
    "From when a group was due to when its first frame was handed to the system.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30),
)

for _reason in LeftOut:
    LEFT_OUT.labels(reason=_reason)


@dataclass(slots=True)
class Counts:
    """What one run has done; the fields mean what the metrics of the same names mean, over all sources."""

    groups: int = 0
    frames: int = 0
    bytes: int = 0
    rebuilt: int = 0
    unseen: int = 0
    unserved: int = 0
    left_out: int = 0
    late: int = 0
    stalled_clients: int = 0

    def leave_out(self, reason: LeftOut) -> None:
        """A group is not played."""
        self.left_out += 1
        LEFT_OUT.labels(reason=reason).inc()


def touch(sources: Iterable[str]) -> None:
    """Make every series exist before the first scrape."""
    for source in sources:
        for metric in (FRAMES, BYTES, REBUILT, UNSEEN, CLIENTS):
            metric.labels(source)
