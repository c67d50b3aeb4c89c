"""Who replays is a consumer of what is read and a replayer of what is written: enough, and each is needed."""

import pytest

from consumer.settings import ConsumerSettings
from runtime.acls import Resource, Role, acls
from tests.support import rights
from tests.support.group_topics import settle
from tests.support.groups_reader import read_groups
from tests.support.published_groups import GroupPublisher
from tests.support.secured_roles import environment, principal
from trapline import cli

WAY = "scram"
READ, WRITTEN = "replay-from", "replay-to"
# As a consumer it joins no consumer group.
RIGHTS = {
    acl.name: acl
    for acl in (*acls(Role.CONSUMER, READ), *acls(Role.REPLAYER, WRITTEN))
    if acl.resource is not Resource.GROUP or acl.name == f"{READ}.unnamed"
}


def binding(name):
    (operation,) = RIGHTS[name].operations
    return rights.binding(RIGHTS[name], operation, principal(Role.REPLAYER, WAY))


@pytest.fixture(scope="module")
def kafka_servers(roles, make_topics):
    """Two groups to be replayed, and a user who may."""
    make_topics(READ)
    make_topics(WRITTEN)
    rights.grant(roles.admin, {binding(name) for name in RIGHTS})
    settings = ConsumerSettings(bootstrap_servers=roles.kafka.bootstrap_servers, topic_prefix=READ)
    GroupPublisher(settings).run(2)
    settle(settings)
    return roles.kafka.bootstrap_servers


@pytest.fixture
def replay(roles, monkeypatch, capsys):
    """Runs it as this user; gives its status and the last line that it says."""
    for name, value in environment(roles.settings(Role.REPLAYER, WAY)).items():
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
