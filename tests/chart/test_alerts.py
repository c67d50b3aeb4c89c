"""The alerts: rules that Prometheus takes, and their own tests, run by Prometheus' own tool.

As the chart renders them, for two connectors, with what stands in place of their placeholders where nobody
says otherwise.
"""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.chart import MINIMAL, variant_file, variant_values
from tests.support.rendered import objects_of, template, tool

TESTS = sorted(Path(__file__).parent.glob("*_test.yaml"))


def rendered_rules(*options):
    """The rules that the chart renders, with these options besides."""
    done = template(
        f"--values={variant_file(MINIMAL)}",
        "--set=prometheusRule.enabled=true,connector.redundant=true",
        *options,
    )
    assert done.returncode == 0, done.stderr
    (rule,) = (each for each in yaml.safe_load_all(done.stdout) if each and each["kind"] == "PrometheusRule")
    return rule["spec"]


@pytest.fixture
def rules(tmp_path):
    """The rendered rules, as a rule file."""
    file = tmp_path / "alerts.yaml"
    file.write_text(yaml.safe_dump(rendered_rules()))
    return file


def names(spec):
    return [each["alert"] for group in spec["groups"] for each in group["rules"]]


def test_without_the_status_pod_nobody_is_missed_who_could_know_the_lag():
    with_it, without = names(rendered_rules()), names(rendered_rules("--set=status.enabled=false"))
    assert "TraplineLagUnknown" in with_it
    assert without == [name for name in with_it if name != "TraplineLagUnknown"]


def test_the_rules_know_how_many_connectors_there_should_be():
    for options, pods in (((), 2), (("--set=connector.shares=2",), 4)):
        (group, *_) = rendered_rules(*options)["groups"]
        (rule,) = (each for each in group["rules"] if each["alert"] == "TraplineConnectorMissing")
        assert rule["expr"].rstrip().endswith(f" < {pods}")
        assert f"of {pods} connectors" in rule["annotations"]["description"]


def test_thresholds_are_those_of_the_values():
    (rule,) = (each for each in objects_of("everything-on") if each["kind"] == "PrometheusRule")
    text = yaml.safe_dump(rule["spec"])
    assert "@" not in text
    values = variant_values("everything-on")["prometheusRule"]
    expressions = {each["alert"]: each["expr"] for group in rule["spec"]["groups"] for each in group["rules"]}
    for alert, key in (
        ("TraplineSourceSilent", "sourceSilentSeconds"),
        ("TraplineCompletenessLow", "completenessTarget"),
        ("TraplineLatencyHigh", "latencyP99Seconds"),
        ("TraplineRetentionNear", "retentionLeftSeconds"),
    ):
        assert str(values[key]) in expressions[alert]


def promtool(*arguments):
    return subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, check=False)


def test_no_placeholder_is_left(rules):
    assert "@" not in rules.read_text()


def test_prometheus_takes_the_rules(rules):
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", str(rules))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_a_wrong_rule_would_be_seen(rules):
    """The check of the check."""
    rules.write_text(rules.read_text().replace("absent(", "absnt(", 1))
    assert promtool("check", "rules", str(rules)).returncode != 0


def test_there_are_tests_of_the_rules():
    assert TESTS


@pytest.mark.parametrize("tests", TESTS, ids=lambda path: path.name)
def test_the_rules_fire_when_they_should(tests, rules, tmp_path):
    suite = yaml.safe_load(tests.read_text())
    suite["rule_files"] = [str(rules)]
    file = tmp_path / tests.name
    file.write_text(yaml.safe_dump(suite))
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
