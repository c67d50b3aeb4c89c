"""The least rights that each role needs on a Kafka with an authorizer: one table.

`trapline topics acls` prints it as `kafka-acls.sh` commands, docs/security.md shows it, and the tests
apply it and take each right away in turn.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.topics import TopicNames


class Role(StrEnum):
    """Who uses the topics; each is a user, or a certificate, of its own."""

    CONNECTOR = "connector"
    GROUPER = "grouper"
    CONSUMER = "consumer"
    AUDITOR = "auditor"
    REPLAYER = "replayer"  # of the prefix that it writes to; it reads as a consumer of another one


STANDING: Final = tuple(role for role in Role if role is not Role.REPLAYER)
"""The roles around every prefix; a replayer belongs to a prefix that is there for copies alone."""


class Resource(StrEnum):
    """What a right is on, as `kafka-acls.sh` names its options."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Match(StrEnum):
    """Whether a right holds for one name, or for all names that begin with it."""

    LITERAL = "literal"
    PREFIXED = "prefixed"


class Operation(StrEnum):
    """What may be done. Read and Write include Describe."""

    READ = "Read"
    WRITE = "Write"
    DESCRIBE = "Describe"


@dataclass(frozen=True, slots=True)
class Right:
    """One line of the table.

    Attributes:
        resource: what it is on.
        name: its name; may hold {prefix}, {grouper_group} and {reader_group}.
        match: for that name, or for all that begin with it.
        operations: what may be done.
        why: what for, for people.
    """

    resource: Resource
    name: str
    match: Match
    operations: tuple[Operation, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Acl:
    """A right with its name filled in: what one principal is to be allowed, from any host."""

    resource: Resource
    name: str
    match: Match
    operations: tuple[Operation, ...]


def _topic(name: str, *operations: Operation, why: str) -> Right:
    return Right(Resource.TOPIC, f"{{prefix}}.{name}", Match.LITERAL, operations, why)


_UNNAMED = Right(
    Resource.GROUP,
    "{prefix}.unnamed",
    Match.LITERAL,
    (Operation.DESCRIBE,),
    "reads without a consumer group: the client looks for one's coordinator all the same",
)

RIGHTS: Final[Mapping[Role, tuple[Right, ...]]] = {
    # An idempotent producer needs IdempotentWrite on the cluster only before Kafka 3.0 (KIP-679).
    Role.CONNECTOR: (
        _topic("raw", Operation.WRITE, why="publishes frames"),
        _topic("rejects", Operation.WRITE, why="publishes what is no frame"),
    ),
    Role.GROUPER: (
        _topic("raw", Operation.READ, why="reads frames"),
        _topic("groups", Operation.WRITE, why="publishes groups"),
        _topic("catalogue", Operation.READ, Operation.WRITE, why="publishes entries, reads them at a start"),
        _topic("rejects", Operation.WRITE, why="publishes windows that go into no group"),
        Right(
            Resource.GROUP,
            "{grouper_group}",
            Match.LITERAL,
            (Operation.READ,),
            "shares partitions, commits offsets",
        ),
        _UNNAMED,
        # One id a partition: PREFIX-CONSUMER_GROUP-PARTITION.
        Right(
            Resource.TRANSACTIONAL_ID,
            "{prefix}-{grouper_group}-",
            Match.PREFIXED,
            (Operation.WRITE,),
            "publishes a group whole or not at all",
        ),
    ),
    Role.CONSUMER: (
        _topic("groups", Operation.READ, why="reads groups"),
        _topic("catalogue", Operation.READ, why="starts at an observation time, or with the last groups"),
        Right(
            Resource.GROUP,
            "{reader_group}",
            Match.LITERAL,
            (Operation.READ,),
            "remembers how far it came; not needed without a consumer group",
        ),
        _UNNAMED,
    ),
    Role.AUDITOR: (
        _topic("raw", Operation.READ, why="compares what came in"),
        _topic("groups", Operation.READ, why="with what went out"),
        _topic("catalogue", Operation.READ, why="and what was said of it"),
        _topic("rejects", Operation.READ, why="and what was refused; `trapline rejects`"),
        Right(
            Resource.GROUP,
            "{grouper_group}",
            Match.LITERAL,
            (Operation.DESCRIBE,),
            "reads the grouper's committed offsets",
        ),
        _UNNAMED,
    ),
    Role.REPLAYER: (
        _topic("groups", Operation.WRITE, why="publishes groups again, under this prefix"),
        _topic("catalogue", Operation.WRITE, why="and their entries"),
        Right(
            Resource.TRANSACTIONAL_ID,
            "{prefix}.groups-replay",
            Match.LITERAL,
            (Operation.WRITE,),
            "each whole or not at all",
        ),
    ),
}
"""Role -> its rights. There is no other list."""


def unnamed_group(prefix: str) -> str:
    """The consumer group that clients name which join none: librdkafka wants a name all the same."""
    return _UNNAMED.name.format(prefix=prefix)


def rights_on(topic: str) -> str:
    """Who needs which right on a topic, for an error's text; '' where it is none of ours."""
    suffix = topic.rpartition(".")[2]
    needs = (
        f"{role}: {' and '.join(operation.value.upper() for operation in right.operations)}"
        for role, rights in RIGHTS.items()
        for right in rights
        if right.resource is Resource.TOPIC and right.name == f"{{prefix}}.{suffix}"
    )
    return ", ".join(needs)


def acls(
    role: Role, prefix: str, *, grouper_group: str | None = None, reader_groups: Iterable[str] = ()
) -> Iterator[Acl]:
    """The table's lines of one role, with names.

    Args:
        role: whose.
        prefix: of the topics.
        grouper_group: the groupers' consumer group; None: PREFIX.grouper.
        reader_groups: consumer groups of the readers; 'NAME*' stands for all that begin with NAME, and
            '*' for all. None given: PREFIX.trap*, for the TraP drop-in's own and its relatives.

    Raises:
        TopicNameError: the prefix is none.
    """
    names = TopicNames(prefix)
    grouper = grouper_group or f"{names.prefix}.grouper"
    readers = tuple(reader_groups) or (f"{names.prefix}.trap*",)
    for right in RIGHTS[role]:
        for reader in readers if "{reader_group}" in right.name else ("",):
            # Kafka writes 'any name' as a literal star; an empty name it refuses.
            some = reader.endswith("*") and reader != "*"
            name = right.name.format(
                prefix=names.prefix,
                grouper_group=grouper,
                reader_group=reader.removesuffix("*") if some else reader,
            )
            yield Acl(right.resource, name, Match.PREFIXED if some else right.match, right.operations)


def kafka_acls_command(
    acl: Acl, principals: Iterable[str], bootstrap_servers: str, command_config: str | None = None
) -> str:
    """The shell command, one line, that grants an ACL; run by who administers Kafka.

    Args:
        acl: what is allowed.
        principals: to whom, e.g. 'User:grouper', 'User:CN=grouper,O=observatory'.
        bootstrap_servers: of the Kafka.
        command_config: a properties file with the administrator's login.
    """
    words = ["kafka-acls.sh", "--bootstrap-server", bootstrap_servers]
    if command_config is not None:
        words += ["--command-config", command_config]
    words.append("--add")
    for principal in principals:
        words += ["--allow-principal", principal]
    for operation in acl.operations:
        words += ["--operation", operation.value]
    words += [f"--{acl.resource.value}", acl.name, "--resource-pattern-type", acl.match.value]
    return shlex.join(words)
