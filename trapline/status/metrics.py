"""The metrics of `trapline status --follow`: what Kafka knows of readers and sources, also of dead ones.

A reader cannot tell its own lag: while it hangs it tells nothing, and when it is gone it tells nothing at
all. So one process asks Kafka about every consumer group. Each series goes when Kafka no longer knows what
it is about; there are at most `MAX_ASKED` consumer groups.
"""

import math
from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge

from trapline.status.lag import Lag
from trapline.status.sources import NO_SOURCE, SourceState
from trapline.status.survey import Survey

_PLACE: Final = ["consumer_group", "topic", "partition"]

LAG_OFFSETS = Gauge(
    "trapline_status_lag_offsets", "Offsets that a consumer group has not handled yet.", _PLACE
)
LAG_GROUPS = Gauge(
    "trapline_status_lag_groups",
    "Timestamp groups that these are; absent where that cannot be known.",
    _PLACE,
)
LAG_SECONDS = Gauge(
    "trapline_status_lag_seconds",
    "Seconds since the first of them was appended; 0 where there is none.",
    _PLACE,
)
RETENTION_LEFT = Gauge(
    "trapline_status_retention_left_seconds",
    "Seconds until retention may delete what is unread; infinite where it would delete nothing unread.",
    _PLACE,
)
LOST_OFFSETS = Gauge(
    "trapline_status_lost_offsets", "Offsets that retention has deleted before they were read.", _PLACE
)
MEMBERS = Gauge(
    "trapline_status_members",
    "Members of a consumer group at present; absent where that could not be asked.",
    ["consumer_group"],
)
SOURCE_AGE = Gauge(
    "trapline_status_source_age_seconds",
    "Seconds since the connector had read the latest image of a source that Kafka holds.",
    ["source"],
)
SURVEYS = Counter("trapline_status_surveys_total", "Times Kafka was asked for all of this.", ["outcome"])
SURVEY_TIME = Gauge(
    "trapline_status_survey_time_seconds", "When it last answered, seconds since 1970; 0: never."
)

for _outcome in ("done", "failed"):
    SURVEYS.labels(_outcome)


def show(found: Survey) -> None:
    """Bring every gauge up to date."""
    places = {lag: (lag.group.group_id, lag.topic, str(lag.partition)) for lag in found.lags}
    _bring(LAG_OFFSETS, ((place, lag.offsets_behind) for lag, place in places.items()))
    _bring(LAG_GROUPS, ((place, lag.groups_behind) for lag, place in places.items()))
    _bring(LAG_SECONDS, ((place, lag.seconds_behind) for lag, place in places.items()))
    _bring(RETENTION_LEFT, ((place, _retention_left(lag)) for lag, place in places.items()))
    _bring(LOST_OFFSETS, ((place, lag.lost_offsets) for lag, place in places.items()))
    _bring(MEMBERS, (((lag.group.group_id,), lag.group.members) for lag in found.lags))
    _bring(SOURCE_AGE, (((state.name,), _age(state)) for state in found.sources))
    SURVEYS.labels("done").inc()
    SURVEY_TIME.set(found.at_us / 1e6)


def _retention_left(lag: Lag) -> float:
    return math.inf if lag.retention_left_s is None else lag.retention_left_s


def _age(state: SourceState) -> float | None:
    return None if state.name == NO_SOURCE else state.age_s


def _bring(gauge: Gauge, values: Iterable[tuple[tuple[str, ...], float | None]]) -> None:
    """Set what is known, and take away what is not: a figure that stays behind would be believed."""
    known = {labels: value for labels, value in values if value is not None}
    shown = {tuple(sample.labels.values()) for metric in gauge.collect() for sample in metric.samples}
    for labels in shown - known.keys():
        gauge.remove(*labels)
    for labels, value in known.items():
        gauge.labels(*labels).set(value)
