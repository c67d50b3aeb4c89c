import errno
import importlib
import importlib.metadata
import subprocess
import sys

import click
import pytest
from confluent_kafka import KafkaError, KafkaException

import trapline
from runtime.errors import SettingProblem, SettingsError
from schemas.errors import TraplineError
from trapline import cli

HEAVY = ("astropy", "confluent_kafka", "numpy", "pydantic", "prometheus_client", "structlog")


def run(*args):
    return subprocess.run(
        [sys.executable, "-m", "trapline", *args], capture_output=True, text=True, timeout=60, check=False
    )


def test_help_lists_the_verbs_and_the_exit_statuses():
    done = run("--help")
    assert done.returncode == 0
    for verb in cli.VERBS:
        assert f"\n  {verb} " in done.stdout
    assert "Examples:\n  trapline demo\n" in done.stdout
    assert "Exit status:" in done.stdout


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from trapline import cli; cli.run(['--help']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_version():
    done = run("--version")
    assert done.stdout == f"trapline {trapline.__version__}\n"
    assert importlib.metadata.version("trapline") == trapline.__version__


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_is_there_and_has_examples(verb, capsys):
    assert cli.run([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert "Examples:\n" in out
    assert f"  trapline {verb}" in out
    assert importlib.import_module(f"trapline.commands.{verb}").command.name == verb


@pytest.mark.parametrize(
    ("group", "verb"),
    [("topics", "create"), ("topics", "check"), ("topics", "acls"), ("rejects", "list"), ("rejects", "show")],
)
def test_verbs_of_verbs_have_examples(group, verb, capsys):
    assert cli.run([group, verb, "--help"]) == 0
    assert f"Examples:\n  trapline {group} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["topics", "check", "--no-such"], "No such option"),
        (["topics", "check", "--partitions", "x", "--topic-prefix", "a b"], "2 settings are wrong"),
        (["topics", "check", "--config", "gone.toml"], "gone.toml: can't be read"),
        (["demo", "--size", "abc"], "--size: 'abc' is no image size"),
        (["demo", "--sources", "9999"], "--sources: "),
        (["broker", "--nodes", "2"], "--nodes: is neither 1 nor 3"),
    ],
)
def test_wrong_usage_ends_with_2(args, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.run(args) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith(("trapline: error: ", "  "))
    assert list(tmp_path.iterdir()) == []  # nothing was begun
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.fixture
def verb(monkeypatch):
    """A verb that raises or returns what it is given."""

    def install(behaviour):
        @click.command("topics")
        def command():
            return behaviour()

        monkeypatch.setattr(importlib.import_module("trapline.commands.topics"), "command", command)

    return install


def raising(error):
    def behaviour():
        raise error

    return behaviour


@pytest.mark.parametrize(
    ("behaviour", "status", "err"),
    [
        (lambda: None, 0, ""),
        (lambda: 3, 3, ""),
        (raising(TraplineError("no topic; make it")), 1, "trapline: error: no topic; make it\n"),
        (
            raising(SettingsError([SettingProblem("TRAPLINE_X", "no such setting")])),
            2,
            "trapline: error: wrong setting: TRAPLINE_X: no such setting\n",
        ),
        (raising(KeyboardInterrupt()), 130, "\n"),  # the next prompt begins a line
        (raising(click.Abort()), 130, ""),
    ],
)
def test_what_goes_wrong_becomes_one_line_and_a_status(verb, behaviour, status, err, capsys):
    verb(behaviour)
    assert cli.run(["topics"]) == status
    assert capsys.readouterr().err == err


def test_kafka_s_errors_are_put_in_words(verb, capsys):
    verb(raising(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))))
    assert cli.run(["topics"]) == 1
    assert "trapline: error: this user may not use the topic" in capsys.readouterr().err


def test_other_errors_are_not_hidden(verb):
    verb(raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.run(["topics"])


def test_a_reader_that_went_away_is_no_error():
    # `head` closes the pipe after its first line, while we are still writing.
    code = (
        "import click, sys; from trapline import cli\n"
        "import trapline.commands.topics as verb\n"
        "@click.command()\n"
        "def command():\n"
        "    for _ in range(100000): click.echo('x' * 100)\n"
        "verb.command = command\n"
        "sys.exit(cli.run(['topics']))\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    with writer:
        writer.stdout.readline()
        writer.stdout.close()
        assert writer.wait(60) == 0
        assert writer.stderr.read() == ""


def test_a_connection_that_broke_is_not_taken_for_that(verb):
    verb(raising(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    with pytest.raises(RuntimeError, match="a connection broke"):
        cli.run(["topics"])


def test_public_names():
    assert set(trapline.__all__) <= set(dir(trapline))
    for name in trapline.__all__:
        assert getattr(trapline, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = trapline.nothing


def test_a_file_that_cannot_be_written_is_one_line():
    error = cli._from_system(PermissionError(13, "Permission denied", "/proc/x.fits"))
    assert str(error).startswith("/proc/x.fits: Permission denied")


def test_a_full_disk_behind_the_output_is_one_line():
    with open("/dev/full", "w") as full:  # noqa: PTH123  a device
        ended = subprocess.run(
            [sys.executable, "-m", "trapline", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == "trapline: error: the output can't be written: No space left on device\n"


OF_STREAMS = ("--on-gap", "--merge-wait-s", "--reader-session-timeout-s", "--reader-max-poll-interval-s")
READ_AHEAD = ("--read-ahead-groups", "--read-ahead-bytes")


@pytest.mark.parametrize(
    ("verb", "without"),
    [
        ("export", OF_STREAMS[2:]),
        ("replay", (*OF_STREAMS, "--end")),
        ("serve", OF_STREAMS),
        ("show", (*OF_STREAMS, *READ_AHEAD)),
        ("stats", (*OF_STREAMS, *READ_AHEAD)),
        ("status", (*OF_STREAMS, *READ_AHEAD)),
        ("tail", ()),
    ],
)
def test_a_verb_offers_no_option_that_it_does_not_look_at(verb, without, capsys):
    assert cli.run([verb, "--help"]) == 0
    words = capsys.readouterr().out.split()
    offered = {option for option in (*OF_STREAMS, *READ_AHEAD, "--end") if option in words}
    assert offered.isdisjoint(without)
    assert "--broker-wait-s" in words
