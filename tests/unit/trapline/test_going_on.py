import importlib
import shlex

import click
import pytest

from consumer.group_range import GroupRange
from consumer.start import AtOffset
from trapline.going_on import tell_how_to_go_on
from trapline.range_options import RANGE_NAMES

KAFKA = ["--bootstrap-servers", "other:9092", "--topic-prefix", "run-7", "--config", "my settings.toml"]
LEFT = GroupRange(AtOffset({0: 7, 1: 9}), limit=3)


def parsed(verb, words):
    return importlib.import_module(f"trapline.commands.{verb}").command.make_context(verb, list(words))


def told(verb, words, left, capsys):
    with parsed(verb, words):
        tell_how_to_go_on(left)
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "words", "left"),
    [
        ("export", [*KAFKA, "--last", "10", "--one-file-per", "image", "--quiet", "a folder"], LEFT),
        ("export", ["--end", "--", "-folder"], LEFT),
        ("replay", [*KAFKA, "--from", "-1h", "--speed", "max", "--to-prefix", "again"], LEFT),
        ("replay", ["--speed", "2.5", "--max-gap", "0.1", "--to-topic", "x", "--to-config", "o.toml"], LEFT),
        ("serve", [*KAFKA, "--port", "0", "--ports-file", "p", "--drop-stalled", "5"], LEFT),
        ("serve", ["--speed", "10x", "--verbatim-only", "--revisions", "all", "--http-port", "0"], LEFT),
        ("serve", ["--no-verbatim-only", "--sources", "sb0", "--log-level", "debug"], LEFT),
        ("regroup", [*KAFKA, "--to-prefix", "t", "--source", "a=tcp://h:1", "--source", "b=tcp://h:2"], None),
    ],
)
def test_what_was_typed_is_typed_again(verb, words, left, capsys):
    said = shlex.split(told(verb, words, left, capsys))
    assert said[:6] == ["trapline:", "to", "go", "on:", "trapline", verb]
    first, again = parsed(verb, words).params, parsed(verb, said[6:]).params
    settings = {name: value for name, value in first.items() if name not in RANGE_NAMES}
    assert {name: again[name] for name in settings} == settings
    if left is not None:
        assert (again["offset"], again["limit"]) == (("0:7", "1:9"), 3)
        assert (again["from_"], again["last"], again["end"], again["sources"]) == (None, None, False, ())


def test_what_was_not_typed_stays_where_it_is(monkeypatch, capsys):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", "elsewhere:9092")
    monkeypatch.setenv("TRAPLINE_SASL_PASSWORD", "hush")
    said = told("export", ["--topic-prefix", "run-7", "folder"], LEFT, capsys)
    options = "--offset 0:7 --offset 1:9 --limit 3 --topic-prefix run-7"
    assert said == f"trapline: to go on: trapline export {options} folder\n"


def test_where_nothing_is_left_no_command_is_told(capsys):
    assert "to go on:" not in told("export", ["folder"], GroupRange(AtOffset({0: 7}), limit=0), capsys)


def test_no_option_of_these_verbs_is_a_secret():
    for verb in ("export", "replay", "serve", "regroup"):
        command = importlib.import_module(f"trapline.commands.{verb}").command
        names = [str(param.name) for param in command.params if isinstance(param, click.Option)]
        assert not [name for name in names if name.endswith(("password", "secret"))]
