"""The table of rights, a line at a time: without it, what needs it fails, and says what is missing."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from connector.service import ConnectorService
from connector.settings import ConnectorSettings
from consumer.errors import AccessError
from consumer.settings import ConsumerSettings
from consumer.stream import GroupStream
from grouper.service import GrouperService
from grouper.settings import GrouperSettings
from runtime.acls import Resource, Role, acls
from runtime.health import Heartbeat
from runtime.shutdown import Shutdown
from schemas.errors import TraplineError
from tests.integration.grouper.test_grouping import set_topic
from tests.support import rights
from tests.support.groups_reader import read_entries
from tests.support.raw_topic import RawTopic, at
from tests.support.secured_roles import environment, lines_of_table
from tests.support.waiting import timeout_s, wait_until
from trapline import cli

WAY = "scram"


class Stage:
    """The processes of one prefix, each with its own login."""

    def __init__(self, roles, prefix):
        self.roles = roles
        self.prefix = prefix
        self.raw = RawTopic(roles.kafka.bootstrap_servers, prefix, sources=("sb0",))
        self._second = 0

    def settings(self, cls, role, **more):
        login = self.roles.settings(role, WAY)
        return cls(topic_prefix=self.prefix, sources="sb0=tcp://127.0.0.1:1", **login, **more)

    def send(self):
        """A window that the grouper makes a group of."""
        self.raw.send(at(self._second))
        self._second += 1

    @contextlib.contextmanager
    def running(self, role):
        """The service on a thread; yields the list of what it failed with."""
        if role is Role.CONNECTOR:
            service = ConnectorService(self.settings(ConnectorSettings, role))
        else:
            service = GrouperService(self.settings(GrouperSettings, role, commit_interval_s=0.2), Heartbeat())
        shutdown, errors = Shutdown(), []

        def run():
            try:
                service.run(shutdown)
            except TraplineError as error:
                errors.append(error)

        thread = threading.Thread(target=run, name=role.value)
        thread.start()
        try:
            yield errors
        finally:
            shutdown.request()
            thread.join(timeout_s(60))
            assert not thread.is_alive()

    def groups(self):
        return len(read_entries(self.roles.kafka.bootstrap_servers, f"{self.prefix}.catalogue"))

    def read(self, **how):
        settings = self.settings(ConsumerSettings, Role.CONSUMER)
        with GroupStream(settings, max_groups=1, idle_timeout_s=timeout_s(20), **how) as stream:
            return list(stream)


@pytest.fixture(scope="module")
def stage(roles, make_topics):
    prefix = make_topics("rights")
    roles.grant(prefix, WAY)
    stage = Stage(roles, prefix)
    stage.raw.create()
    stage.send()
    with stage.running(Role.GROUPER) as errors:
        wait_until(lambda: errors or stage.groups() == 1, "a group", timeout=90)
    assert errors == []
    yield stage
    stage.raw.close()


@pytest.fixture
def verify(stage, capsys, monkeypatch):
    """Runs `trapline verify`; gives its status and all that it says."""
    for name, value in environment(stage.roles.settings(Role.AUDITOR, WAY)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRAPLINE_TOPIC_PREFIX", stage.prefix)

    def run():
        status = cli.run(["verify", "--log-level", "error"])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def cases(*roles):
    return [
        pytest.param(role, number, operation, id=f"{role}-{acl.resource}-{acl.name}-{operation}")
        for role, number, operation in lines_of_table()
        for acl in [list(acls(role, "x"))[number]]
        if role in roles
    ]


KINDS = {
    Resource.TOPIC: "topic",
    Resource.GROUP: "consumer group",
    Resource.TRANSACTIONAL_ID: "transactional id",
}


@contextlib.contextmanager
def without(stage, role, number, operation):
    """Yields the ACL that is gone, and a pattern of what the error says of it."""
    acl = list(acls(role, stage.prefix))[number]
    binding = stage.roles.rights(stage.prefix, WAY)[role, acl, operation]
    right, name = operation.value.upper(), re.escape(acl.name)
    pattern = rf"lacks the right {right} on {KINDS[acl.resource]} {name}"
    if acl.resource is Resource.TOPIC:
        # Where the first question is refused already, nobody knows yet what for it was asked.
        pattern += rf"|{name}: this user may not use the topic .*{role}: (?:READ and )?{right}\b"
    with rights.without(stage.roles.admin, {binding}):
        yield acl, pattern


@pytest.mark.parametrize(("role", "number", "operation"), cases(Role.CONNECTOR, Role.GROUPER))
def test_a_service_without_a_right(stage, role, number, operation):
    stage.send()
    with without(stage, role, number, operation) as (_acl, pattern), stage.running(role) as errors:
        wait_until(lambda: errors, "the service to fail", timeout=60)
    assert re.search(pattern, str(errors[0])), errors[0]


@pytest.mark.parametrize(("role", "number", "operation"), cases(Role.CONSUMER))
def test_a_reader_without_a_right(stage, role, number, operation):
    member = {"group_id": f"{stage.prefix}.trap-{number}"}
    # Name of the resource: what needs it, and what does not.
    ways = {
        f"{stage.prefix}.groups": ({"start": "beginning"}, None),
        f"{stage.prefix}.catalogue": ({"start": "last:1"}, {"start": "beginning"}),
        f"{stage.prefix}.trap": (member, {"start": "last:1"}),
        f"{stage.prefix}.unnamed": ({"start": "beginning"}, member),
    }
    with without(stage, role, number, operation) as (acl, pattern):
        needs, does_without = ways[acl.name]
        with pytest.raises(AccessError, match=pattern):
            stage.read(**needs)
        assert does_without is None or len(stage.read(**does_without)) == 1


@pytest.mark.parametrize(("role", "number", "operation"), cases(Role.AUDITOR))
def test_the_auditor_without_a_right(stage, verify, role, number, operation):
    with without(stage, role, number, operation) as (_acl, pattern):
        status, text = verify()
    assert status == 1
    assert re.search(pattern, text), text


@pytest.mark.parametrize(("role", "number", "operation"), cases(Role.AUDITOR))
def test_the_auditor_beside_a_live_system_ends_without_a_right(stage, role, number, operation):
    own = environment(stage.roles.settings(role, WAY) | {"topic_prefix": stage.prefix, "log_level": "error"})
    with without(stage, role, number, operation) as (_acl, pattern):
        done = subprocess.run(
            [sys.executable, "-m", "trapline", "verify", "--follow"],
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            timeout=timeout_s(60),
            check=False,
        )
    assert done.returncode == 1
    assert re.search(pattern, done.stderr), done.stderr


def test_a_grouper_that_may_not_read_settings_names_topic_and_setting_at_the_first_refusal(
    roles, make_topics, monkeypatch
):
    told = []
    # Whether a line at level info is written depends on what another test of the process has configured.
    log = SimpleNamespace(info=lambda _event, topic, **_more: told.append(topic))
    monkeypatch.setattr("runtime.written_topics.log", log)
    stage = Stage(roles, make_topics("unseen-settings"))
    roles.grant(stage.prefix, WAY)
    groups = stage.raw.names.groups
    set_topic(roles.kafka, groups, "max.message.bytes", "5000")
    stage.raw.create()
    stage.raw.send(at(0), shape=(64, 64))
    with stage.running(Role.GROUPER) as errors:
        wait_until(lambda: errors, "the service to fail", timeout=60)
    stage.raw.close()
    text = rf"{re.escape(groups)} refuses a record .* needs max\.message\.bytes=68157440: "
    assert re.search(text, str(errors[0])), errors[0]
    assert told == list(stage.raw.names.all()[1:])


def test_with_all_rights_the_same_things_work(stage, verify):
    """What failed above goes on once the right is there: nothing was lost meanwhile."""
    sent = len(stage.raw.sent)
    with stage.running(Role.CONNECTOR) as of_connector, stage.running(Role.GROUPER) as of_grouper:
        wait_until(lambda: of_grouper or stage.groups() == sent, f"{sent} groups", timeout=90)
    assert of_connector + of_grouper == []
    for how in ({"start": "beginning"}, {"start": "last:1"}, {"group_id": f"{stage.prefix}.trap-all"}):
        assert len(stage.read(**how)) == 1
    status, text = verify()
    assert status == 0, text
