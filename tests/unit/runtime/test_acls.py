import shlex

import pytest

from runtime.acls import (
    RIGHTS,
    STANDING,
    Acl,
    Match,
    Operation,
    Resource,
    Role,
    acls,
    kafka_acls_command,
    rights_on,
)
from runtime.kafka import log_consumer
from runtime.settings import TraplineSettings
from schemas.errors import TopicNameError
from schemas.topics import TopicNames


def of(role, resource, **names):
    return [(each.name, each.match) for each in acls(role, "lwa", **names) if each.resource is resource]


def test_every_role_has_rights():
    assert set(RIGHTS) == set(Role)


def test_topics_are_those_of_the_prefix_and_literal():
    for role in Role:
        for name, match in of(role, Resource.TOPIC):
            assert name in TopicNames("lwa").all()
            assert match is Match.LITERAL


def test_only_the_connector_writes_raw_and_only_the_grouper_groups():
    writers = {
        (acl.name, role) for role in Role for acl in acls(role, "lwa") if Operation.WRITE in acl.operations
    }
    assert {role for name, role in writers if name == "lwa.raw"} == {Role.CONNECTOR}
    groups = {role for name, role in writers if name in ("lwa.groups", "lwa.catalogue")}
    assert groups & set(STANDING) == {Role.GROUPER}
    assert groups - set(STANDING) == {Role.REPLAYER}


def test_a_replayer_has_a_transactional_id_that_no_grouper_can_have():
    assert of(Role.REPLAYER, Resource.TRANSACTIONAL_ID) == [("lwa.groups-replay", Match.LITERAL)]
    assert not "lwa.groups-replay".startswith(of(Role.GROUPER, Resource.TRANSACTIONAL_ID)[0][0])


def test_the_groupers_consumer_group_and_transactional_ids():
    assert of(Role.GROUPER, Resource.TRANSACTIONAL_ID) == [("lwa-lwa.grouper-", Match.PREFIXED)]
    assert of(Role.GROUPER, Resource.TRANSACTIONAL_ID, grouper_group="g") == [("lwa-g-", Match.PREFIXED)]
    assert ("lwa.grouper", Match.LITERAL) in of(Role.GROUPER, Resource.GROUP)
    assert ("g", Match.LITERAL) in of(Role.AUDITOR, Resource.GROUP, grouper_group="g")


@pytest.mark.parametrize(
    ("reader_groups", "names"),
    [
        ((), [("lwa.trap", Match.PREFIXED)]),
        (("night",), [("night", Match.LITERAL)]),
        (("night", "lab-*"), [("night", Match.LITERAL), ("lab-", Match.PREFIXED)]),
        (("*",), [("*", Match.LITERAL)]),
    ],
)
def test_consumer_groups_of_readers(reader_groups, names):
    found = of(Role.CONSUMER, Resource.GROUP, reader_groups=reader_groups)
    assert found == [*names, ("lwa.unnamed", Match.LITERAL)]


def test_no_reader_may_join_the_groupers():
    for name, match in of(Role.CONSUMER, Resource.GROUP):
        assert not (match is Match.PREFIXED and "lwa.grouper".startswith(name))
        assert name != "lwa.grouper"


def test_readers_without_a_group_use_the_name_of_the_table():
    settings = TraplineSettings(bootstrap_servers="127.0.0.1:1", topic_prefix="lwa")
    consumer = log_consumer(settings, group_id=None)
    assert consumer._group_right == "DESCRIBE on consumer group lwa.unnamed"
    consumer.close()


def test_a_prefix_that_is_none():
    with pytest.raises(TopicNameError):
        list(acls(Role.GROUPER, "a b"))


def test_the_command_is_one_line_and_quoted():
    acl = Acl(Resource.GROUP, "night watch", Match.PREFIXED, (Operation.READ, Operation.WRITE))
    line = kafka_acls_command(acl, ("User:CN=anna,O=lab", "User:o'neil"), "kafka:9093", "my admin.properties")
    assert "\n" not in line
    assert shlex.split(line) == [
        *("kafka-acls.sh", "--bootstrap-server", "kafka:9093", "--command-config", "my admin.properties"),
        *("--add", "--allow-principal", "User:CN=anna,O=lab", "--allow-principal", "User:o'neil"),
        *("--operation", "Read", "--operation", "Write", "--group", "night watch"),
        *("--resource-pattern-type", "prefixed"),
    ]


def test_who_needs_what_on_a_topic():
    assert rights_on("lwa.catalogue") == (
        "grouper: READ and WRITE, consumer: READ, auditor: READ, replayer: WRITE"
    )
    assert rights_on("somebody.elses") == ""
