"""A group in one line: for people, and as JSON for programs."""

import json

from consumer.group import Group
from schemas.timestamp import format_timestamp


def latency_s(group: Group, now_us: int) -> float:
    """Seconds from when the connector had read the group's last frame to `now_us`."""
    return (now_us - group.received_us) / 1e6


def line(group: Group, now_us: int) -> str:
    """For people: timestamp, how many of how many, latency, where; what is missing, and what is odd."""
    count = f"{len(group.images)}/{group.expected}"
    parts = [
        f"{format_timestamp(group.timestamp_us)}  {count:>5}  {latency_s(group, now_us):8.3f} s",
        f"partition {group.partition}  offset {group.first_offset}",
    ]
    if group.missing:
        parts.append(f"missing {','.join(group.missing)}")
    if group.revision > 1:
        parts.append(f"revision {group.revision}")
    if group.out_of_order:
        parts.append("out of order")
    return "  ".join(parts)


def json_line(group: Group, now_us: int) -> str:
    """For programs: one JSON object, without line breaks."""
    return json.dumps(
        {
            "timestamp": format_timestamp(group.timestamp_us),
            "size": len(group.images),
            "expected": group.expected,
            "complete": group.complete,
            "missing": list(group.missing),
            "partition": group.partition,
            "offset": group.first_offset,
            "last_offset": group.last_offset,
            "revision": group.revision,
            "group_id": group.group_id,
            "sources": list(group.sources),
            "latency_s": round(latency_s(group, now_us), 6),
            "out_of_order": group.out_of_order,
        }
    )
