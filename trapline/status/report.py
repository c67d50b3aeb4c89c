"""`trapline status` for people and for programs."""

from collections.abc import Iterator
from typing import Any

from schemas.timestamp import format_timestamp
from trapline.status.lag import Lag
from trapline.status.sources import SourceState
from trapline.status.survey import Survey
from trapline.tables import NOTHING, duration_text, print_lines, print_table, rate_text, share_text

_SOURCE_COLUMNS = (
    "source", "last timestamp", ">age", ">rate", ">images", ">missing", ">late", ">rejected", ""
)  # fmt: skip
_LAG_COLUMNS = (
    "consumer group", "topic", ">part.", ">members", ">committed", ">end", ">groups behind",
    ">time behind", ">retention in", ""
)  # fmt: skip


def as_json(survey: Survey) -> dict[str, Any]:
    """One object; what is not known is null."""
    return {
        "time": format_timestamp(survey.at_us),
        "groups": survey.groups,
        "incomplete": survey.incomplete,
        "first_timestamp": _time(survey.first_us),
        "last_timestamp": _time(survey.last_us),
        "sources": [_source(state) for state in survey.sources],
        "rejects": {
            "looked_at": len(survey.rejects.read),
            "since": _time(survey.rejects.since_us),
            "not_looked_at": survey.rejects.more,
        },
        "consumer_groups": [_lag(lag) for lag in survey.lags],
        "problems": list(survey.problems),
    }


def print_report(survey: Survey, prefix: str) -> None:
    """Two tables, and what could not be looked at."""
    print_lines(_heading(survey, prefix))
    if survey.sources:
        print_table("Sources", _SOURCE_COLUMNS, map(_source_row, survey.sources))
    if survey.lags:
        print_table("Consumer groups", _LAG_COLUMNS, map(_lag_row, survey.lags))
    else:
        print_lines(["no consumer group has a position in these topics"])
    print_lines(f"not looked at: {problem}" for problem in survey.problems)


def _heading(survey: Survey, prefix: str) -> Iterator[str]:
    if survey.first_us is None or survey.last_us is None:
        yield f"{prefix}: no group is in the catalogue yet"
    else:
        yield (
            f"{prefix}: the last {survey.groups} groups, {format_timestamp(survey.first_us)} to "
            f"{format_timestamp(survey.last_us)}, {survey.incomplete} of them incomplete"
        )
    rejects = survey.rejects
    if rejects.more:
        yield (
            f"rejects: the last {len(rejects.read)} are counted, up to {rejects.more} more came in that "
            "time; `trapline rejects list` shows all"
        )


def _time(time_us: int | None) -> str | None:
    return None if time_us is None else format_timestamp(time_us)


def _rounded(seconds: float | None, digits: int = 3) -> float | None:
    return None if seconds is None else round(seconds, digits)


def _source(state: SourceState) -> dict[str, Any]:
    return {
        "source": state.name,
        "last_timestamp": _time(state.timestamp_us),
        "last_received": _time(state.received_us),
        "age_s": _rounded(state.age_s),
        "rate_per_s": _rounded(state.rate_per_s, 6),
        "images": state.images,
        "expected": state.expected,
        "missing": state.missing,
        "missing_share": _rounded(state.missing_share, 6),
        "late": state.late,
        "rejected": state.rejected,
        "latest_not_grouped_yet": state.in_raw_only,
    }


def _source_row(state: SourceState) -> tuple[str, ...]:
    return (
        state.name,
        _time(state.timestamp_us) or NOTHING,
        duration_text(state.age_s),
        rate_text(state.rate_per_s),
        str(state.images),
        share_text(state.missing_share),
        str(state.late),
        str(state.rejected),
        "latest is in raw, not grouped yet" if state.in_raw_only else "",
    )


def _lag(lag: Lag) -> dict[str, Any]:
    return {
        "consumer_group": lag.group.group_id,
        "state": lag.group.state,
        "members": lag.group.members,
        "topic": lag.topic,
        "partition": lag.partition,
        "committed": lag.committed,
        "begin": lag.begin,
        "end": lag.end,
        "offsets_behind": lag.offsets_behind,
        "groups_behind": lag.groups_behind,
        "groups_behind_estimated": lag.estimated,
        "seconds_behind": _rounded(lag.seconds_behind),
        "retention_left_s": _rounded(lag.retention_left_s),
        "lost_offsets": lag.lost_offsets,
    }


def _lag_row(lag: Lag) -> tuple[str, ...]:
    groups = NOTHING if lag.groups_behind is None else f"{'~' if lag.estimated else ''}{lag.groups_behind}"
    return (
        lag.group.group_id,
        lag.topic,
        str(lag.partition),
        NOTHING if lag.group.members is None else str(lag.group.members),
        str(lag.committed),
        str(lag.end),
        groups,
        duration_text(lag.seconds_behind),
        duration_text(lag.retention_left_s),
        _remark(lag),
    )


def _remark(lag: Lag) -> str:
    if lag.lost_offsets:
        return f"retention has deleted {lag.lost_offsets} offsets unread"
    if lag.committed > lag.end:
        return "past the end: was the topic made anew?"
    if lag.group.empty and lag.offsets_behind:
        return "nobody reads"
    return ""
