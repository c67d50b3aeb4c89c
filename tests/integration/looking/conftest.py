"""Topics of a test's own, and the verbs that look at them."""

import json

import pytest

from tests.support.group_topics import make_topics
from tests.support.published_groups import GroupPublisher
from trapline import cli


@pytest.fixture
def partitions():
    """Of each topic; a test that wants another number is parametrized with it."""
    return 1


@pytest.fixture
def settings(kafka, topic_prefix, partitions, monkeypatch):
    """A reader's settings; the topics are there, and the environment names them."""
    monkeypatch.setenv("TRAPLINE_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFIX", topic_prefix)
    return make_topics(kafka.bootstrap_servers, topic_prefix, partitions)


@pytest.fixture
def publisher(settings):
    """Writes groups into these topics."""
    return GroupPublisher(settings)


@pytest.fixture
def verb(capsys):
    """Runs a verb; gives stdout where it ended well, else the last line of stderr."""

    def run(*args, status=0):
        capsys.readouterr()
        assert cli.run(args) == status
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return captured.out if status == 0 else captured.err.splitlines()[-1]

    return run


@pytest.fixture
def verb_json(verb):
    """The same with --json, parsed."""
    return lambda *args: json.loads(verb(*args, "--json"))
