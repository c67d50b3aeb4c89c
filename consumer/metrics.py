"""Counters of reading groups. Each way in which a group or a record is not handed out has one."""

from prometheus_client import Counter, Gauge

from consumer.selection import PassedOver

GROUPS = Counter("trapline_consumer_groups_total", "Groups handed out.")
IMAGES = Counter("trapline_consumer_images_total", "Images of the groups handed out.")
PASSED_OVER = Counter(
    "trapline_consumer_passed_over_total",
    "Whole groups not handed out because the stream does not ask for them.",
    ["reason"],
)
CUT_GROUPS = Counter(
    "trapline_consumer_cut_groups_total",
    "Groups of which only a part could be read: a start in the middle, retention, a gap.",
)
REPEATED = Counter(
    "trapline_consumer_repeated_records_total", "Records of a group that had this image already."
)
UNREADABLE = Counter(
    "trapline_consumer_unreadable_records_total", "Records that are not what their topic holds.", ["topic"]
)
UNDECODABLE = Counter(
    "trapline_consumer_undecodable_groups_total",
    "Groups not given to TraP because an image cannot be decoded.",
)
GAPS = Counter("trapline_consumer_gaps_total", "Times retention had deleted records before they were read.")
GAP_RECORDS = Counter(
    "trapline_consumer_gap_records_total", "Offsets lost in these gaps: records and transaction markers."
)
OUT_OF_ORDER = Counter(
    "trapline_consumer_out_of_order_total",
    "Groups that a merge by timestamp waited for in vain, handed out late.",
)
STARTS_TRUNCATED = Counter(
    "trapline_consumer_starts_truncated_total",
    "Starts at a group whose images retention had deleted already, moved to the oldest ones there are.",
)
IMAGES_GONE = Counter(
    "trapline_consumer_images_gone_total",
    "Groups found in the catalogue and not read, because retention had deleted their images.",
)
DROPPED_AT_REVOKE = Counter(
    "trapline_consumer_dropped_at_revoke_total",
    "Groups read ahead and dropped when their partition was given to another member, which reads them.",
)
COMMITS = Counter("trapline_consumer_commits_total", "Commits that Kafka acknowledged.")
COMMITS_FAILED = Counter(
    "trapline_consumer_commits_failed_total", "Commits that Kafka refused or did not answer."
)
QUEUED_GROUPS = Gauge("trapline_consumer_queued_groups", "Groups read ahead and not handed out yet.")
QUEUED_BYTES = Gauge("trapline_consumer_queued_bytes", "Bytes of these groups.")

for _reason in PassedOver:
    PASSED_OVER.labels(reason=_reason)
for _topic in ("groups", "catalogue"):
    UNREADABLE.labels(topic=_topic)
