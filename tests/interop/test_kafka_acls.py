"""Kafka's own kafka-acls.sh takes every line that `trapline topics acls` prints, and grants what is meant."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from runtime.acls import STANDING, Role, acls
from runtime.kafka import admin_client
from runtime.settings import TraplineSettings
from tests.interop.locked_jars import locked_jars
from tests.support import rights
from tests.support.secured_kafka import secured_kafka
from tests.support.waiting import timeout_s, wait_until
from trapline.embedded.jvm import Jvm

pytestmark = pytest.mark.interop

LOCK = Path(__file__).with_name("kafka-acls.lock")
ADMINISTRATOR = "User:telescope"
LOGIN = """\
security.protocol=SASL_PLAINTEXT
sasl.mechanism=PLAIN
sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  username="telescope" password="horn antenna";
"""
OF_THE_CLUSTER = {
    AclBinding(
        ResourceType.BROKER,
        "kafka-cluster",
        ResourcePatternType.LITERAL,
        ADMINISTRATOR,
        "*",
        operation,
        AclPermissionType.ALLOW,
    )
    for operation in (AclOperation.ALTER, AclOperation.DESCRIBE)
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A broker that refuses what is not granted; nobody has rights yet."""
    with secured_kafka(tmp_path_factory.mktemp("acls"), authorizer=True) as kafka:
        yield kafka


@pytest.fixture
def admin(secured):
    """The administrator, who leaves no rights behind."""
    client = admin_client(TraplineSettings(bootstrap_servers=secured.bootstrap_servers))
    yield client
    rights.revoke(client, rights.granted(client))


@pytest.fixture(scope="module")
def path_with_kafka_acls(tmp_path_factory):
    """A folder for PATH with kafka-acls.sh, as Kafka's own script starts it."""
    folder = tmp_path_factory.mktemp("bin")
    java = Jvm.find(()).java
    classpath = ":".join(map(str, locked_jars(LOCK)))
    script = folder / "kafka-acls.sh"
    script.write_text(
        "#!/bin/sh\n"
        f"exec '{java}' -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp '{classpath}' "
        'org.apache.kafka.tools.AclCommand "$@"\n'
    )
    script.chmod(0o755)
    return folder


def printed(*options):
    """The lines of `trapline topics acls`."""
    ended = subprocess.run(
        [sys.executable, "-m", "trapline", "topics", "acls", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s(60),
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def run_line(line, path):
    """What a shell does with the line; the tool says on standard output what it added."""
    ended = subprocess.run(
        ["sh", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        timeout=timeout_s(60),
    )
    assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
    assert "Adding ACLs for resource" in ended.stdout, f"{line}\n{ended.stdout}{ended.stderr}"


def meant(role, principals, prefix, **names):
    return {
        rights.binding(acl, operation, principal)
        for principal in principals
        for acl in acls(role, prefix, **names)
        for operation in acl.operations
    }


def assert_granted(admin, wanted):
    wait_until(
        lambda: rights.granted(admin) == wanted,
        lambda: f"missing {wanted - rights.granted(admin)}, too many {rights.granted(admin) - wanted}",
    )


def test_every_line_grants_what_the_table_says_and_nothing_else(secured, admin, path_with_kafka_acls):
    lines = printed("--bootstrap-servers", secured.bootstrap_servers, "--topic-prefix", "lwa")
    assert len(lines) == sum(1 for role in STANDING for _ in acls(role, "lwa"))
    for line in lines:
        run_line(line, path_with_kafka_acls)
    of_system = set().union(*(meant(role, [f"User:{role}"], "lwa") for role in STANDING))
    assert_granted(admin, of_system)
    of_replayer = ("--topic-prefix", "again", "--role", "replayer")
    for line in printed("--bootstrap-servers", secured.bootstrap_servers, *of_replayer):
        run_line(line, path_with_kafka_acls)
    assert_granted(admin, of_system | meant(Role.REPLAYER, ["User:replayer"], "again"))


def test_odd_names_and_a_login_go_through_a_shell(secured, admin, path_with_kafka_acls, tmp_path):
    """Spaces, commas and stars; the administrator logs in with a properties file of a name with a space."""
    rights.grant(admin, OF_THE_CLUSTER)
    login = tmp_path / "admin login.properties"
    login.write_text(LOGIN)
    principals = ["User:CN=Anna O'Hara,O=Radio Observatory", "User:trap"]
    readers = ["night-watch", "lab-*", "*"]
    lines = printed(
        *("--bootstrap-servers", secured.sasl, "--command-config", str(login), "--role", "consumer"),
        *(word for principal in principals for word in ("--principal", principal)),
        *(word for reader in readers for word in ("--reader-group", reader)),
    )
    for line in lines:
        run_line(line, path_with_kafka_acls)
    assert_granted(
        admin, OF_THE_CLUSTER | meant(Role.CONSUMER, principals, "aartfaac", reader_groups=readers)
    )
