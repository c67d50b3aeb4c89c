"""`trapline doctor` and `trapline status` as users who may not do everything."""

import json

import pytest

from runtime.acls import Role
from tests.support import rights
from tests.support.secured_roles import environment
from trapline import cli

WAY = "scram"


@pytest.fixture
def run_as(roles, make_topics, topic_prefix, monkeypatch, capsys):
    """Runs a verb with a role's login and least rights; gives what it says as JSON."""
    make_topics(topic_prefix)
    table = roles.rights(topic_prefix, WAY)
    rights.grant(roles.admin, set(table.values()))

    def run(role, *args, status=0):
        with monkeypatch.context() as patch:
            for name, value in environment(roles.settings(role, WAY)).items():
                patch.setenv(name, value)
            patch.setenv("TRAPLINE_TOPIC_PREFIX", topic_prefix)
            assert cli.run([*args, "--json"]) == status
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return json.loads(captured.out)

    yield run
    rights.revoke(roles.admin, set(table.values()))


def check(report, name):
    (found,) = (each for each in report["checks"] if each["check"] == name)
    return found


@pytest.mark.parametrize("role", list(Role))
def test_each_role_is_told_from_its_rights(run_as, role):
    found = check(run_as(role, "doctor", "--role", role.value), "rights")
    assert found["verdict"] == "ok"
    assert f"suffices for: {role.value}" in found["found"]


def test_what_a_role_lacks_is_named(run_as, topic_prefix):
    report = run_as(Role.CONSUMER, "doctor", "--role", "grouper", status=1)
    texts = [problem["text"] for problem in check(report, "rights")["problems"]]
    assert f"as grouper this user lacks READ on topic {topic_prefix}.raw" in texts
    assert f"as grouper this user lacks READ on group {topic_prefix}.grouper" in texts
    assert not any(f"READ on topic {topic_prefix}.groups" in text for text in texts)
    # What may not be looked at is no failure.
    assert check(report, "topics")["verdict"] == "not done"
    assert "DESCRIBE_CONFIGS" in check(report, "topics")["found"]


def test_a_probe_without_the_right_to_make_topics(run_as):
    probe = check(run_as(Role.AUDITOR, "doctor", "--probe", status=1), "probe")
    assert "the probe's own topics can't be made" in probe["problems"][0]["text"]
    assert "may create topics" in probe["problems"][0]["todo"]


def test_status_leaves_out_what_may_not_be_seen_and_says_so(run_as, topic_prefix):
    report = run_as(Role.CONSUMER, "status")
    assert any(f"{topic_prefix}.raw" in problem for problem in report["problems"])
    assert run_as(Role.AUDITOR, "status")["groups"] == 0
