"""What an audit has to say at its end: for people, and as JSON."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from audit.books import Books
from audit.gaps import gaps_by_source
from audit.ledger import PartitionLedger
from schemas.timestamp import format_timestamp

_LINES_LISTED = 20


def summary(books: Books) -> dict[str, Any]:
    """All counts, ready for JSON. Keys are stable; `findings` is empty where all is well."""
    ledgers = books.ledgers
    rejects: Counter[str] = Counter()
    closed_by: Counter[str] = Counter()
    for ledger in ledgers:
        rejects.update(ledger.tally.rejects)
        closed_by.update({rule.value: count for rule, count in ledger.tally.closed_by.items()})
    return {
        "findings": {kind.value: count for kind, count in sorted(books.found.items())},
        "windows": sum(ledger.tally.windows for ledger in ledgers),
        "members": sum(ledger.tally.members for ledger in ledgers),
        "duplicates": sum(ledger.tally.duplicates for ledger in ledgers),
        "rejected": sum(ledger.tally.rejected for ledger in ledgers),
        "rejects": dict(sorted(rejects.items())),
        "groups": sum(ledger.tally.groups for ledger in ledgers),
        "repaired": sum(ledger.tally.repaired for ledger in ledgers),
        "incomplete": sum(ledger.tally.incomplete for ledger in ledgers),
        "closed_by": dict(sorted(closed_by.items())),
        "in_progress": sum(_in_progress(ledger) for ledger in ledgers),
        "gone_by_retention": {
            "members_not_compared": sum(ledger.tally.gone_members for ledger in ledgers),
            "other": sum(ledger.tally.gone for ledger in ledgers),
        },
        "partitions": [_partition(ledger) for ledger in ledgers],
        "closed_by_clock_or_memory": [
            {"partition": ledger.partition, "timestamp": timestamp, "closed_by": rule}
            for ledger in ledgers
            for timestamp, rule in ledger.tally.unforeseeable
        ],
        "sources": _sources(ledgers),
    }


def _in_progress(ledger: PartitionLedger) -> int:
    """Raw records of open groups, and those the grouper has not come to."""
    return len(ledger.windows) + max(
        0, ledger.bounds.raw_end - max(ledger.windows.next_offset, ledger.bounds.raw_begin)
    )


def _partition(ledger: PartitionLedger) -> dict[str, int]:
    bounds = ledger.bounds
    return {
        "partition": ledger.partition,
        "raw_begin": bounds.raw_begin,
        "raw_end": bounds.raw_end,
        "committed": bounds.committed,
        "read_to": bounds.read_to,
        "open_windows": len(ledger.windows),
    }


def _sources(ledgers: tuple[PartitionLedger, ...]) -> dict[str, dict[str, Any]]:
    gaps = gaps_by_source(present for ledger in ledgers for present in ledger.presence())
    windows: Counter[str] = Counter()
    back: Counter[str] = Counter()
    for ledger in ledgers:
        for source, order in ledger.tally.sources.items():
            windows[source] += order.windows
            back[source] += order.back
    sources = {}
    for source in sorted({*gaps, *windows}):
        of_source = gaps.get(source)
        sources[source] = {
            "windows": windows[source],
            "back_in_time": back[source],
            "images": of_source.images if of_source else 0,
            "gaps": of_source.gaps if of_source else 0,
            "missing_images": of_source.missing if of_source else 0,
            "first_gaps": [
                {
                    "after": format_timestamp(gap.after_us),
                    "before": format_timestamp(gap.before_us),
                    "missing": gap.missing,
                }
                for gap in (of_source.listed if of_source else ())
            ],
        }
    return sources


def lines(report: dict[str, Any]) -> Iterator[str]:
    """A summary for people."""
    yield (
        f"{report['windows']} windows: {report['members']} members, {report['duplicates']} duplicates, "
        f"{report['rejected']} rejected, {report['in_progress']} in progress"
    )
    closed = ", ".join(f"{count} {rule}" for rule, count in report["closed_by"].items())
    repaired = f"{report['repaired']} of them repaired, " if report["repaired"] else ""
    yield (
        f"{report['groups']} groups, {repaired}{report['incomplete']} incomplete; closed by: "
        f"{closed or 'none yet'}"
    )
    if report["rejects"]:
        listed = ", ".join(f"{count} {reason}" for reason, count in report["rejects"].items())
        yield f"rejects: {listed}"
    gone = report["gone_by_retention"]
    if gone["members_not_compared"] or gone["other"]:
        yield (
            f"gone by retention or from memory, so not judged: {gone['members_not_compared']} images without "
            f"their raw record, {gone['other']} others"
        )
    unforeseeable = report["closed_by_clock_or_memory"]
    for group in unforeseeable[:_LINES_LISTED]:
        yield f"closed by {group['closed_by']}: {group['timestamp']} partition {group['partition']}"
    if len(unforeseeable) > _LINES_LISTED:
        yield f"closed by quiet or bound: {len(unforeseeable) - _LINES_LISTED} more (--json lists them)"
    for source, facts in report["sources"].items():
        if facts["gaps"] or facts["back_in_time"]:
            yield (
                f"source {source}: {facts['gaps']} gaps of {facts['missing_images']} images in all, "
                f"{facts['back_in_time']} windows earlier than the one before"
            )
    findings = ", ".join(f"{count} {kind}" for kind, count in report["findings"].items())
    yield f"findings: {findings or 'none'}"
