"""When retention overtakes a position: pure, on figures from Kafka.

Kafka deletes whole segments, and looks for them every few minutes only, so a position lives a little longer
than said here, never shorter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

UNBOUNDED = -1  # Kafka's way to say: no limit


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a topic keeps its records.

    Attributes:
        kept_s: seconds since they were appended; None: without limit.
        kept_bytes: of each partition; None: without limit.
    """

    kept_s: float | None
    kept_bytes: int | None

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Self:
        """As the topic's settings say it.

        Args:
            config: by Kafka's names.
        """
        kept_ms = int(config.get("retention.ms") or UNBOUNDED)
        kept_bytes = int(config.get("retention.bytes") or UNBOUNDED)
        return cls(
            None if kept_ms < 0 else kept_ms / 1000,
            None if kept_bytes < 0 else kept_bytes,
        )


@dataclass(frozen=True, slots=True)
class Unread:
    """What lies between a position and the end of its partition.

    Attributes:
        offsets: how many: records, and markers of transactions.
        age_s: seconds since the first of it was appended.
        record_bytes: the size of that one, taken for the size of all.
        appended_per_s: offsets by which the partition has grown lately.
    """

    offsets: int
    age_s: float
    record_bytes: int
    appended_per_s: float


def seconds_left(retention: Retention, unread: Unread | None) -> float | None:
    """Seconds until the first unread record may be deleted.

    0: it may go at any moment. None: there is none, or nothing deletes it as things are.
    """
    if unread is None:
        return None
    left = []
    if retention.kept_s is not None:
        left.append(retention.kept_s - unread.age_s)
    if retention.kept_bytes is not None:
        room_bytes = retention.kept_bytes - unread.offsets * unread.record_bytes
        growth_bytes_s = unread.appended_per_s * unread.record_bytes
        if room_bytes <= 0:
            left.append(0.0)
        elif growth_bytes_s > 0:
            left.append(room_bytes / growth_bytes_s)
    return max(0.0, min(left)) if left else None
