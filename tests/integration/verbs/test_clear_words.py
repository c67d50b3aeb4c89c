"""Every verb that reads, where there is nothing to read: a clear word, a documented status, no traceback."""

import os

import pytest

from tests.support.group_topics import make_topic, make_topics
from tests.support.reading_verbs import READING_VERBS
from trapline import cli
from trapline.embedded.ports import HOST, free_port

VERBS = pytest.mark.parametrize("verb", READING_VERBS.values(), ids=READING_VERBS)


@pytest.fixture
def prefix(topic_prefix, monkeypatch):
    """Nothing of the machine's own settings counts."""
    for name in [name for name in os.environ if name.startswith("TRAPLINE_") and "_TEST_" not in name]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFIX", topic_prefix)
    return topic_prefix


@pytest.fixture
def ended(prefix, tmp_path, capsys, monkeypatch):
    """Runs a verb's arguments; gives status, stdout and stderr."""

    def run(verb, args) -> tuple[int, str, str]:
        monkeypatch.setenv("TRAPLINE_EXPECTED", "auto")  # no source has to be named
        names = {"folder": tmp_path / "out", "to": f"{prefix}.again", "copy": f"{prefix}-copy"}
        status = cli.run(verb.filled(args, **names))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return run


@VERBS
def test_topics_without_a_record(verb, kafka, prefix, ended, monkeypatch):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    settings = make_topics(kafka.bootstrap_servers, prefix)
    if verb.needs_prefix:
        make_topics(kafka.bootstrap_servers, f"{prefix}.again")
    if verb.needs_topic:
        make_topic(settings, f"{prefix}-copy")
    status, out, err = ended(verb, verb.args)
    wanted, words = verb.empty
    assert status == wanted, err
    assert words in out + err
    if status:
        assert words in err.splitlines()[-1]


@VERBS
def test_topics_that_are_not_there(verb, kafka, ended, monkeypatch):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    status, out, err = ended(verb, verb.args)
    assert status == 1
    assert verb.missing in (err.splitlines() or out.splitlines())[-1] or verb.missing in out
    assert "`trapline topics create" in out + err


@VERBS
def test_a_time_that_is_none_or_another_wrong_option(verb, ended, monkeypatch):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", f"{HOST}:{free_port()}")  # never asked
    status, out, err = ended(verb, verb.wrong_args)
    assert (status, out) == (2, "")
    assert verb.wrong in err


@VERBS
def test_nobody_at_the_address(verb, ended, monkeypatch):
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", f"{HOST}:{free_port()}")
    monkeypatch.setenv("TRAPLINE_BROKER_WAIT_S", "1")
    status, out, err = ended(verb, verb.args)
    assert status == 1
    assert "Kafka does not answer" in out + err
    assert "TRAPLINE_BOOTSTRAP_SERVERS" in out + err
