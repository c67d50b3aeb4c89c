"""The alerts: rules that Prometheus takes, and their own tests, run by Prometheus' own tool.

As the chart renders them, with what stands in place of their placeholders where nobody says otherwise.
"""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.rendered import objects_of, tool

TESTS = sorted(Path(__file__).parent.glob("*_test.yaml"))


@pytest.fixture
def rules(tmp_path):
    """The rendered rules, as a rule file."""
    (rule,) = (each for each in objects_of("everything-on") if each["kind"] == "PrometheusRule")
    file = tmp_path / "alerts.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    return file


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
