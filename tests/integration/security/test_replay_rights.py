"""What who replays needs besides the rights of a consumer, as docs/security.md says it: no less, no more."""

import pytest

from consumer.settings import ConsumerSettings
from runtime.acls import Acl, Match, Operation, Resource, Role
from tests.support import rights
from tests.support.group_topics import settle
from tests.support.groups_reader import read_groups
from tests.support.published_groups import GroupPublisher
from tests.support.secured_roles import environment, principal
from trapline import cli

WAY = "scram"
READ, WRITTEN = "replay-from", "replay-to"
RIGHTS = {
    f"{WRITTEN}.groups": Resource.TOPIC,
    f"{WRITTEN}.catalogue": Resource.TOPIC,
    f"{WRITTEN}.groups-replay": Resource.TRANSACTIONAL_ID,
}


def binding(name):
    acl = Acl(RIGHTS[name], name, Match.LITERAL, (Operation.WRITE,))
    return rights.binding(acl, Operation.WRITE, principal(Role.CONSUMER, WAY))


@pytest.fixture(scope="module")
def kafka_servers(roles, make_topics):
    """Two groups to be replayed, and a consumer who may."""
    make_topics(READ)
    make_topics(WRITTEN)
    roles.grant(READ, WAY)
    rights.grant(roles.admin, {binding(name) for name in RIGHTS})
    settings = ConsumerSettings(bootstrap_servers=roles.kafka.bootstrap_servers, topic_prefix=READ)
    GroupPublisher(settings).run(2)
    settle(settings)
    return roles.kafka.bootstrap_servers


@pytest.fixture
def replay(roles, monkeypatch, capsys):
    """Runs it as this consumer; gives its status and the last line that it says."""
    for name, value in environment(roles.settings(Role.CONSUMER, WAY)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFIX", READ)

    def run():
        capsys.readouterr()
        status = cli.run(["replay", "--speed", "max", "--to-prefix", WRITTEN, "--broker-wait-s", "10"])
        err = capsys.readouterr().err
        assert "Traceback" not in err
        return status, err.splitlines()[-1]

    return run


@pytest.mark.parametrize("name", RIGHTS)
def test_a_replay_without_a_right(roles, kafka_servers, replay, name):
    with rights.without(roles.admin, {binding(name)}):
        status, said = replay()
    assert status == 1
    assert "this user" in said
    assert "grant it" in said
    assert name in said
    assert read_groups(kafka_servers, f"{WRITTEN}.groups") == []


def test_a_replay_with_these_rights(kafka_servers, replay):
    status, said = replay()
    assert status == 0, said
    assert len(read_groups(kafka_servers, f"{WRITTEN}.groups")) == 2
