"""The dashboard and the alerts ask for what the code counts, and every alert is explained."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from tests.support.metrics_table import metrics
from tests.support.promql import PromqlError, Selector, parse_query

HOME = Path(__file__).parents[3]
FILES = HOME / "helm" / "trapline" / "files"
PAGE = HOME / "docs" / "operations.md"
ALERTS_TEXT = (FILES / "alerts.yaml").read_text()
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())

# What Prometheus adds to every series of a pod, and the Python client to every process.
TARGET_LABELS = {"namespace", "pod", "instance", "job"}
CLIENT_SERIES = {
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
}
SERIES = {name: labels for metric in metrics() for name, labels in metric.series.items()}
FUNCTIONS = {
    "absent",
    "changes",
    "count",
    "deriv",
    "histogram_quantile",
    "increase",
    "last_over_time",
    "max",
    "min",
    "rate",
    "scalar",
    "sum",
    "time",
    "vector",
}
# What needs a counter, and would draw nonsense of a gauge; and the other way round.
OF_COUNTERS, OF_GAUGES = {"rate", "increase"}, {"deriv", "changes"}
PLACEHOLDERS = {
    "@SELECTOR@": 'namespace="telescope"',
    "@RUNBOOK@": "docs/operations.md",
    "@CONNECTORS@": "2",
    "@SOURCE_SILENT_SECONDS@": "120",
    "@COMPLETENESS_TARGET@": "0.95",
    "@LATENCY_P99_SECONDS@": "10",
    "@RETENTION_LEFT_SECONDS@": "14400",
}


def replaced(text):
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text


RULES = [rule for group in yaml.safe_load(replaced(ALERTS_TEXT))["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{f"{p['title']}: {t['refId']}": t["expr"] for p in PANELS for t in p["targets"]},
    **{
        f"variable {each['name']}": re.sub(r"label_values\((.*), \w+\)", r"\1", each["definition"])
        for each in DASHBOARD["templating"]["list"]
        if each["type"] == "query"
    },
}


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_asks_for_series_and_labels_that_exist(name):
    query = parse_query(QUERIES[name])
    assert query.selectors
    assert query.functions <= FUNCTIONS
    asked = {selector.name for selector in query.selectors}
    assert asked <= SERIES.keys() | CLIENT_SERIES
    for selector in query.selectors:
        assert selector.labels <= SERIES.get(selector.name, frozenset()) | TARGET_LABELS, selector.name
        # Else two installations of one Prometheus would be mixed up.
        assert "namespace" in selector.labels or name == "variable namespace", selector.name
    known = set().union(*(SERIES.get(series, frozenset()) for series in asked))
    assert query.grouped <= known | TARGET_LABELS


@pytest.mark.parametrize("name", QUERIES)
def test_rates_are_of_counters_and_slopes_of_gauges(name):
    for function, series in re.findall(r"(\w+)\(\s*([a-z_]+)\{", QUERIES[name]):
        if function in OF_COUNTERS:
            assert series.endswith(("_total", "_bucket", "_count", "_sum")), series
        if function in OF_GAUGES:
            assert not series.endswith("_total"), series


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_grave_it_is_what_it_is_and_what_to_do(rule):
    assert re.fullmatch(r"Trapline[A-Z][A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    texts = rule["annotations"]
    assert texts.keys() == {"summary", "description", "runbook_url"}
    constant = rule["expr"].startswith("absent(")
    assert constant or "$value" in texts["description"] or "or\nabsent(" in rule["expr"]
    # A label that the expression does not keep would be shown as nothing.
    query = parse_query(rule["expr"])
    shown = set(re.findall(r"\$labels\.(\w+)", texts["summary"] + texts["description"]))
    assert shown <= query.grouped
    page, _, anchor = texts["runbook_url"].partition("#")
    assert page == "docs/operations.md"
    headings = re.findall(r"^#+ (.+)$", PAGE.read_text(), re.MULTILINE)
    assert rule["alert"] in headings
    assert anchor == rule["alert"].lower()


def test_the_page_explains_no_alert_that_does_not_exist():
    headings = re.findall(r"^### (Trapline\w+)$", PAGE.read_text(), re.MULTILINE)
    assert Counter(headings) == Counter(rule["alert"] for rule in RULES)


def test_each_explanation_has_a_meaning_and_an_action():
    for section in re.split(r"^### ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        if section.startswith("Trapline"):
            name = section.split("\n", 1)[0]
            assert "**Means**" in section, name
            assert "**Do**" in section, name


def test_placeholders_are_those_that_the_file_s_head_names():
    head, rules = ALERTS_TEXT.split("\ngroups:\n")
    assert set(re.findall(r"@[A-Z0-9_]+@", rules)) == set(PLACEHOLDERS)
    said = dict(re.findall(r"^#   (@[A-Z0-9_]+@)\s.*: (\S.*)$", head, re.MULTILINE))
    assert said.keys() == PLACEHOLDERS.keys()
    assert {name: said[name].split(", or its address")[0] for name in said} == PLACEHOLDERS


def test_the_rules_tests_name_every_alert():
    tests = yaml.safe_load((HOME / "tests" / "chart" / "alerts_test.yaml").read_text())
    fired, quiet = set(), set()
    for test in tests["tests"]:
        for case in test["alert_rule_test"]:
            (fired if case.get("exp_alerts") else quiet).add(case["alertname"])
    names = {rule["alert"] for rule in RULES}
    assert tests["rule_files"] == ["../../helm/trapline/files/alerts.yaml"]
    assert fired <= names
    assert quiet <= names
    assert names == fired
    assert len(quiet) > 10


def test_nothing_in_the_dashboard_is_this_machine_s():
    assert "id" not in DASHBOARD
    assert DASHBOARD["uid"] == "trapline"
    assert {each["name"] for each in DASHBOARD["templating"]["list"]} == {"datasource", "namespace", "prefix"}
    for panel in PANELS:
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_have_units_descriptions_and_numbers_of_their_own():
    assert max(Counter(panel["id"] for panel in DASHBOARD["panels"]).values()) == 1
    assert [p["title"] for p in DASHBOARD["panels"] if p["type"] == "row"] == [
        "Overview",
        "Sources",
        "Grouping",
        "Delivery and lag",
        "Kafka and transactions",
        "Queue and spool",
        "Processes",
    ]
    assert max(Counter(panel["title"] for panel in PANELS).values()) == 1
    for panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["description"]


def test_panels_lie_within_the_page_and_over_no_other():
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] >= 0
        assert at["x"] + at["w"] <= 24
    for one, other in combinations(DASHBOARD["panels"], 2):
        a, b = one["gridPos"], other["gridPos"]
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, (one["title"], other["title"])


def test_every_metric_of_a_process_in_the_chart_is_on_the_dashboard_or_named_as_left_out():
    """A counter of a way to lose data that nobody looks at is none."""
    asked = {s.name for expression in QUERIES.values() for s in parse_query(expression).selectors}
    left_out = {
        "trapline_connector_connections_total",
        "trapline_connector_files_total",
        "trapline_connector_queue_records",
        "trapline_connector_captured_frames_total",
        "trapline_connector_captured_bytes_total",
        "trapline_connector_uncaptured_frames_total",
        "trapline_connector_spool_records",
        "trapline_connector_spool_segments",
        "trapline_connector_spool_written_bytes_total",
        "trapline_connector_spool_found_records_total",
        "trapline_connector_spool_torn_bytes_total",
        "trapline_status_surveys_total",
    }
    in_the_chart = {
        metric.name
        for metric in metrics()
        if metric.name.startswith(("trapline_connector", "trapline_grouper", "trapline_status"))
    }
    shown = {name.removesuffix("_bucket") for name in asked}
    assert in_the_chart - shown == left_out


@pytest.mark.parametrize(
    ("expression", "selectors", "grouped", "functions"),
    [
        ("up", [("up", set())], set(), set()),
        (
            'sum by (a) (rate(x_total{b="c",d!~"e{f}"}[5m])) > 0.1',
            [("x_total", {"b", "d"})],
            {"a"},
            {"sum", "rate"},
        ),
        (
            "a{} / on (b) group_left (c) max(d) or vector(0)",
            [("a", set()), ("d", set())],
            {"b", "c"},
            {"max", "vector"},
        ),
        ("x < +Inf and time() - y > 1e3", [("x", set()), ("y", set())], set(), {"time"}),
    ],
)
def test_the_tokenizer(expression, selectors, grouped, functions):
    query = parse_query(expression)
    assert list(query.selectors) == [Selector(name, frozenset(labels)) for name, labels in selectors]
    assert (query.grouped, query.functions) == (grouped, functions)


@pytest.mark.parametrize("expression", ["a ~ b", "sum(a", "a{b='c'}"])
def test_what_the_tokenizer_does_not_know_is_an_error(expression):
    with pytest.raises(PromqlError):
        parse_query(expression)
