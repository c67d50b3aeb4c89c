"""The whole main job where nothing is allowed that is not granted, and what it must not show."""

import contextlib
import http.client
import json
import os
import subprocess
import sys

import psutil
import pytest

from runtime.acls import Role
from tests.support import secured_roles
from tests.support.secured_roles import environment
from tests.support.waiting import timeout_s, wait_until
from trapline.demo.processes import Stages

COUNT = 4
HTTP = ("--http-port=0",)


class Secured:
    """The processes of one prefix; each logs in as its role, and logs all it can."""

    def __init__(self, stages, folder, logins):
        self.stages = stages
        self.folder = folder
        self.logins = logins
        self.seen = []  # argv and answers over HTTP
        self.started = []

    def start(self, role, verb, *args, read=False):
        self.stages.tell(**self.logins(role))
        stage = self.stages.start(verb, *args, read=read)
        self.seen.append(psutil.Process(stage.pid).cmdline())
        self.started.append(stage)
        return stage

    def http_port(self, stage):
        """Where it says that it serves health and metrics."""

        def told():
            lines = (
                json.loads(line)
                for line in stage.log.read_text().splitlines(keepends=True)
                if line[-1] == "\n"
            )
            return next((line["port"] for line in lines if "metrics are served" in line["event"]), None)

        return wait_until(told, f"{stage.verb} to serve metrics", timeout=60)

    def look(self, stage):
        """At all that it shows of itself while it runs."""
        port = self.http_port(stage)
        listening = {
            (each.laddr.ip, each.laddr.port)
            for each in psutil.Process(stage.pid).net_connections("inet")
            if each.status == psutil.CONN_LISTEN
        }
        assert listening == {("127.0.0.1", port)}
        for path in ("metrics", "readyz", "livez"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s(10))
            with contextlib.closing(connection):
                connection.request("GET", f"/{path}")
                self.seen.append([connection.getresponse().read().decode()])
        self.seen.append(psutil.Process(stage.pid).cmdline())

    def shown(self):
        """All texts that anybody but the process can see."""
        texts = [word for words in self.seen for word in words]
        return texts + [log.read_text() for log in self.folder.glob("*.log")]


@pytest.fixture(params=["scram", "mtls"])
def way(request):
    return request.param


@pytest.fixture
def prefix(roles, make_topics, way, topic_prefix):
    """Of topics on which the roles have their rights."""
    make_topics(topic_prefix)
    roles.grant(topic_prefix, way)
    return topic_prefix


@pytest.fixture(params=["file", "environment"])
def secured(request, roles, way, prefix, tmp_path):
    with Stages(tmp_path) as stages:
        stages.tell(topic_prefix=prefix, log_format="json", log_level="debug")
        yield Secured(stages, tmp_path, lambda role: roles.settings(role, way, request.param))


def test_all_roles_with_the_rights_of_the_table_and_no_secret_in_sight(secured, prefix):
    ports, truth = secured.folder / "ports", secured.folder / "truth.jsonl"
    secured.stages.start(
        *("emulator", "--port=0", "--wait-for-clients=1", f"--ports-file={ports}", f"--truth={truth}"),
        *(
            "--sources=3",
            "--size=32",
            "--rate=2",
            f"--frames={COUNT}",
            "--misbehave=garbage:every=2:source=sb1",
        ),
    )
    secured.stages.tell(sources=secured.stages.wait_for_file(ports, timeout_s(60)))
    grouper = secured.start(Role.GROUPER, "grouper", *HTTP)
    connector = secured.start(Role.CONNECTOR, "connector", *HTTP)
    tail = secured.start(Role.CONSUMER, "tail", "--from-beginning", "--json", f"--limit={COUNT}", read=True)
    member = secured.start(
        Role.CONSUMER, "tail", f"--group-id={prefix}.trap", "--json", f"--limit={COUNT}", read=True
    )
    for reader in (tail, member):
        groups = [json.loads(reader.lines.readline()) for _ in range(COUNT)]
        assert reader.wait(timeout_s(60)) == 0
        assert all(group["complete"] for group in groups)
    for stage in (grouper, connector):
        secured.look(stage)
    latest = secured.start(Role.CONSUMER, "tail", "--last=2", "--json", "--limit=2")
    assert latest.wait(timeout_s(60)) == 0
    for stage in (connector, grouper):
        stage.stop()
        assert stage.wait(0) == 0
    auditor = secured.start(Role.AUDITOR, "verify", "--json", *HTTP, read=True)
    assert auditor.wait(timeout_s(90)) == 0, auditor.lines.read()
    report = json.loads(auditor.lines.read().splitlines()[-1])
    assert report["finished"]
    assert report["findings"] == {}
    listed = secured.start(Role.AUDITOR, "rejects", "list", "--json", read=True)
    assert listed.wait(timeout_s(60)) == 0
    rejects = [json.loads(line) for line in listed.lines]
    assert rejects
    assert {reject["source"] for reject in rejects} == {"sb1"}
    assert_no_secret(secured.shown(), secured_roles.secrets())


def assert_no_secret(texts, secrets):
    for secret in secrets:
        for text in texts:
            assert secret not in text, f"{secret[:3]}... is shown in: {text[:300]}"


WRONG = "horn antena 5c0d"


@pytest.mark.parametrize(
    ("verb", "keeping"),
    [("connector", "file"), ("grouper", "environment"), ("tail", "file"), ("verify", "environment")],
)
def test_a_wrong_secret_is_not_part_of_the_error(roles, way, verb, keeping, tmp_path):
    settings = roles.settings(Role.GROUPER, way, "environment")
    secret = "sasl_password" if way == "scram" else "ssl_key_password"
    del settings[secret]
    if keeping == "file":
        (tmp_path / "wrong").write_text(WRONG)
        settings[f"{secret}_file"] = str(tmp_path / "wrong")
    else:
        settings[secret] = WRONG
    settings |= {"log_level": "debug", "sources": "sb0=tcp://127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-m", "trapline", verb],
        env={**os.environ, **environment(settings)},
        capture_output=True,
        text=True,
        timeout=timeout_s(60),
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("trapline: error: ")
    assert ("login to Kafka failed" if way == "scram" else "TRAPLINE_SSL_KEY_PASSWORD") in last
    assert_no_secret([done.stdout, done.stderr], [WRONG, *secured_roles.secrets()])
