"""What `trapline status --follow` serves as metrics: what is known, and nothing of what has gone."""

import math
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from tests.support.metrics import Change
from trapline.status import metrics
from trapline.status.consumer_groups import ConsumerGroup
from trapline.status.lag import Lag
from trapline.status.sources import NO_SOURCE, SourceState
from trapline.status.survey import Survey
from trapline.status.tails import RejectTail

TRAP = ConsumerGroup("p.trap", "stable", 2, ())
BEHIND = Lag(
    group=TRAP, topic="p.groups", partition=3, committed=10, begin=0, end=40, offsets_behind=30,
    groups_behind=5, estimated=False, seconds_behind=12.5, retention_left_s=3600.0, lost_offsets=0,
)  # fmt: skip


def source(name, age_s=1.5):
    return SourceState(
        name=name, timestamp_us=0, received_us=0, age_s=age_s, rate_per_s=1.0, images=1, expected=1,
        missing=0, late=0, rejected=0, in_raw_only=False,
    )  # fmt: skip


def survey(*lags, sources=()):
    return Survey(
        at_us=7_000_000, groups=1, incomplete=0, first_us=0, last_us=0, sources=tuple(sources),
        rejects=RejectTail(), lags=lags, problems=(),
    )  # fmt: skip


def value(name, lag=BEHIND):
    labels = {"consumer_group": lag.group.group_id, "topic": lag.topic, "partition": str(lag.partition)}
    return REGISTRY.get_sample_value(f"trapline_status_{name}", labels)


@pytest.fixture(autouse=True)
def _nothing_stays():
    yield
    metrics.show(survey())


def test_a_position_a_consumer_group_and_a_source():
    with Change(metrics.SURVEYS.labels("done")) as done:
        metrics.show(survey(BEHIND, sources=[source("sb0")]))
    assert [value(n) for n in ("lag_offsets", "lag_groups", "lag_seconds", "lost_offsets")] == [
        30,
        5,
        12.5,
        0,
    ]
    assert value("retention_left_seconds") == 3600
    assert REGISTRY.get_sample_value("trapline_status_members", {"consumer_group": "p.trap"}) == 2
    assert REGISTRY.get_sample_value("trapline_status_source_age_seconds", {"source": "sb0"}) == 1.5
    assert REGISTRY.get_sample_value("trapline_status_survey_time_seconds") == 7
    assert done.by == 1


def test_what_would_lose_nothing_has_for_ever():
    metrics.show(survey(replace(BEHIND, offsets_behind=0, seconds_behind=0.0, retention_left_s=None)))
    assert value("retention_left_seconds") == math.inf


def test_what_is_not_known_is_not_told():
    metrics.show(survey(BEHIND, sources=[source("sb0")]))
    unasked = replace(BEHIND, group=replace(TRAP, members=None), groups_behind=None)
    metrics.show(survey(unasked, sources=[source("sb0", age_s=None), source(NO_SOURCE)]))
    assert value("lag_groups") is None
    assert value("lag_offsets") == 30
    assert REGISTRY.get_sample_value("trapline_status_members", {"consumer_group": "p.trap"}) is None
    for name in ("sb0", NO_SOURCE):
        assert REGISTRY.get_sample_value("trapline_status_source_age_seconds", {"source": name}) is None


def test_a_consumer_group_that_has_gone_takes_its_series_along():
    other = replace(BEHIND, group=replace(TRAP, group_id="p.notebook"))
    metrics.show(survey(BEHIND, other))
    assert value("lag_seconds", other) == 12.5
    metrics.show(survey(BEHIND))
    assert value("lag_seconds", other) is None
    assert value("lag_seconds") == 12.5
