"""docs/metrics.md says what the code counts, and the names keep to Prometheus' conventions."""

import contextlib
import re
from collections import Counter

import click
import pytest
from prometheus_client import REGISTRY

from tests.support.command_line import parse
from tests.support.metrics_table import PAGE, metrics, with_table

KINDS = {"counter", "gauge", "histogram"}
UNBOUNDED = {"timestamp", "group", "offset", "digest", "client", "host", "port", "path", "file"}


def test_its_table_is_that_of_the_code():
    page = PAGE.read_text()
    assert page == with_table(page), "python -m tests.support.metrics_table"


def test_each_process_it_names_is_a_verb():
    spans = {span for metric in metrics() for span in re.findall(r"`(trapline [^`]*)`", metric.process)}
    assert {"trapline connector", "trapline grouper", "trapline serve", "trapline status --follow"} <= spans
    for span in spans:
        with contextlib.suppress(click.MissingParameter):
            parse(span.split()[1:])
    with pytest.raises(click.UsageError):
        parse(["consumer.serving"])


def test_every_metric_of_ours_stands_in_a_metrics_module():
    """What is registered elsewhere would be served, and stand in no table."""
    listed = {name for metric in metrics() for name in metric.series}
    served = {
        sample.name
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name.startswith("trapline_") and not sample.name.endswith("_created")
    }
    assert served
    assert served <= listed


def test_names_units_and_labels_are_prometheus_own():
    found = metrics()
    assert len(found) > 70
    assert not [name for name, count in Counter(metric.name for metric in found).items() if count > 1]
    for metric in found:
        assert re.fullmatch(r"trapline_[a-z]+(_[a-z0-9]+)+", metric.name), metric.name
        assert metric.kind in KINDS
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert not re.search(r"_(ms|us|milliseconds|kb|mb|gib|percent)(_|$)", metric.name), metric.name
        assert metric.text.endswith("."), metric.name
        assert not UNBOUNDED & set(metric.labels), metric.name


def test_queries_of_the_page_use_metrics_that_exist():
    page = PAGE.read_text()
    series = {name for metric in metrics() for name in metric.series}
    named = {
        name
        for name in re.findall(r"trapline_[a-z_]+", page)
        if not name.endswith("_") and name != "trapline_"
    }
    families = series | {metric.name for metric in metrics()}
    assert named
    assert named <= families
