import shlex

import pytest

from runtime.acls import STANDING, Role, acls
from trapline import cli


@pytest.fixture
def lines(capsys):
    def run(*args):
        assert cli.run(["topics", "acls", *args]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def after(line, option):
    words = shlex.split(line)
    return [words[at + 1] for at, word in enumerate(words) if word == option]


def test_all_roles_but_a_replayer_by_default(lines):
    found = lines("--bootstrap-servers", "kafka:9093", "--topic-prefix", "lwa")
    assert len(found) == sum(len(list(acls(role, "lwa"))) for role in STANDING)
    assert {after(line, "--bootstrap-server")[0] for line in found} == {"kafka:9093"}
    principals = {principal for line in found for principal in after(line, "--allow-principal")}
    assert principals == {f"User:{role}" for role in STANDING}


@pytest.mark.parametrize(
    "how", [["--role", "replayer", "--principal", "User:anna"], ["--replayer-principal", "User:anna"]]
)
def test_a_replayer_where_it_is_asked_for(lines, how):
    found = lines("--topic-prefix", "again", *how)
    assert [after(line, "--operation") for line in found] == [["Write"]] * 3
    assert [after(line, "--topic") for line in found] == [["again.groups"], ["again.catalogue"], []]
    assert after(found[2], "--transactional-id") == ["again.groups-replay"]
    assert {after(line, "--allow-principal")[0] for line in found} == {"User:anna"}


def test_the_bootstrap_servers_of_the_environment(lines, monkeypatch):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", "broker:1")
    assert all(after(line, "--bootstrap-server") == ["broker:1"] for line in lines())


def test_one_role_of_several_principals(lines):
    found = lines("--role", "grouper", "--principal", "User:CN=a,O=b", "--grouper-principal", "User:c")
    assert len(found) == len(list(acls(Role.GROUPER, "aartfaac")))
    for line in found:
        assert after(line, "--allow-principal") == ["User:c", "User:CN=a,O=b"]


def test_the_roles_whose_principals_are_named(lines):
    found = lines("--connector-principal", "User:in", "--auditor-principal", "User:eye")
    assert {after(line, "--allow-principal")[0] for line in found} == {"User:in", "User:eye"}


def test_reader_groups(lines):
    found = lines("--role", "consumer", "--reader-group", "night", "--reader-group", "lab-*")
    groups = [
        (after(line, "--group")[0], after(line, "--resource-pattern-type")[0])
        for line in found
        if "--group" in line
    ]
    assert groups == [("night", "literal"), ("lab-", "prefixed"), ("aartfaac.unnamed", "literal")]


def test_the_groupers_group(lines):
    found = "\n".join(lines("--role", "grouper", "--grouper-group-id", "night"))
    assert "--group night " in found
    assert "--transactional-id aartfaac-night- " in found


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--principal", "User:a"], "--principal needs one --role"),
        (["--role", "grouper", "--role", "auditor", "--principal", "User:a"], "--principal needs one --role"),
        (["--role", "grouper", "--principal", "grouper"], "'grouper' is not TYPE:NAME"),
        (["--reader-group", ""], "a consumer group has a name"),
    ],
)
def test_wrong_usage(args, words, capsys):
    assert cli.run(["topics", "acls", *args]) == 2
    assert words in capsys.readouterr().err
