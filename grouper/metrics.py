"""The grouper's metrics. Each label value is touched at the start, so that it is scraped as 0 before 1."""

from prometheus_client import Counter, Gauge, Histogram

from grouper.rules import Verdict
from schemas.catalogue import ClosedBy
from schemas.errors import RejectReason

WINDOWS = Counter("trapline_grouper_windows_total", "Raw records by what became of them.", ["verdict"])
UNUSABLE = "unusable"  # a raw record that is no window: its verdict is a reject by its own reason
REJECTS = Counter("trapline_grouper_rejects_total", "Raw records rejected, by reason.", ["reason"])
GROUPS = Counter("trapline_grouper_groups_total", "Groups published, by what closed them.", ["closed_by"])
COMPLETE = Counter(
    "trapline_grouper_complete_groups_total",
    "Groups published with every expected source; a repaired one counts as it was at first.",
)
REPAIRS = Counter(
    "trapline_grouper_repairs_total", "Groups published again with their late windows: revisions from 2 on."
)
MISSING = Counter("trapline_grouper_missing_windows_total", "Windows that published groups lack.", ["source"])
OPEN_GROUPS = Gauge("trapline_grouper_open_groups", "Groups open now.", ["partition"])
OPEN_BYTES = Gauge("trapline_grouper_open_bytes", "Bytes of images in open groups.", ["partition"])
OLDEST_OPEN = Gauge(
    "trapline_grouper_oldest_open_group_seconds", "Seconds since the oldest open group began.", ["partition"]
)
SILENT = Gauge("trapline_grouper_silent_sources", "Sources that groups are not waiting for.", ["partition"])
TRANSACTIONS = Counter("trapline_grouper_transactions_total", "Transactions by outcome.", ["outcome"])
PRODUCERS_RENEWED = Counter(
    "trapline_grouper_producers_renewed_total",
    "Producers replaced because the end of a transaction was slow or unsure.",
)
REJOINS = Counter(
    "trapline_grouper_rejoins_total", "Times the grouper left its consumer group and joined it anew."
)
PARTITIONS = Gauge("trapline_grouper_partitions_owned", "Raw partitions this grouper owns.")
NEAR_MISSES = Counter(
    "trapline_grouper_near_misses_total",
    "Pairs of incomplete groups whose timestamps differ by less than half a cadence.",
)
LOST_RECORDS = Counter(
    "trapline_grouper_lost_records_total",
    "Raw records that retention removed before they were grouped.",
)
LATENCY = Histogram(
    "trapline_grouper_group_latency_seconds",
    "From a group's last window received by the connector to the group committed.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)


def touch(sources: tuple[str, ...]) -> None:
    """Make every series exist before the first scrape."""
    for verdict in Verdict:
        WINDOWS.labels(verdict.value)
    WINDOWS.labels(UNUSABLE)
    for reason in RejectReason:
        REJECTS.labels(reason.value)
    for closed_by in ClosedBy:
        GROUPS.labels(closed_by.value)
    for outcome in ("committed", "aborted", "lost"):
        TRANSACTIONS.labels(outcome)
    for source in sources:
        MISSING.labels(source)
