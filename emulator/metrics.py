"""The emulator's metrics, and the same counts for its own log; touched at the start."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

FRAMES_SENT = Counter(
    "trapline_emulator_frames_sent_total", "Frames that at least one client got wholly.", ["source"]
)
BYTES_SENT = Counter("trapline_emulator_bytes_sent_total", "Bytes of those frames.", ["source"])
FRAMES_UNSEEN = Counter(
    "trapline_emulator_frames_unseen_total",
    "Frames that no client got: none was connected, or all went away before its end.",
    ["source"],
)
CLIENT_FRAMES_LOST = Counter(
    "trapline_emulator_client_frames_lost_total",
    "Frames that a client did not get wholly before it went away; each client counts.",
    ["source"],
)
SLOW_CLIENTS = Counter(
    "trapline_emulator_slow_clients_total", "Clients disconnected because they could not keep up.", ["source"]
)
FAULTS = Counter("trapline_emulator_faults_total", "Frames spoilt on purpose, by fault.", ["fault"])
LATE_STEPS = Counter(
    "trapline_emulator_late_steps_total", "Steps sent more than a period after they were due."
)
CLIENTS = Gauge("trapline_emulator_clients", "Clients connected now.", ["source"])


@dataclass(slots=True)
class Counts:
    """What one run has done; the fields mean what the metrics of the same names mean, over all sources."""

    steps: int = 0
    frames_sent: int = 0
    bytes_sent: int = 0
    frames_unseen: int = 0
    client_frames_lost: int = 0
    slow_clients: int = 0
    faults: int = 0
    late_steps: int = 0


def touch(sources: Sequence[str], faults: Sequence[str]) -> None:
    """Make every series exist before the first scrape."""
    for source in sources:
        for metric in (FRAMES_SENT, BYTES_SENT, FRAMES_UNSEEN, CLIENT_FRAMES_LOST, SLOW_CLIENTS, CLIENTS):
            metric.labels(source)
    for fault in faults:
        FAULTS.labels(fault)
